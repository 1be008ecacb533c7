//! Judges an answer as a strict client would: only what is whole, and says something, is complete.
//!
//! It reads the Chat Completions that emulated servers send, where the order of fields is known, and
//! is no parser for the rest of the world.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use memchr::memmem;

use crate::model::verdict::Verdict;

/// Most bytes of an unfinished line, or of an answer in one piece, that are kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What has been read of one answer.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the answer")]
pub(super) struct Reading {
    is_success: bool,
    is_stream: bool,
    /// The unfinished line of a stream, or the whole of another answer.
    kept: Vec<u8>,
    has_content: bool,
    has_error: bool,
    is_wrong: bool,
    finish: Option<Verdict>,
    is_done: bool,
}

impl Reading {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        Self {
            is_success: status.is_success(),
            is_stream: content_type.is_some_and(|value| value.starts_with(b"text/event-stream")),
            kept: Vec::new(),
            has_content: false,
            has_error: false,
            is_wrong: false,
            finish: None,
            is_done: false,
        }
    }

    pub(super) fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether the server has put the word `wrong` in its answer.
    pub(super) fn is_wrong(&self) -> bool {
        self.is_wrong
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        if !self.is_stream {
            self.keep(bytes);
            self.look_at_text_of_whole();
            return;
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.kept);
            self.look_at_line(&line);
        }
        self.keep(bytes);
    }

    /// `is_whole`: whether the framing of the body ended as it should.
    pub(super) fn verdict(&self, is_whole: bool) -> Verdict {
        if !self.is_success {
            return Verdict::HttpError;
        }
        if self.has_error {
            return Verdict::ErrorInBand;
        }
        let has_terminator = self.is_done || !self.is_stream;
        match self.finish {
            Some(finish) if is_whole && has_terminator && self.has_content => finish,
            Some(_) if is_whole && has_terminator => Verdict::Empty,
            None if is_whole && self.is_stream && !self.has_content => Verdict::Empty,
            _ => Verdict::Truncated,
        }
    }

    fn look_at_line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data: ") else { return };
        if data.starts_with(b"[DONE]") {
            self.is_done = true;
        } else if data.starts_with(br#"{"error":"#) {
            self.has_error = true;
        } else {
            self.look_at_choice(data);
        }
    }

    fn look_at_text_of_whole(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.has_error |= kept.starts_with(br#"{"error":"#);
        self.look_at_choice(&kept);
        self.kept = kept;
    }

    fn look_at_choice(&mut self, json: &[u8]) {
        let after = |field: &[u8]| memmem::find(json, field).map(|at| &json[at + field.len()..]);
        // The field is there and its string is not empty.
        self.has_content |=
            after(br#""content":""#).is_some_and(|rest| rest.first().is_some_and(|b| *b != b'"'));
        self.is_wrong |= self.has_content && memmem::find(json, b" wrong").is_some();
        if let Some(reason) = after(br#""finish_reason":""#) {
            let is_cut = reason.starts_with(b"length");
            self.finish = Some(if is_cut { Verdict::Length } else { Verdict::Complete });
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT_BYTES_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = r#"data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}]}"#;
    const STOP: &str = r#"data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#;
    const ERROR: &str = r#"data: {"error":{"message":"no"}}"#;
    const DONE: &str = "data: [DONE]";

    #[test]
    fn a_stream_is_complete_only_with_content_finish_and_terminator() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, "text/event-stream".parse().unwrap())]);
        for (lines, is_whole, expected) in [
            (&[TOKEN, STOP, DONE][..], true, Verdict::Complete),
            (&[TOKEN, STOP, DONE], false, Verdict::Truncated),
            (&[TOKEN, STOP], true, Verdict::Truncated),
            (&[TOKEN, DONE], true, Verdict::Truncated),
            (&[STOP, DONE], true, Verdict::Empty),
            (&[], true, Verdict::Empty),
            (&[TOKEN, ERROR, DONE], true, Verdict::ErrorInBand),
        ] {
            let text = lines.join("\n\n") + "\n\n";
            // Cut everywhere: chunks do not follow events.
            for at in 0..=text.len() {
                let mut reading = Reading::new(StatusCode::OK, &headers);
                reading.feed(&text.as_bytes()[..at]);
                reading.feed(&text.as_bytes()[at..]);
                assert_eq!(reading.verdict(is_whole), expected, "{lines:?} cut at {at}");
            }
        }
    }

    #[test]
    fn an_answer_in_one_piece_is_judged_by_what_it_says() {
        let whole = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"length"}]}"#;
        for (text, is_whole, expected) in [
            (whole, true, Verdict::Length),
            (&whole[..30], false, Verdict::Truncated),
            (r#"{"error":{"message":"no"}}"#, true, Verdict::ErrorInBand),
        ] {
            let mut reading = Reading::new(StatusCode::OK, &HeaderMap::new());
            reading.feed(text.as_bytes());
            assert_eq!(reading.verdict(is_whole), expected, "{text}");
        }
        let failed = Reading::new(StatusCode::BAD_GATEWAY, &HeaderMap::new());
        assert_eq!(failed.verdict(true), Verdict::HttpError);
    }
}
