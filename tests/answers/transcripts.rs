//! Replays answers of real servers, byte for byte, and holds what the scan makes of them against
//! `transcripts/expected.toml`, which was written from reading the bytes.
//!
//! Every answer is read whole, in single bytes, in random pieces, and cut at every position: wherever it
//! is cut before its end, it is never taken for a good one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cyan::inspect::answer::{AnswerHead, AnswerScan, Conclusion};
use cyan::model::answer::{FinishReason, Inspection, Tokens};
use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd;
use cyan::model::verdict::Verdict;
use proptest::prelude::*;
use serde::Deserialize;

/// A line of `expected.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    api: String,
    #[serde(default)]
    end: String,
    verdict: Verdict,
    #[serde(default = "yes")]
    scan: bool,
    finish: Option<FinishReason>,
    input: Option<u64>,
    cached: Option<u64>,
    output: Option<u64>,
    #[serde(default)]
    counted: bool,
    first: Option<usize>,
    #[serde(default)]
    events: u32,
}

fn ok() -> u16 {
    200
}

fn yes() -> bool {
    true
}

/// The answer of an exchange, without its chunks.
#[derive(Debug, Clone)]
struct Answer {
    name: String,
    expected: Expected,
    status: u16,
    content_type: Option<String>,
    body: Vec<u8>,
    is_whole: bool,
}

impl Answer {
    fn api(&self) -> Api {
        match self.expected.api.as_str() {
            "chat" => Api::Chat,
            "completions" => Api::Completions,
            "responses" => Api::Responses,
            "messages" => Api::Messages,
            "other" => Api::Other,
            unknown => panic!("{}: api {unknown}", self.name),
        }
    }

    fn end(&self) -> BodyEnd {
        if self.is_whole { BodyEnd::Whole } else { BodyEnd::Cut }
    }

    fn scan(&self) -> Result<AnswerScan, Inspection> {
        let content_type = self.content_type.as_deref().map(str::as_bytes);
        AnswerScan::of(&AnswerHead { content_type, content_encoding: None, api: self.api() })
    }

    /// The conclusion on the first bytes of the body.
    fn cut_at(&self, position: usize, end: BodyEnd) -> Conclusion {
        let mut scan = self.scan().unwrap();
        scan.push(&self.body[..position]);
        scan.conclude(end)
    }
}

/// All answers with a status of 2xx.
fn answers() -> Vec<Answer> {
    all().into_iter().filter(|answer| answer.status < 300).collect()
}

/// Those of them that are scanned.
fn scanned() -> Vec<Answer> {
    answers().into_iter().filter(|answer| answer.expected.scan).collect()
}

fn all() -> Vec<Answer> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let table = fs::read_to_string(root.join("expected.toml")).unwrap();
    let table: BTreeMap<String, BTreeMap<String, Expected>> = toml::from_str(&table).unwrap();
    let mut found = Vec::new();
    for (server, exchanges) in table {
        let files = fs::read_dir(root.join(&server)).unwrap().count();
        assert_eq!(files, exchanges.len(), "every file of {server} has its line");
        for (exchange, expected) in exchanges {
            let name = format!("{server}/{exchange}");
            let bytes = fs::read(root.join(format!("{name}.http"))).unwrap();
            found.push(parse(name, expected, &bytes));
        }
    }
    found
}

fn parse(name: String, expected: Expected, bytes: &[u8]) -> Answer {
    const BETWEEN: &[u8] = b">>>>>>>> response\r\n";
    let answer = find(bytes, BETWEEN).map_or(bytes, |at| &bytes[at + BETWEEN.len()..]);
    let end_of_head = find(answer, b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&answer[..end_of_head]).unwrap();
    let body = &answer[end_of_head + 4..];
    let field = |wanted: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(wanted));
        values.next().map(|(_, value)| value.trim().to_owned())
    };
    let is_chunked = field("transfer-encoding").is_some();
    let (body, is_whole) = if is_chunked { without_chunks(body) } else { (body.to_vec(), true) };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { name, expected, status, content_type: field("content-type"), body, is_whole }
}

/// The body, and whether its last chunk came.
fn without_chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end_of_size) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..end_of_size]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let chunk = &rest[end_of_size + 2..];
        body.extend_from_slice(&chunk[..size]);
        rest = &chunk[size + 2..];
    }
    (body, false)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Reads the body in pieces; returns the conclusion and the events with content.
fn read<'a>(answer: &Answer, pieces: impl Iterator<Item = &'a [u8]>) -> (Conclusion, u32) {
    let mut scan = answer.scan().unwrap();
    let events = pieces.map(|piece| scan.push(piece).content_events).sum();
    (scan.conclude(answer.end()), events)
}

#[test]
fn every_answer_is_worth_what_its_bytes_say() {
    for answer in all() {
        let (name, expected) = (&answer.name, &answer.expected);
        assert_eq!(answer.status, expected.status, "{name}");
        if answer.status >= 300 {
            assert_eq!(expected.verdict, Verdict::HttpError, "{name}");
            continue;
        }
        assert_eq!(answer.is_whole, expected.end != "cut", "{name}");
        if !expected.scan {
            assert_eq!(answer.scan().err(), Some(Inspection::NotApplicable), "{name}");
            continue;
        }
        let wanted = Conclusion {
            verdict: expected.verdict,
            finish: expected.finish,
            tokens: Tokens {
                input: expected.input,
                cached: expected.cached,
                output: expected.output,
                is_output_estimated: expected.counted,
            },
            inspection: Inspection::Read,
        };
        let whole = read(&answer, std::iter::once(answer.body.as_slice()));
        assert_eq!(whole, (wanted, expected.events), "{name}");
        assert_eq!(read(&answer, answer.body.chunks(1)), whole, "{name} byte by byte");
    }
}

#[test]
fn first_content_is_seen_with_the_last_byte_of_its_event() {
    let mut streams = 0;
    for answer in scanned() {
        let Some(first) = answer.expected.first else {
            assert!(!answer.scan().unwrap().is_stream(), "{} is a stream", answer.name);
            continue;
        };
        let end = first + find(&answer.body[first..], b"\n\n").unwrap() + 2;
        let mut scan = answer.scan().unwrap();
        let mut came = answer.body.chunks(1).map(|byte| scan.push(byte).content_events);
        assert_eq!(came.position(|events| events > 0), Some(end - 1), "{}", answer.name);
        streams += 1;
    }
    assert!(streams > 20, "only {streams} streams");
}

/// What ends a stream for good: from its last byte on, the verdict is that of the whole.
fn end_of_stream(answer: &Answer) -> usize {
    let body = &answer.body;
    let last_event = |marks: &[&[u8]]| {
        let at = marks.iter().filter_map(|mark| find(body, mark)).min()?;
        Some(at + find(&body[at..], b"\n\n")? + 2)
    };
    let by_done_mark = find(body, b"data: [DONE]").map(|at| at + b"data: [DONE]".len());
    let by_event =
        || last_event(&[b"\"type\":\"message_stop\"", b"\"type\":\"response.completed\""]);
    // Without either, only the end of the body is one.
    by_done_mark.or_else(by_event).unwrap_or(body.len() + 1)
}

#[test]
fn a_stream_cut_before_its_end_is_never_whole() {
    for answer in scanned().iter().filter(|answer| answer.expected.first.is_some()) {
        let end = end_of_stream(answer);
        for position in 0..=answer.body.len() {
            let at = format!("{} cut at {position}, ends at {end}", answer.name);
            let cut = answer.cut_at(position, BodyEnd::Cut).verdict;
            let reset = answer.cut_at(position, BodyEnd::Reset).verdict;
            if position < end {
                assert_eq!((cut, reset), (Verdict::Truncated, Verdict::AbortedByServer), "{at}");
            } else {
                assert_eq!(
                    (cut, reset),
                    (answer.expected.verdict, answer.expected.verdict),
                    "{at}"
                );
            }
        }
    }
}

#[test]
fn a_stream_that_closes_cleanly_before_its_end_is_truncated_or_empty() {
    for answer in scanned().iter().filter(|answer| answer.expected.first.is_some()) {
        // Where there is no `[DONE]`, the last reason to stop is what a clean end has to follow.
        let last_reason =
            [b"\"finish_reason\":\"length\"".as_slice(), b"\"finish_reason\":\"stop\""];
        let reasons = last_reason.iter().filter_map(|reason| find(&answer.body, reason)).min();
        let end = end_of_stream(answer).min(reasons.unwrap_or(usize::MAX));
        for position in 0..end.min(answer.body.len()) {
            let verdict = answer.cut_at(position, BodyEnd::Whole).verdict;
            let is_bad = matches!(verdict, Verdict::Truncated | Verdict::Empty);
            assert!(is_bad, "{} ended at {position}: {verdict:?}", answer.name);
        }
    }
}

#[test]
fn a_document_is_whole_only_with_its_last_byte() {
    for answer in scanned().iter().filter(|answer| answer.expected.first.is_none()) {
        // What no model said is judged by its wholeness alone.
        let is_judged = answer.api() != Api::Other;
        let last = answer.body.trim_ascii_end().len();
        for position in 0..=answer.body.len() {
            let at = format!("{} cut at {position}", answer.name);
            let cut = answer.cut_at(position, BodyEnd::Cut).verdict;
            assert_eq!(cut, Verdict::Truncated, "{at}");
            let verdict = answer.cut_at(position, BodyEnd::Whole).verdict;
            let expected = match position {
                _ if !is_judged || position >= last => answer.expected.verdict,
                0 => Verdict::Empty,
                _ => Verdict::Truncated,
            };
            assert_eq!(verdict, expected, "{at}, ended cleanly");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_do_not_matter(sizes in proptest::collection::vec(1_usize..700, 1..40)) {
        for answer in scanned() {
            let whole = read(&answer, std::iter::once(answer.body.as_slice()));
            let (mut rest, mut pieces) = (answer.body.as_slice(), Vec::new());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(read(&answer, pieces.into_iter()), whole, "{}", &answer.name);
        }
    }
}
