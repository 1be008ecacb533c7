//! What the client of an event stream is told when it breaks off, where its service wants it told
//! (`stream_errors = "event"`): one last event, in the form in which its API tells errors.
//!
//! What must stay true:
//! - it is no end that a client could take for a good one: never `[DONE]`, never the API's own last event;
//! - nothing is said within an event, in a compressed body, or beyond a length that was announced: there
//!   the answer is cut (`inspect::answer::BrokenOff` finds the place);
//! - the inspection never sees these words: the verdict is the upstream's.

use serde_json::json;

use super::head::{BodyLength, ResponseHead};
use super::{BodyEnd, Exchange, Refusal};
use crate::inspect::answer::{BrokenOff, Dialect};
use crate::model::service::StreamErrors;
use crate::model::verdict::Verdict;

/// Why a stream comes to no end of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It ended before its end, or its framing broke.
    Cut,
    /// The upstream reset it.
    Reset,
    /// A limit on time has passed.
    Timeout,
    /// Cyan ends it.
    Draining,
}

/// Whether an answer may be spoken in, and what is to be said.
#[derive(Debug, Default)]
pub(super) struct LastWords {
    is_wanted: bool,
    words: Option<Box<[u8]>>,
}

impl LastWords {
    /// Whether some wait to be taken.
    pub(super) fn are_any(&self) -> bool {
        self.words.is_some()
    }

    fn say(&mut self, cause: Cause, broken: Option<&BrokenOff>) {
        if let Some(broken) = broken {
            self.words = Some(cause.words(broken).into_bytes().into());
        }
    }
}

impl Exchange {
    /// What remains to be said to the client in the body that has broken off; then the body ends as a whole
    /// one does, for the words tell what it is. `None`: it has to be cut.
    pub fn take_last_words(&mut self) -> Option<Box<[u8]>> {
        self.last_words.words.take()
    }

    /// Looks at the head of an answer: may there be more in its body than the upstream says?
    pub(super) fn allow_last_words(&mut self, head: &impl ResponseHead) {
        let service = self.service.as_ref();
        let asks = service.is_some_and(|service| service.stream_errors == StreamErrors::Event);
        self.last_words.is_wanted = asks && head.body_length() == BodyLength::Unknown;
    }

    /// Whether there may be something to say at the end of its body.
    pub fn wants_last_words(&self) -> bool {
        self.last_words.is_wanted
    }

    /// Finds words for a stream that is broken off; to be called before its verdict is found.
    pub(super) fn find_last_words(&mut self, cause: Cause) {
        let broken = self.broken_off();
        self.last_words.say(cause, broken.as_ref());
    }

    /// The verdict of an answer that ended so, and the words for it. A body may be whole without the stream
    /// in it being so.
    pub(super) fn judge_end(&mut self, end: BodyEnd) -> Verdict {
        // The verdict takes the inspection with it.
        let broken = self.broken_off();
        let verdict = self.verdict_of(end);
        match end {
            BodyEnd::Cut => self.last_words.say(Cause::Cut, broken.as_ref()),
            BodyEnd::Reset => self.last_words.say(Cause::Reset, broken.as_ref()),
            BodyEnd::Whole if verdict == Verdict::Truncated => {
                self.last_words.say(Cause::Cut, broken.as_ref());
            }
            BodyEnd::Whole => {}
        }
        verdict
    }

    fn broken_off(&self) -> Option<BrokenOff> {
        if self.last_words.is_wanted { self.measured.broken_off() } else { None }
    }
}

impl Cause {
    fn code(self) -> &'static str {
        match self {
            Self::Cut => Verdict::Truncated.label(),
            Self::Reset => Verdict::AbortedByServer.label(),
            Self::Timeout => Verdict::Timeout.label(),
            Self::Draining => Refusal::Draining.reason(),
        }
    }

    fn message(self) -> String {
        match self {
            Self::Cut => "the upstream's answer ended before its end".to_owned(),
            Self::Reset => "the upstream broke its answer off".to_owned(),
            Self::Timeout => "the upstream's answer stopped coming".to_owned(),
            Self::Draining => Refusal::Draining.to_string(),
        }
    }

    fn words(self, broken: &BrokenOff) -> String {
        let (code, message, closing) = (self.code(), self.message(), broken.closing);
        match broken.dialect {
            Dialect::OpenAi | Dialect::Embeddings => {
                let error = json!({ "message": message, "type": "proxy_error", "param": null, "code": code });
                format!("{closing}data: {}\n\n", json!({ "error": error }))
            }
            Dialect::LlamaCpp => {
                let error = json!({ "message": message, "type": "server_error", "code": 502 });
                format!("{closing}data: {}\n\n", json!({ "error": error }))
            }
            Dialect::Responses => {
                let event = json!({
                    "type": "error", "code": code, "message": message, "param": null,
                    "sequence_number": broken.sequence,
                });
                format!("{closing}event: error\ndata: {event}\n\n")
            }
            Dialect::Messages => {
                // Clients take the one for their cue to try again a little later.
                let kind = if self == Self::Draining { "overloaded_error" } else { "api_error" };
                let error = json!({ "type": kind, "message": message });
                let event = json!({ "type": "error", "error": error });
                format!("{closing}event: error\ndata: {event}\n\n")
            }
            Dialect::Ollama => format!("{closing}{}\n", json!({ "error": message })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_is_told_in_its_own_form() {
        for (dialect, words) in [
            (
                Dialect::OpenAi,
                "data: {\"error\":{\"code\":\"truncated\",\"message\":\"the upstream's answer ended before \
                 its end\",\"param\":null,\"type\":\"proxy_error\"}}\n\n",
            ),
            (
                Dialect::LlamaCpp,
                "data: {\"error\":{\"code\":502,\"message\":\"the upstream's answer ended before its end\",\
                 \"type\":\"server_error\"}}\n\n",
            ),
            (
                Dialect::Responses,
                "event: error\ndata: {\"code\":\"truncated\",\"message\":\"the upstream's answer ended \
                 before its end\",\"param\":null,\"sequence_number\":7,\"type\":\"error\"}\n\n",
            ),
            (
                Dialect::Messages,
                "event: error\ndata: {\"error\":{\"message\":\"the upstream's answer ended before its \
                 end\",\"type\":\"api_error\"},\"type\":\"error\"}\n\n",
            ),
            (Dialect::Ollama, "{\"error\":\"the upstream's answer ended before its end\"}\n"),
        ] {
            let broken = BrokenOff { dialect, closing: "", sequence: 7 };
            assert_eq!(Cause::Cut.words(&broken), words);
        }
    }

    #[test]
    fn the_last_event_is_closed_first_and_the_cause_is_named() {
        let broken = BrokenOff { dialect: Dialect::Messages, closing: "\n\n", sequence: 0 };
        for (cause, kind) in [
            (Cause::Cut, "api_error"),
            (Cause::Reset, "api_error"),
            (Cause::Timeout, "api_error"),
            (Cause::Draining, "overloaded_error"),
        ] {
            let words = cause.words(&broken);
            assert!(words.starts_with("\n\nevent: error\n") && words.contains(kind), "{words}");
            assert!(words.contains(&cause.message()), "{words}");
        }
    }
}
