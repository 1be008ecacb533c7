//! What an upstream is: which server, which APIs, which models, told from what it answers to `GET`.
//!
//! Nothing is generated. A path that exists for `POST` answers a `GET` with 405, one that does not with
//! 404; each server is known by a page that only it has.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::task::JoinSet;

use super::ask::{Answer, get};
use crate::model::plan::smoke::ProbeApi;
use crate::model::printable::printable;
use crate::model::upstream::UpstreamSpec;

/// Longest name that is taken over: no other can be written into a config.
const MODEL_CHARS_MAX: usize = 200;
/// Most models that are named; a hosted API has hundreds.
const MODELS_MAX: usize = 5;

/// Everything that is asked for, at the same time.
const PATHS: [&str; 11] = [
    "/v1/models",
    "/health",
    "/props",
    "/info",
    "/version",
    "/api/tags",
    "/get_model_info",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
];

/// Paths by which an API is known.
const APIS: [(&str, ProbeApi); 4] = [
    ("/v1/chat/completions", ProbeApi::Chat),
    ("/v1/completions", ProbeApi::Completions),
    ("/v1/responses", ProbeApi::Responses),
    ("/v1/messages", ProbeApi::Messages),
];

/// What was found out about an upstream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Finding {
    /// The server's name, where it is a known one.
    pub(super) server: Option<&'static str>,
    pub(super) apis: Vec<ProbeApi>,
    /// The first of its models.
    pub(super) models: Vec<String>,
    /// A path that says whether it is well.
    pub(super) health: Option<&'static str>,
    /// It asked for a key.
    pub(super) needs_key: bool,
    /// Why it did not answer at all.
    pub(super) problem: Option<String>,
}

/// The answers to `PATHS`, as far as there were any.
type Answers = BTreeMap<&'static str, Answer>;

/// Asks an upstream everything at once: a few seconds at most.
pub(super) async fn find(upstream: &UpstreamSpec) -> Finding {
    let mut asking = JoinSet::new();
    for path in PATHS {
        let upstream = upstream.clone();
        asking.spawn(async move { (path, get(&upstream, path).await) });
    }
    let (mut answers, mut problem) = (Answers::new(), None);
    while let Some(asked) = asking.join_next().await {
        match asked {
            Ok((path, Ok(answer))) => drop(answers.insert(path, answer)),
            Ok((_, Err(words))) => problem = Some(words),
            Err(panicked) => problem = Some(panicked.to_string()),
        }
    }
    if answers.is_empty() {
        return Finding { problem, ..Finding::default() };
    }
    interpret(&answers)
}

fn interpret(answers: &Answers) -> Finding {
    let server = server(answers);
    let needs_key = answers.get("/v1/models").is_some_and(|a| matches!(a.status, 401 | 403));
    Finding {
        server,
        apis: apis(answers, server),
        models: models(answers),
        health: health(answers, server),
        needs_key,
        problem: None,
    }
}

fn good<'a>(answers: &'a Answers, path: &str) -> Option<&'a Value> {
    answers.get(path).filter(|answer| answer.status == 200).map(|answer| &answer.json)
}

fn server(answers: &Answers) -> Option<&'static str> {
    let has = |path, key: &str| good(answers, path).is_some_and(|json| !json[key].is_null());
    let models = good(answers, "/v1/models");
    let owner = models.and_then(|json| json["data"][0]["owned_by"].as_str()).unwrap_or_default();
    let refusal = answers.get("/v1/models").map(|answer| &answer.json);
    let is_anthropic = refusal.is_some_and(|json| json["type"] == "error");
    match () {
        () if has("/api/tags", "models") => Some("Ollama"),
        () if has("/props", "default_generation_settings") => Some("llama-server"),
        () if has("/info", "model_id") => Some("TGI"),
        () if has("/get_model_info", "model_path") || owner == "sglang" => Some("SGLang"),
        () if owner == "vllm" => Some("vLLM"),
        () if is_anthropic => Some("Anthropic's API"),
        () => None,
    }
}

fn apis(answers: &Answers, server: Option<&str>) -> Vec<ProbeApi> {
    // These two answer 404 to a `GET` of what they have for `POST`.
    match server {
        Some("Ollama") => return vec![ProbeApi::Chat, ProbeApi::OllamaChat],
        Some("llama-server") => return vec![ProbeApi::Chat, ProbeApi::Completions],
        Some("Anthropic's API") => return vec![ProbeApi::Messages],
        _ => {}
    }
    let is_there = |path| answers.get(path).is_some_and(|answer| answer.status == 405);
    APIS.into_iter().filter(|(path, _)| is_there(*path)).map(|(_, api)| api).collect()
}

fn models(answers: &Answers) -> Vec<String> {
    let list = |path, list: &str, key: &str| {
        let items = good(answers, path).and_then(|json| json[list].as_array());
        let names = items.into_iter().flatten().filter_map(|item| item[key].as_str());
        let names = names.filter(|name| (1..=MODEL_CHARS_MAX).contains(&name.chars().count()));
        names.map(|name| printable(name).into_owned()).take(MODELS_MAX).collect::<Vec<_>>()
    };
    let found = list("/v1/models", "data", "id");
    if !found.is_empty() {
        return found;
    }
    let found = list("/api/tags", "models", "name");
    if !found.is_empty() {
        return found;
    }
    let one = good(answers, "/info").and_then(|json| json["model_id"].as_str());
    one.map(|name| printable(name).into_owned()).into_iter().collect()
}

fn health(answers: &Answers, server: Option<&str>) -> Option<&'static str> {
    // A server that loads its model says so here with 503.
    let knows = |path| answers.get(path).is_some_and(|a| matches!(a.status, 200 | 503));
    match server {
        Some("Ollama") => Some("/api/tags"),
        _ if knows("/health") => Some("/health"),
        _ => good(answers, "/v1/models").map(|_| "/v1/models"),
    }
}

impl Finding {
    /// In words: `vLLM, by chat and completions; models llama-3`.
    pub(super) fn sentence(&self) -> String {
        if let Some(problem) = &self.problem {
            return format!("did not answer: {problem}");
        }
        let apis: Vec<_> = self.apis.iter().map(|api| api.name()).collect();
        let mut parts = vec![match (self.server, apis.as_slice()) {
            (Some(server), []) => server.to_owned(),
            (Some(server), apis) => format!("{server}, by {}", apis.join(", ")),
            (None, []) => "answers by HTTP, by no API that is known".to_owned(),
            (None, apis) => format!("an LLM server, by {}", apis.join(", ")),
        }];
        match self.models.as_slice() {
            [] => {}
            [model] => parts.push(format!("model {model}")),
            models => parts.push(format!("models {}", models.join(", "))),
        }
        if self.needs_key {
            parts.push("asks for a key".to_owned());
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers(list: &[(&'static str, u16, Value)]) -> Answers {
        let answer = |(path, status, json): &(&'static str, u16, Value)| {
            (*path, Answer { status: *status, json: json.clone() })
        };
        list.iter().map(answer).collect()
    }

    #[test]
    fn each_server_is_known_by_what_only_it_has() {
        let models = |owner: &str| json!({"data": [{"id": "m-1", "owned_by": owner}]});
        let post = |path| (path, 405, Value::Null);
        for (list, said, health) in [
            (
                vec![
                    ("/v1/models", 200, models("vllm")),
                    ("/health", 200, Value::Null),
                    post("/v1/chat/completions"),
                    post("/v1/completions"),
                    ("/v1/messages", 404, Value::Null),
                ],
                "vLLM, by chat, completions; model m-1",
                Some("/health"),
            ),
            (
                vec![
                    ("/v1/models", 200, models("llamacpp")),
                    ("/props", 200, json!({"default_generation_settings": {}})),
                    ("/health", 503, json!({"error": {"message": "Loading model"}})),
                ],
                "llama-server, by chat, completions; model m-1",
                Some("/health"),
            ),
            (
                vec![("/api/tags", 200, json!({"models": [{"name": "llama3:8b"}]}))],
                "Ollama, by chat, ollama-chat; model llama3:8b",
                Some("/api/tags"),
            ),
            (
                vec![("/info", 200, json!({"model_id": "x/y"})), post("/v1/chat/completions")],
                "TGI, by chat; model x/y",
                None,
            ),
            (vec![("/get_model_info", 200, json!({"model_path": "x"}))], "SGLang", None),
            (
                vec![("/v1/models", 401, json!({"type": "error"}))],
                "Anthropic's API, by messages; asks for a key",
                None,
            ),
            (
                vec![("/v1/models", 200, models("openai"))],
                "answers by HTTP, by no API that is known; model m-1",
                Some("/v1/models"),
            ),
            (vec![("/health", 404, Value::Null)], "answers by HTTP, by no API that is known", None),
        ] {
            let finding = interpret(&answers(&list));
            assert_eq!((finding.sentence().as_str(), finding.health), (said, health));
        }
    }

    #[test]
    fn names_of_models_cannot_move_the_cursor() {
        let list = answers(&[("/v1/models", 200, json!({"data": [{"id": "a\u{1b}[2Jb"}]}))]);
        assert_eq!(interpret(&list).models, ["a\\u001b[2Jb"]);
    }
}
