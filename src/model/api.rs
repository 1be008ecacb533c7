//! The APIs of LLM servers that Cyan knows by their paths.

/// What a request asks for, as far as its path tells.
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

impl Api {
    /// The API of a path, without its query. Prefixes such as `/v1` or `/openai/v1` do not matter.
    pub fn of_path(path: &str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let ends_with = |suffix: &str| path.ends_with(suffix);
        if ends_with("/chat/completions") {
            Self::Chat
        } else if ends_with("/completions") || ends_with("/completion") {
            Self::Completions
        } else if ends_with("/responses") {
            Self::Responses
        } else if ends_with("/messages") {
            Self::Messages
        } else if ends_with("/api/chat") || ends_with("/api/generate") {
            Self::Ollama
        } else if ends_with("/embeddings") || ends_with("/embedding") || ends_with("/api/embed") {
            Self::Embeddings
        } else {
            Self::Other
        }
    }

    /// Whether it generates something, so that an answer without any is no answer.
    pub fn generates(self) -> bool {
        self != Self::Other
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
            assert_eq!(Api::of_path(path), api, "{path}");
        }
    }
}
