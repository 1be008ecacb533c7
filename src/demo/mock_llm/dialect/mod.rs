//! The four APIs in which an answer can be spoken, in the bytes that vLLM sends.
//!
//! What a stream repeats for every token is built once per stream ([`Script`]); per token only the
//! token itself is copied between two prepared pieces. Nothing is serialised per token.

mod chat;
mod completions;
mod messages;
mod responses;

use std::fmt::Write as _;

/// One of the APIs that generate text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `OpenAI` Chat Completions.
    Chat,
    /// `OpenAI` Completions, the older form.
    Completions,
    /// `OpenAI` Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

/// What identifies one answer in all its events.
#[derive(Debug)]
pub(super) struct Identity {
    /// Sixteen hexadecimal digits, without the prefix that each API puts before them.
    pub(super) id: String,
    /// Unix seconds.
    pub(super) created: u64,
    /// The model that was asked for, ready to stand inside a JSON string.
    pub(super) model: Box<str>,
    /// Tokens of the request.
    pub(super) prompt_tokens: usize,
    /// Whether a stream reports its usage although its API does so only when asked.
    pub(super) include_usage: bool,
}

/// How an answer ended and what it said.
#[derive(Debug)]
pub(super) struct Outcome {
    /// All of it, ready to stand inside a JSON string.
    pub(super) text: String,
    /// Tokens in it.
    pub(super) tokens: usize,
    /// Whether the maximum of tokens cut it.
    pub(super) cut_by_length: bool,
}

/// The prepared pieces of one stream.
#[derive(Debug)]
pub(super) struct Script {
    /// Events before the first content.
    pub(super) opening: Vec<String>,
    /// What stands before each token.
    pub(super) before: String,
    /// What stands after each token.
    pub(super) after: String,
    /// Where events are numbered: what stands after the number, which itself follows `after`.
    pub(super) after_number: Option<&'static str>,
}

impl Dialect {
    pub(super) fn script(self, identity: &Identity) -> Script {
        match self {
            Self::Chat => chat::script(identity),
            Self::Completions => completions::script(identity),
            Self::Responses => responses::script(identity),
            Self::Messages => messages::script(identity),
        }
    }

    /// Events after the last token, the terminator included. `number` is that of the next event.
    pub(super) fn closing(self, identity: &Identity, end: &Outcome, number: usize) -> Vec<String> {
        match self {
            Self::Chat => chat::closing(identity, end),
            Self::Completions => completions::closing(identity, end),
            Self::Responses => responses::closing(identity, end, number),
            Self::Messages => messages::closing(identity, end),
        }
    }

    /// The answer in one piece.
    pub(super) fn whole(self, identity: &Identity, end: &Outcome) -> String {
        match self {
            Self::Chat => chat::whole(identity, end),
            Self::Completions => completions::whole(identity, end),
            Self::Responses => responses::whole(identity, end),
            Self::Messages => messages::whole(identity, end),
        }
    }

    /// Events of an engine that fails under status 200. vLLM sends `[DONE]` even then.
    pub(super) fn error_events(self, number: usize) -> Vec<String> {
        let body = self.error_body(500, "InternalServerError", ENGINE_FAILED, None);
        match self {
            Self::Chat | Self::Completions => vec![data(&body), DONE.to_owned()],
            Self::Messages => vec![named("error", &body)],
            Self::Responses => {
                let fields = format!(
                    r#"{{"type":"error","code":"server_error","message":"{ENGINE_FAILED}","param":null,"sequence_number":{number}}}"#
                );
                vec![named("error", &fields)]
            }
        }
    }

    /// An error as this API words it.
    pub(super) fn error_body(
        self,
        status: u16,
        kind: &str,
        message: &str,
        param: Option<&str>,
    ) -> String {
        let message = serde_json::Value::from(message);
        if self == Self::Messages {
            let kind = anthropic_kind(status);
            return format!(
                r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}}}}"#
            );
        }
        let param = serde_json::Value::from(param);
        format!(
            r#"{{"error":{{"message":{message},"type":"{kind}","param":{param},"code":{status}}}}}"#
        )
    }
}

pub(super) use responses::OPENING_EVENTS as RESPONSES_OPENING_EVENTS;

/// What the emulated engine says when it fails.
pub(super) const ENGINE_FAILED: &str =
    "EngineCore encountered an issue. See stack trace for cause.";

const DONE: &str = "data: [DONE]\n\n";

/// The names that the Messages API has for the errors of HTTP.
fn anthropic_kind(status: u16) -> &'static str {
    match status {
        400..=403 | 405 | 409 | 422 => "invalid_request_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

/// An event without a name.
fn data(json: &str) -> String {
    format!("data: {json}\n\n")
}

/// An event with a name.
fn named(event: &str, json: &str) -> String {
    let mut text = String::with_capacity(event.len() + json.len() + 18);
    // Writing to a string cannot fail.
    let _ = write!(text, "event: {event}\ndata: {json}\n\n");
    text
}
