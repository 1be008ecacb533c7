//! Smoke tests: what a candidate's upstreams must answer before users come to them.
//!
//! Three kinds. A *request* is written out and its answer compared with what is expected. A *probe* is
//! made up for an API and asks for a few tokens. A *hook* is the operator's own program or web service,
//! which decides. Each is held against every upstream, because one of five that has the wrong weights
//! loaded fails one user in five.

use std::sync::Arc;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::model::answer::FinishReason;
use crate::model::environment::Secret;
use crate::model::header_id::HeaderId;
use crate::model::hook::Receiver;
use crate::model::name::Name;

/// The smoke tests of a service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SmokeSpec {
    /// Written out.
    pub requests: Vec<SmokeRequest>,
    /// Made up; `None` for none.
    pub probes: Option<Probes>,
    /// Decided elsewhere.
    pub hooks: Vec<SmokeHook>,
}

impl SmokeSpec {
    /// Whether there is nothing to test.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.probes.is_none() && self.hooks.is_empty()
    }
}

/// One request and what its answer must be.
#[derive(Debug, Clone, PartialEq)]
pub struct SmokeRequest {
    /// Its name in reports.
    pub name: Name,
    /// `GET`, `POST`.
    pub method: Arc<str>,
    /// Path and query, without the environment's prefix.
    pub path: Arc<str>,
    /// Beside what the environment sets.
    pub headers: Vec<(HeaderId, Secret)>,
    /// As it is sent, save for the model's name.
    pub body: Option<Arc<str>>,
    /// For the whole exchange, from before the connection.
    pub timeout: Duration,
    /// What makes it pass.
    pub expect: Expectations,
}

/// What an answer must be. All that is absent is not asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expectations {
    /// The status; `None` for any of 2xx.
    pub status: Option<u16>,
    /// Headers of which one value must match.
    pub headers: Vec<(HeaderId, Pattern)>,
    /// Values in the body, which is one JSON then.
    pub json: Vec<JsonExpectation>,
    /// Found somewhere in the body as it came.
    pub text: Option<Pattern>,
    /// From before the connection to the first content, or the first byte of what is no stream.
    pub ttft_max: Option<Duration>,
    /// From before the connection to the last byte.
    pub total_max: Option<Duration>,
    /// Tokens generated, as the usage says, else content events counted.
    pub tokens_min: Option<u32>,
    /// Why the model stopped: one of these. Empty for any reason.
    pub finish_reasons: Vec<FinishReason>,
}

/// A value that must stand in a JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonExpectation {
    /// Where (RFC 6901).
    pub pointer: Arc<str>,
    /// What.
    pub value: Value,
}

/// A regular expression. Matching takes time linear in the text, whatever the pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Most bytes of a compiled pattern: a config cannot take the memory with `(a{1000}){1000}`.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Pattern {
    /// Whether `text` has it anywhere.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        builder.build().map(Self).map_err(|error| {
            // The last line of a syntax error says what is wrong; those above draw it.
            let problem = error.to_string();
            let problem = problem.lines().last().unwrap_or_default();
            let problem = problem.trim().trim_start_matches("error: ").trim_end_matches('.');
            PatternError { pattern: text.to_owned(), problem: problem.to_owned() }
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{pattern}` is no regular expression: {problem}; a backslash before a sign takes it as it is"
)]
pub struct PatternError {
    pattern: String,
    problem: String,
}

/// Probes that generate a few tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Probes {
    /// The APIs that are asked.
    pub apis: Vec<ProbeApi>,
    /// Before the paths of all but Ollama's: `/v1`.
    pub base: Arc<str>,
    /// The model, as clients call it; `None` leaves it out, as some servers allow.
    pub model: Option<Arc<str>>,
    /// What is asked.
    pub prompt: Arc<str>,
    /// Most tokens of an answer.
    pub tokens: u32,
    /// Beside what the environment sets.
    pub headers: Vec<(HeaderId, Secret)>,
    /// For the whole exchange.
    pub timeout: Duration,
    /// From before the connection to the first content.
    pub ttft_max: Option<Duration>,
}

/// An API that a probe can speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProbeApi {
    /// `OpenAI` Chat Completions.
    #[default]
    Chat,
    /// `OpenAI` Completions.
    Completions,
    /// `OpenAI` Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Ollama's chat.
    OllamaChat,
    /// Ollama's generate.
    OllamaGenerate,
}

impl ProbeApi {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Chat,
        Self::Completions,
        Self::Responses,
        Self::Messages,
        Self::OllamaChat,
        Self::OllamaGenerate,
    ];

    /// As in the config and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::OllamaChat => "ollama-chat",
            Self::OllamaGenerate => "ollama-generate",
        }
    }
}

/// A test that somebody else decides.
#[derive(Debug, Clone, PartialEq)]
pub struct SmokeHook {
    /// Its name in reports.
    pub name: Name,
    /// Who decides; all must agree.
    pub receivers: Vec<Receiver>,
    /// For each of them.
    pub timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_would_take_much_memory_is_refused() {
        let pattern: Pattern = r"^data: \{".parse().unwrap();
        assert!(pattern.matches("data: {") && !pattern.matches("x data: {"));
        for (text, problem) in
            [("(a", "unclosed group"), (r"(\w{1000}){1000}", "exceeds size limit of 1048576 bytes")]
        {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
