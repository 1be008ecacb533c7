//! Reads any bytes as the body of an answer: nothing panics or overflows, and what is found does not depend
//! on the pieces in which the bytes come.
//!
//! The last four bytes of the input choose what the head says, how the body ends and how it is cut, so that
//! captured exchanges can serve as seeds as they are.

#![no_main]

use cyan_fuzz::inspect::answer::{AnswerHead, AnswerScan, Conclusion};
use cyan_fuzz::model::answer::FinishReason;
use cyan_fuzz::model::api::Api;
use cyan_fuzz::model::body_end::BodyEnd;
use cyan_fuzz::model::verdict::Verdict;
use cyan_fuzz::pieces::pieces;
use libfuzzer_sys::fuzz_target;

const CONTENT_TYPES: [&[u8]; 3] =
    [b"text/event-stream", b"application/json; charset=utf-8", b"application/x-ndjson"];

const APIS: [Api; 7] = [
    Api::Chat,
    Api::Completions,
    Api::Responses,
    Api::Messages,
    Api::Ollama,
    Api::Embeddings,
    Api::Other,
];

const ENDS: [BodyEnd; 3] = [BodyEnd::Whole, BodyEnd::Cut, BodyEnd::Reset];

/// What reading an answer comes to: its conclusion, its events with content, and whether a failure was told.
type Found = (Conclusion, u64, bool);

fuzz_target!(|input: &[u8]| {
    let Some((body, [head, end, seed, step])) = input.split_last_chunk() else { return };
    let head = AnswerHead {
        content_type: Some(CONTENT_TYPES[usize::from(*head) % CONTENT_TYPES.len()]),
        content_encoding: None,
        api: APIS[usize::from(*head >> 4) % APIS.len()],
    };
    let end = ENDS[usize::from(*end) % ENDS.len()];
    let whole = read(&head, std::iter::once(body), end);
    assert_eq!(read(&head, body.chunks(1), end), whole, "byte by byte");
    assert_eq!(read(&head, pieces(body, *seed, *step), end), whole, "in pieces");
    hold(&whole, end);
});

fn read<'a>(head: &AnswerHead<'_>, pieces: impl Iterator<Item = &'a [u8]>, end: BodyEnd) -> Found {
    let mut scan = AnswerScan::of(head).expect("a type that is read, and not compressed");
    let (mut events, mut failures) = (0, 0);
    for piece in pieces {
        let passed = scan.push(piece);
        events += u64::from(passed.content_events);
        failures += u32::from(passed.has_failed);
    }
    assert!(failures <= 1, "a failure is told once");
    (scan.conclude(end), events, failures > 0)
}

/// What holds of every answer.
fn hold((conclusion, events, has_failed): &Found, end: BodyEnd) {
    let Conclusion { verdict, finish, tokens, .. } = *conclusion;
    assert!(!has_failed || verdict == Verdict::ErrorInBand, "a failure that was told stays one");
    assert!(verdict != Verdict::Truncated || end != BodyEnd::Reset);
    assert!(verdict != Verdict::Empty || *events == 0);
    assert!(verdict != Verdict::Length || finish.is_some());
    assert!(!tokens.is_output_estimated || tokens.output >= Some(*events));
    assert!(finish != Some(FinishReason::Aborted) || verdict != Verdict::Complete || *events == 0);
}
