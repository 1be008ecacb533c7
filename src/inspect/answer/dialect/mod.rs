//! The languages in which servers answer, each told by its events; what was asked for and what came
//! before only help where others use the same words.
//!
//! Every dialect has a file that says by which facts it is recognised, what counts as content in it, and
//! when a stream of it is whole.

mod embeddings;
mod llama_cpp;
mod messages;
mod ollama;
mod open_ai;
mod responses;

use super::facts::Facts;
use super::tally::Tally;
use crate::model::api::Api;

/// A language of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `OpenAI` Chat Completions and the older Completions.
    OpenAi,
    /// `OpenAI` Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Ollama's own.
    Ollama,
    /// llama.cpp's own completions.
    LlamaCpp,
    /// Vectors, of any server.
    Embeddings,
}

impl Dialect {
    /// The dialect of an event, if it is one of them; `tally` is of the events before it.
    pub fn of(facts: &Facts, tally: &Tally) -> Option<Self> {
        if open_ai::is_spoken(facts, tally) {
            Some(Self::OpenAi)
        } else if messages::is_spoken(facts) {
            Some(Self::Messages)
        } else if responses::is_spoken(facts) {
            Some(Self::Responses)
        } else if ollama::is_spoken(facts) {
            Some(Self::Ollama)
        } else if llama_cpp::is_spoken(facts) {
            Some(Self::LlamaCpp)
        } else if embeddings::is_spoken(facts, tally) {
            Some(Self::Embeddings)
        } else {
            None
        }
    }

    /// What is expected of an API before a word has come.
    pub fn expected(api: Api) -> Option<Self> {
        match api {
            Api::Chat | Api::Completions => Some(Self::OpenAi),
            Api::Responses => Some(Self::Responses),
            Api::Messages => Some(Self::Messages),
            Api::Ollama => Some(Self::Ollama),
            Api::Embeddings => Some(Self::Embeddings),
            Api::Other => None,
        }
    }

    /// Whether it streams by server-sent events.
    pub fn streams_events(self) -> bool {
        !matches!(self, Self::Ollama | Self::Embeddings)
    }

    /// Takes in an event of this dialect.
    pub fn read(self, facts: &Facts, tally: &mut Tally) {
        match self {
            Self::OpenAi => open_ai::read(facts, tally),
            Self::Responses => responses::read(facts, tally),
            Self::Messages => messages::read(facts, tally),
            Self::Ollama => ollama::read(facts, tally),
            Self::LlamaCpp => llama_cpp::read(facts, tally),
            Self::Embeddings => embeddings::read(facts, tally),
        }
    }

    /// Whether a stream of this dialect came to its end, which the bytes after it cannot change.
    /// `is_body_whole` says whether the connection kept its word.
    pub fn is_stream_whole(self, tally: &Tally, is_body_whole: bool) -> bool {
        match self {
            Self::OpenAi => open_ai::is_whole(tally, is_body_whole),
            Self::LlamaCpp => llama_cpp::is_whole(tally),
            Self::Messages => messages::is_whole(tally),
            Self::Responses | Self::Ollama => tally.has_ended,
            Self::Embeddings => is_body_whole,
        }
    }
}
