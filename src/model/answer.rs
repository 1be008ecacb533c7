//! What can be said of an LLM's answer without keeping a word of it.

/// Why a model stopped. Servers use many words; these are what they mean.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum FinishReason {
    /// It had said everything: `stop`, `end_turn`, `stop_sequence`, `eos`, `completed`.
    Stop,
    /// The maximum of tokens or the context was reached: `length`, `max_tokens`.
    Length,
    /// It wants a tool to be called: `tool_calls`, `tool_use`, `function_call`.
    ToolCalls,
    /// It refused, or a filter cut it off: `content_filter`, `refusal`.
    Filtered,
    /// It will go on when asked: `pause_turn`.
    Paused,
    /// It was stopped for saying the same again and again (vLLM's `repetition`).
    Repetition,
    /// The server gave up: `abort`, `error`.
    Aborted,
    /// A word that Cyan does not know.
    Other,
}

impl FinishReason {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Stop,
        Self::Length,
        Self::ToolCalls,
        Self::Filtered,
        Self::Paused,
        Self::Repetition,
        Self::Aborted,
        Self::Other,
    ];

    /// The name in logs, metrics and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Filtered => "filtered",
            Self::Paused => "paused",
            Self::Repetition => "repetition",
            Self::Aborted => "aborted",
            Self::Other => "other",
        }
    }
}

/// Whether an answer's words were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Inspection {
    /// There was nothing to read: another kind of content, or no body.
    #[default]
    NotApplicable,
    /// Read to its end.
    Read,
    /// Compressed, although identity was asked for: judged by status and wholeness only.
    Compressed,
    /// Given up on, because a part of it was deeper or wider than the inspector follows. Judged as far as
    /// it was read.
    GivenUp,
}

impl Inspection {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] =
        [Self::NotApplicable, Self::Read, Self::Compressed, Self::GivenUp];

    /// The name in logs, metrics and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::Read => "read",
            Self::Compressed => "compressed",
            Self::GivenUp => "given_up",
        }
    }
}

/// Tokens of one exchange. A number that nobody told is absent, not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tokens {
    /// Of the prompt, cached ones included, as the server's usage says.
    pub input: Option<u64>,
    /// Of the prompt, those that came out of the server's cache.
    pub cached: Option<u64>,
    /// Generated ones: as the usage says, else the content events counted.
    pub output: Option<u64>,
    /// `output` was counted here, because the server sent no usage.
    pub is_output_estimated: bool,
}
