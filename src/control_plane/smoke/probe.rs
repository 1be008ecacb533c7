//! The requests that probes make up: a few tokens, streamed, in the form of each API.

use serde_json::{Map, Value, json};

use crate::model::environment::Secret;
use crate::model::header_id::HeaderId;
use crate::model::name::Name;
use crate::model::plan::smoke::{Expectations, ProbeApi, Probes, SmokeRequest};

/// `OpenAI` refuses fewer in Responses.
const RESPONSES_TOKENS_MIN: u32 = 16;

/// Anthropic refuses requests without one; this is the only version of Messages there is.
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// One request per API.
pub(super) fn requests(probes: &Probes) -> impl Iterator<Item = SmokeRequest> + '_ {
    probes.apis.iter().map(|api| SmokeRequest {
        name: Name::new(api.name()).expect("names of APIs are of small letters and hyphens"),
        method: "POST".into(),
        path: path(*api, probes).into(),
        headers: headers(*api, probes),
        body: Some(body(*api, probes).to_string().into()),
        timeout: probes.timeout,
        expect: Expectations { ttft_max: probes.ttft_max, ..Expectations::default() },
    })
}

fn path(api: ProbeApi, probes: &Probes) -> String {
    let base = &probes.base;
    match api {
        ProbeApi::Chat => format!("{base}/chat/completions"),
        ProbeApi::Completions => format!("{base}/completions"),
        ProbeApi::Responses => format!("{base}/responses"),
        ProbeApi::Messages => format!("{base}/messages"),
        ProbeApi::OllamaChat => "/api/chat".to_owned(),
        ProbeApi::OllamaGenerate => "/api/generate".to_owned(),
    }
}

fn headers(api: ProbeApi, probes: &Probes) -> Vec<(HeaderId, Secret)> {
    let mut headers = probes.headers.clone();
    if api == ProbeApi::Messages {
        let (name, value) = ANTHROPIC_VERSION;
        // An operator's own comes first in the list of headers set, so it must be the only one.
        if let Ok(id) = HeaderId::intern(name)
            && !headers.iter().any(|(set, _)| *set == id)
        {
            headers.push((id, Secret::new(value)));
        }
    }
    headers
}

fn body(api: ProbeApi, probes: &Probes) -> Value {
    let (prompt, tokens) = (&*probes.prompt, probes.tokens);
    let messages = || json!([{ "role": "user", "content": prompt }]);
    let fields = match api {
        ProbeApi::Chat | ProbeApi::Messages => {
            json!({ "messages": messages(), "max_tokens": tokens })
        }
        ProbeApi::Completions => json!({ "prompt": prompt, "max_tokens": tokens }),
        ProbeApi::Responses => {
            json!({ "input": prompt, "max_output_tokens": tokens.max(RESPONSES_TOKENS_MIN) })
        }
        ProbeApi::OllamaChat => {
            json!({ "messages": messages(), "options": { "num_predict": tokens } })
        }
        ProbeApi::OllamaGenerate => {
            json!({ "prompt": prompt, "options": { "num_predict": tokens } })
        }
    };
    let mut body = Map::new();
    if let Some(model) = &probes.model {
        body.insert("model".to_owned(), Value::from(&**model));
    }
    body.insert("stream".to_owned(), Value::Bool(true));
    if let Value::Object(fields) = fields {
        body.extend(fields);
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::api::Api;

    #[test]
    fn each_api_is_asked_in_its_own_form() {
        let probes = Probes {
            apis: ProbeApi::ALL.to_vec(),
            base: "/v1".into(),
            model: Some("m".into()),
            prompt: "Hi".into(),
            tokens: 4,
            headers: vec![],
            timeout: Duration::from_secs(1),
            ttft_max: None,
        };
        let bodies: Vec<_> = requests(&probes)
            .map(|request| {
                assert!(Api::of(&request.method, &request.path).generates(), "{}", request.path);
                let body: Value = serde_json::from_str(&request.body.unwrap()).unwrap();
                assert_eq!((&body["model"], &body["stream"]), (&json!("m"), &json!(true)));
                (request.path.to_string(), body)
            })
            .collect();
        let field = |api: usize, pointer: &str| bodies[api].1.pointer(pointer).cloned();
        assert_eq!(bodies[0].0, "/v1/chat/completions");
        assert_eq!(field(0, "/messages/0/content"), Some(json!("Hi")));
        assert_eq!(field(1, "/max_tokens"), Some(json!(4)));
        assert_eq!(field(2, "/max_output_tokens"), Some(json!(16)));
        assert_eq!(field(5, "/options/num_predict"), Some(json!(4)));
        let versions = requests(&probes).map(|request| request.headers.len());
        assert_eq!(versions.collect::<Vec<_>>(), [0, 0, 0, 1, 0, 0]);
    }
}
