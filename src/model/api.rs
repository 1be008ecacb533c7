//! The APIs of LLM servers that Cyan knows by their paths.

use Api::{Chat, Completions, Embeddings, Messages, Ollama, Responses};

/// What a request asks for, as far as its method and path tell.
///
/// Only a hint: what an answer means is read from its `Content-Type` and its words. The hint decides
/// where silence must be told from an answer without words: a chat answer without content is `empty`, an
/// answer to anything else need not have any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Api {
    /// `…/chat/completions`: `OpenAI` Chat Completions.
    Chat,
    /// `…/completions`, `…/completion`: `OpenAI`'s older Completions, llama.cpp's own.
    Completions,
    /// `…/responses`: `OpenAI` Responses.
    Responses,
    /// `…/messages`: Anthropic Messages.
    Messages,
    /// `…/api/chat`, `…/api/generate`: Ollama's own.
    Ollama,
    /// `…/embeddings`, `…/api/embed`: vectors.
    Embeddings,
    /// Anything else.
    #[default]
    Other,
}

/// The ends of paths by which an API is known, the longer before what they end with.
const PATHS: [(&str, Api); 10] = [
    ("/chat/completions", Chat),
    ("/completions", Completions),
    ("/completion", Completions),
    ("/responses", Responses),
    ("/messages", Messages),
    ("/api/chat", Ollama),
    ("/api/generate", Ollama),
    ("/embeddings", Embeddings),
    ("/embedding", Embeddings),
    ("/api/embed", Embeddings),
];

impl Api {
    /// What a request asks for; its path is without the query. Only a `POST` has something generated: by
    /// the same paths a `GET` looks up what was generated before, or lists it.
    pub fn of(method: &str, path: &str) -> Self {
        if method != "POST" {
            return Self::Other;
        }
        Self::at(path).map_or(Self::Other, |(_, api)| api)
    }

    /// The end of a path by which it is known, with the `/v1` before it, if there is one. Other prefixes
    /// are as free as any path.
    pub fn known_part(path: &str) -> Option<&str> {
        let (suffix, _) = Self::at(path)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let before = path.strip_suffix(suffix)?;
        Some(&path[before.strip_suffix("/v1").unwrap_or(before).len()..])
    }

    /// Whether it generates something, so that an answer without any is no answer.
    pub fn generates(self) -> bool {
        self != Self::Other
    }

    /// Whether an answer with this status has failed by it. Where something was to be generated, a redirect
    /// has: nothing comes with it, and most often it leads to a login.
    pub fn is_failed_by(self, status: u16) -> bool {
        let is_redirect = (300..=399).contains(&status) && status != 304;
        status >= 400 || (is_redirect && self.generates())
    }

    fn at(path: &str) -> Option<(&'static str, Self)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        PATHS.into_iter().find(|(suffix, _)| path.ends_with(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_names_the_api() {
        for (path, api) in [
            ("/v1/chat/completions", Api::Chat),
            ("/openai/v1/chat/completions/", Api::Chat),
            ("/v1/completions", Api::Completions),
            ("/completion", Api::Completions),
            ("/v1/responses", Api::Responses),
            ("/v1/responses/resp_1/cancel", Api::Other),
            ("/v1/messages", Api::Messages),
            ("/v1/messages/count_tokens", Api::Other),
            ("/api/chat", Api::Ollama),
            ("/api/generate", Api::Ollama),
            ("/api/embed", Api::Embeddings),
            ("/v1/embeddings", Api::Embeddings),
            ("/v1/models", Api::Other),
            ("/", Api::Other),
            ("", Api::Other),
        ] {
            assert_eq!(Api::of("POST", path), api, "{path}");
            assert_eq!(Api::of("GET", path), Api::Other, "{path}");
        }
    }

    #[test]
    fn a_redirect_is_no_answer_of_a_model() {
        for (status, is_failed) in
            [(101, false), (200, false), (299, false), (300, true), (302, true), (304, false)]
        {
            assert_eq!(Api::Chat.is_failed_by(status), is_failed, "{status}");
            assert!(!Api::Other.is_failed_by(status), "{status}");
        }
        assert!(Api::Chat.is_failed_by(400) && Api::Other.is_failed_by(503));
    }

    #[test]
    fn the_known_part_of_a_path_has_its_version() {
        for (path, part) in [
            ("/v1/chat/completions", Some("/v1/chat/completions")),
            ("/tenant-7/v1/messages/", Some("/v1/messages")),
            ("/v1/a/b/chat/completions", Some("/chat/completions")),
            ("/completion", Some("/completion")),
            ("/u/8231/avatar", None),
            ("/", None),
        ] {
            assert_eq!(Api::known_part(path), part, "{path}");
        }
    }
}
