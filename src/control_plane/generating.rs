//! Requests that make a model generate a few tokens, streamed, in the form of each API.

use serde_json::{Map, Value, json};

use crate::model::environment::Secret;
use crate::model::header_id::HeaderId;
use crate::model::plan::smoke::ProbeApi;

/// `OpenAI` refuses fewer in Responses.
const RESPONSES_TOKENS_MIN: u32 = 16;

/// Anthropic refuses requests without one; this is the only version of Messages there is.
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// How a model is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) api: ProbeApi,
    /// Before the path, but for Ollama's.
    pub(super) base: &'a str,
    /// As clients call it; `None` names none.
    pub(super) model: Option<&'a str>,
}

impl Asking<'_> {
    /// Where the request goes.
    pub(super) fn path(&self) -> String {
        let base = self.base;
        match self.api {
            ProbeApi::Chat => format!("{base}/chat/completions"),
            ProbeApi::Completions => format!("{base}/completions"),
            ProbeApi::Responses => format!("{base}/responses"),
            ProbeApi::Messages => format!("{base}/messages"),
            ProbeApi::OllamaChat => "/api/chat".to_owned(),
            ProbeApi::OllamaGenerate => "/api/generate".to_owned(),
        }
    }

    /// The operator's headers, and what the API cannot be without.
    pub(super) fn headers(&self, own: &[(HeaderId, Secret)]) -> Vec<(HeaderId, Secret)> {
        let mut headers = own.to_vec();
        if self.api == ProbeApi::Messages {
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

    /// The body that asks for at most so many tokens.
    pub(super) fn body(&self, prompt: &str, tokens: u32) -> Value {
        let messages = || json!([{ "role": "user", "content": prompt }]);
        let fields = match self.api {
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
        if let Some(model) = self.model {
            body.insert("model".to_owned(), Value::from(model));
        }
        body.insert("stream".to_owned(), Value::Bool(true));
        if let Value::Object(fields) = fields {
            body.extend(fields);
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::api::Api;

    #[test]
    fn each_api_is_asked_in_its_own_form() {
        let asking = |api| Asking { api, base: "/v1", model: Some("m") };
        let bodies = ProbeApi::ALL.map(|api| {
            let (path, body) = (asking(api).path(), asking(api).body("Hi", 4));
            assert!(Api::of("POST", &path).generates(), "{path}");
            assert_eq!((&body["model"], &body["stream"]), (&json!("m"), &json!(true)));
            body
        });
        let field = |api: usize, pointer: &str| bodies[api].pointer(pointer).cloned();
        assert_eq!(asking(ProbeApi::Chat).path(), "/v1/chat/completions");
        assert_eq!(field(0, "/messages/0/content"), Some(json!("Hi")));
        assert_eq!(field(1, "/max_tokens"), Some(json!(4)));
        assert_eq!(field(2, "/max_output_tokens"), Some(json!(16)));
        assert_eq!(field(5, "/options/num_predict"), Some(json!(4)));
        let headers = ProbeApi::ALL.map(|api| asking(api).headers(&[]).len());
        assert_eq!(headers, [0, 0, 0, 1, 0, 0]);
    }
}
