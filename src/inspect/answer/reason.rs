//! The words in which servers say why a model stopped, and what they mean.

use crate::model::answer::FinishReason;

/// Why the model stopped, and whether it is an error that stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// What it means.
    pub finish: FinishReason,
    /// The word says that the server failed.
    pub is_error: bool,
    /// The word says that nothing was to be generated: a model was only loaded or unloaded (Ollama).
    pub is_without_words: bool,
}

impl Reason {
    /// The maximum of tokens was reached.
    pub const LIMIT: Self = Self::plain(FinishReason::Length);

    /// It had said everything.
    pub const STOP: Self = Self::plain(FinishReason::Stop);

    /// The meaning of a word; of none, if it says that the model goes on. An unknown word, or one that is
    /// too long to be known (absent), is a reason too.
    pub fn of(word: Option<&[u8]>) -> Option<Self> {
        let finish = match word.unwrap_or(b"?") {
            b"" | b"none" | b"null" => return None,
            b"stop" | b"end_turn" | b"stop_sequence" | b"eos" | b"eos_token" | b"word" => {
                FinishReason::Stop
            }
            b"length"
            | b"limit"
            | b"max_tokens"
            | b"max_output_tokens"
            | b"model_context_window_exceeded" => FinishReason::Length,
            b"tool_calls" | b"tool_use" | b"function_call" => FinishReason::ToolCalls,
            b"content_filter" | b"refusal" => FinishReason::Filtered,
            b"pause_turn" => FinishReason::Paused,
            b"repetition" => FinishReason::Repetition,
            b"abort" => FinishReason::Aborted,
            b"error" => {
                return Some(Self { is_error: true, ..Self::plain(FinishReason::Aborted) });
            }
            b"load" | b"unload" => {
                return Some(Self { is_without_words: true, ..Self::plain(FinishReason::Other) });
            }
            _ => FinishReason::Other,
        };
        Some(Self::plain(finish))
    }

    /// Of the reasons of several choices, the one that stands for all: the worst.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        if rank(other) > rank(self) { other } else { self }
    }

    const fn plain(finish: FinishReason) -> Self {
        Self { finish, is_error: false, is_without_words: false }
    }
}

/// How bad a reason is; the higher, the worse.
fn rank(reason: Reason) -> u8 {
    match reason.finish {
        FinishReason::Stop => 0,
        FinishReason::ToolCalls => 1,
        FinishReason::Paused => 2,
        FinishReason::Other => 3,
        FinishReason::Repetition => 4,
        FinishReason::Length => 5,
        FinishReason::Filtered => 6,
        FinishReason::Aborted => 7 + u8::from(reason.is_error),
    }
}
