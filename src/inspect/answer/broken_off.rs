//! Where a stream stands when it breaks off: whether something can still be said in it, and in whose words.
//!
//! Only between two events, or behind one whose JSON is whole and which only lacks its end. Within an event
//! nothing can be said: clients would read it as part of the event, and SDKs would raise an error of their
//! JSON parser that no program expects. There, a cut is the honest end, for which they have an error of
//! their own.

use super::dialect::Dialect;
use super::form::Form;
use super::json_walk::Progress;
use super::{AnswerScan, Opening};

/// A stream that breaks off at a place where something can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenOff {
    /// Whose words its client understands.
    pub dialect: Dialect,
    /// Ends the last event as it was meant; to be said first.
    pub closing: &'static str,
    /// The number of the next event, where events have numbers.
    pub sequence: u64,
}

impl AnswerScan {
    /// What can still be said, if the stream breaks off here. Nothing once the server itself has said how it
    /// ends.
    pub fn broken_off(&self) -> Option<BrokenOff> {
        let tally = &self.reading.tally;
        if tally.is_terminated() || tally.has_error || matches!(self.opening, Opening::Mark(1..)) {
            return None;
        }
        let dialect = tally.dialect.or(Dialect::expected(tally.api))?;
        let data = self.reading.progress();
        let closing = match (self.form, dialect) {
            (Form::Lines, Dialect::Ollama) => match data {
                Progress::Nothing => Some(""),
                Progress::Complete => Some("\n"),
                Progress::Open | Progress::Broken | Progress::TooDeep => None,
            },
            (Form::EventStream, known) if known.streams_events() => self.stream.closing(data),
            _ => None,
        }?;
        let sequence = self.reading.sequence().map_or(0, |last| last.saturating_add(1));
        Some(BrokenOff { dialect, closing, sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::super::AnswerHead;
    use super::*;
    use crate::model::api::Api;

    fn closing_after(content_type: &str, api: Api, bytes: &str) -> Option<&'static str> {
        broken_off(content_type, api, bytes).map(|broken| broken.closing)
    }

    fn broken_off(content_type: &str, api: Api, bytes: &str) -> Option<BrokenOff> {
        let content_type = Some(content_type.as_bytes());
        let head = AnswerHead { content_type, content_encoding: None, api };
        let mut scan = AnswerScan::of(&head).unwrap();
        scan.push(bytes.as_bytes());
        scan.broken_off()
    }

    #[test]
    fn nothing_is_said_within_the_data_of_an_event() {
        for (bytes, closing) in [
            ("", Some("")),
            ("\u{feff}", Some("")),
            ("data: {\"choices\":[]}\n\n", Some("")),
            ("data: {\"choices\":[]}\r\n\r\n", Some("")),
            (": ping\n\n", Some("")),
            (": pi", Some("\n")),
            ("event: chu", Some("\n")),
            ("event: chunk\n", Some("")),
            ("dat", Some("\n")),
            ("data: ", Some("\n")),
            ("data: {\"choices\":[]}", Some("\n\n")),
            ("data: {\"choices\":[]}\n", Some("\n")),
            ("data: {\"choices\":[]}\r", Some("\n\n")),
            ("data: {\"choices\":[]}\r\n", Some("\n")),
            ("data: {\"choices\":[]}\nid: 1", None),
            ("data: {\"choices\":[", None),
            ("data: {\"choices\":\n", None),
            ("data: word", None),
            ("data: [DO", None),
        ] {
            assert_eq!(closing_after("text/event-stream", Api::Chat, bytes), closing, "{bytes:?}");
        }
    }

    #[test]
    fn nothing_is_added_to_what_the_server_said_of_its_end() {
        for bytes in ["data: [DONE]", "data: {\"error\":{\"message\":\"x\"}}\n\n"] {
            assert_eq!(closing_after("text/event-stream", Api::Chat, bytes), None, "{bytes}");
        }
        let end = "data: {\"type\":\"message_stop\"}\n\n";
        assert_eq!(closing_after("text/event-stream", Api::Messages, end), None);
    }

    #[test]
    fn lines_are_spoken_in_between_lines() {
        for (bytes, closing) in [
            ("{\"message\":{},\"done\":false}\n", Some("")),
            ("{\"message\":{},\"done\":false}", Some("\n")),
            ("{\"message\":", None),
            ("{\"message\":{},\"done\":true}\n", None),
        ] {
            assert_eq!(closing_after("application/x-ndjson", Api::Ollama, bytes), closing);
        }
    }

    #[test]
    fn only_streams_whose_words_are_known_are_spoken_in() {
        let stream = "text/event-stream";
        assert_eq!(closing_after(stream, Api::Other, "data: 1\n\n"), None);
        assert_eq!(closing_after("application/json", Api::Chat, ""), None);
        let known = broken_off(stream, Api::Other, "data: {\"type\":\"message_start\"}\n\n");
        assert_eq!(known.map(|known| known.dialect), Some(Dialect::Messages));
    }

    #[test]
    fn events_of_responses_are_counted_on() {
        let event = |number| {
            format!("data: {{\"type\":\"response.created\",\"sequence_number\":{number}}}\n\n")
        };
        let sequence = |bytes: &str| {
            broken_off("text/event-stream", Api::Responses, bytes).map(|broken| broken.sequence)
        };
        assert_eq!(sequence(""), Some(0));
        assert_eq!(sequence(&(event(0) + &event(7))), Some(8));
        assert_eq!(sequence(event(3).trim_end()), Some(4));
    }
}
