//! What an answer says while it passes: content, errors, why it stopped, tokens.

use crate::model::answer::{FinishReason, Inspection, Tokens};
use crate::model::api::Api;
use crate::model::body_end::BodyEnd;
use crate::model::verdict::Verdict;

/// What the head of an answer tells the scan.
#[derive(Debug, Clone, Copy)]
pub struct AnswerHead<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// What was asked for.
    pub api: Api,
}

/// Reads the body of an answer with a status of 2xx, piece by piece.
#[derive(Debug)]
pub struct AnswerScan {
    is_stream: bool,
}

/// What a piece of an answer brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Events in it that carry content: text, reasoning, a refusal, a tool call.
    pub content_events: u32,
    /// The server said in it, for the first time, that it failed.
    pub has_failed: bool,
    /// The stream has said so far that no more content is to come: a terminator, or why it stopped.
    pub is_finished: bool,
}

/// What a whole answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    /// Its verdict.
    pub verdict: Verdict,
    /// Why the model stopped, if it said so.
    pub finish: Option<FinishReason>,
    /// Its tokens.
    pub tokens: Tokens,
    /// Whether it was read to its end.
    pub inspection: Inspection,
}

impl AnswerScan {
    /// A scan for an answer with such a head.
    ///
    /// # Errors
    /// When there is nothing to read in it, and why.
    pub fn of(head: &AnswerHead<'_>) -> Result<Self, Inspection> {
        let _ = head;
        Err(Inspection::NotApplicable)
    }

    /// Whether it is a stream of events, whose first content and gaps mean something.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// The next bytes.
    pub fn push(&mut self, piece: &[u8]) -> Passed {
        let _ = piece;
        Passed::default()
    }

    /// The body has ended, or the exchange has.
    pub fn conclude(&mut self, end: BodyEnd) -> Conclusion {
        let verdict = match end {
            BodyEnd::Whole => Verdict::Complete,
            BodyEnd::Cut => Verdict::Truncated,
            BodyEnd::Reset => Verdict::AbortedByServer,
        };
        let inspection = Inspection::Read;
        Conclusion { verdict, finish: None, tokens: Tokens::default(), inspection }
    }
}
