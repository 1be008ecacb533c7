//! What a request asks for, read from its body.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::dialect::Dialect;

/// Bytes of a body that count as one token. Real tokenizers see about four in English text.
const BYTES_PER_TOKEN: usize = 4;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) model: Option<String>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) tokens_max: Option<usize>,
    /// An estimate from the size of the body.
    pub(super) prompt_tokens: usize,
}

/// Why a request cannot be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AskError {
    pub(super) message: String,
    pub(super) param: Option<&'static str>,
}

#[derive(Deserialize)]
struct Fields {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    messages: Option<IgnoredAny>,
    prompt: Option<IgnoredAny>,
    input: Option<IgnoredAny>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    max_output_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Ask {
    /// Reads the body of a request in `dialect`.
    ///
    /// # Errors
    /// When it is no JSON object, a field has the wrong type, or a required one is missing.
    pub(super) fn parse(dialect: Dialect, body: &[u8]) -> Result<Self, AskError> {
        let fields: Fields = serde_json::from_slice(body)
            .map_err(|error| AskError { message: error.to_string(), param: Some("body") })?;
        let required = match dialect {
            Dialect::Chat => [("messages", fields.messages.is_some())].to_vec(),
            Dialect::Completions => [("prompt", fields.prompt.is_some())].to_vec(),
            Dialect::Responses => [("input", fields.input.is_some())].to_vec(),
            Dialect::Messages => vec![
                ("messages", fields.messages.is_some()),
                ("max_tokens", fields.max_tokens.is_some()),
            ],
        };
        if let Some((field, _)) = required.into_iter().find(|(_, is_there)| !is_there) {
            let message = format!("`{field}` is missing; this API requires it");
            return Err(AskError { message, param: Some(field) });
        }
        let tokens_max =
            fields.max_completion_tokens.or(fields.max_output_tokens).or(fields.max_tokens);
        Ok(Self {
            model: fields.model,
            stream: fields.stream.unwrap_or(false),
            include_usage: fields.stream_options.and_then(|o| o.include_usage).unwrap_or(false),
            tokens_max,
            prompt_tokens: body.len().div_ceil(BYTES_PER_TOKEN),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_names_its_limit_and_its_input() {
        for (dialect, body, tokens_max) in [
            (Dialect::Chat, r#"{"messages":[],"max_tokens":3}"#, Some(3)),
            (Dialect::Chat, r#"{"messages":[],"max_tokens":3,"max_completion_tokens":5}"#, Some(5)),
            (Dialect::Completions, r#"{"prompt":"x"}"#, None),
            (Dialect::Responses, r#"{"input":"x","max_output_tokens":7}"#, Some(7)),
            (Dialect::Messages, r#"{"messages":[],"max_tokens":9}"#, Some(9)),
        ] {
            assert_eq!(Ask::parse(dialect, body.as_bytes()).unwrap().tokens_max, tokens_max);
        }
    }

    #[test]
    fn missing_input_is_named() {
        for (dialect, body, field) in [
            (Dialect::Chat, "{}", "messages"),
            (Dialect::Completions, "{}", "prompt"),
            (Dialect::Responses, "{}", "input"),
            (Dialect::Messages, r#"{"messages":[]}"#, "max_tokens"),
            (Dialect::Chat, r#"{"messages":null}"#, "messages"),
            (Dialect::Chat, r#"{"model": "#, "body"),
            (Dialect::Chat, r#"{"messages":[],"stream":"yes"}"#, "body"),
        ] {
            assert_eq!(Ask::parse(dialect, body.as_bytes()).unwrap_err().param, Some(field));
        }
    }
}
