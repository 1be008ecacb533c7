//! Reads a body written in a test.

use cyan::inspect::answer::{AnswerHead, AnswerScan, Conclusion, Passed};
use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd;
use cyan::model::verdict::Verdict;

/// The type of a stream.
pub const EVENTS: &str = "text/event-stream";

/// The type of a document.
pub const JSON: &str = "application/json";

/// The type of lines of JSON.
pub const LINES: &str = "application/x-ndjson";

/// A scan for an answer of a type.
pub fn scan(api: Api, content_type: &str) -> AnswerScan {
    let content_type = Some(content_type.as_bytes());
    AnswerScan::of(&AnswerHead { content_type, content_encoding: None, api }).unwrap()
}

/// Reads a body in one piece and byte by byte, holds both against each other, and returns what it came to
/// and how many events carried content.
pub fn read(
    api: Api,
    content_type: &str,
    body: impl AsRef<[u8]>,
    end: BodyEnd,
) -> (Conclusion, u32) {
    let whole = in_pieces(api, content_type, std::iter::once(body.as_ref()), end);
    let bytes = in_pieces(api, content_type, body.as_ref().chunks(1), end);
    assert_eq!(whole, bytes, "one byte at a time");
    whole
}

/// Reads a body in pieces.
pub fn in_pieces<'a>(
    api: Api,
    content_type: &str,
    pieces: impl Iterator<Item = &'a [u8]>,
    end: BodyEnd,
) -> (Conclusion, u32) {
    let mut scan = scan(api, content_type);
    let passed: Vec<Passed> = pieces.map(|piece| scan.push(piece)).collect();
    assert!(passed.iter().filter(|passed| passed.has_failed).count() <= 1, "told only once");
    (scan.conclude(end), passed.iter().map(|passed| passed.content_events).sum())
}

/// A chunk that only names the role.
pub const ROLE: &str =
    r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;

/// A chunk with a word.
pub const WORD: &str =
    r#"{"choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}"#;

/// A chunk with the reason to stop.
pub const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

/// The mark at the end.
pub const DONE: &str = "[DONE]";

/// A stream of these data, an event each.
pub fn stream(data: &[&str]) -> String {
    let events: Vec<String> = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    events.concat()
}

/// A stream of typed events, each with its name, as Messages and Responses have them.
pub fn named(data: &[&str]) -> String {
    let name = |data: &str| data.split('"').nth(3).unwrap().to_owned();
    let event = |data: &&str| format!("event: {}\ndata: {data}\n\n", name(data));
    data.iter().map(event).collect::<Vec<_>>().concat()
}

/// Holds each body against the verdict and the events with content that it comes to.
pub fn table(api: Api, content_type: &str, cases: &[(&str, String, BodyEnd, Verdict, u32)]) {
    for (what, body, end, verdict, events) in cases {
        let (conclusion, content) = read(api, content_type, body, *end);
        assert_eq!((conclusion.verdict, content), (*verdict, *events), "{what}: {body}");
    }
}
