//! What no server should send: read without growing, without panic, and with the verdict that it deserves.

use cyan::inspect::answer::{AnswerHead, AnswerScan};
use cyan::model::answer::Inspection;
use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd::{Cut, Whole};
use cyan::model::verdict::Verdict::{Complete, Empty, ErrorInBand, Length, Truncated};

use crate::read::{EVENTS, JSON, LINES, in_pieces, read, scan};

const WHOLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const DOCUMENT: &str =
    r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}"#;

#[test]
fn a_lying_content_type_is_seen_through_by_the_first_byte() {
    let cases = [
        ("JSON for a stream", EVENTS, DOCUMENT.to_owned(), Complete),
        ("JSON over several lines for a stream", EVENTS, DOCUMENT.replace(',', ",\n"), Complete),
        (
            "an error in JSON for a stream",
            EVENTS,
            r#"{"error":{"message":"x"}}"#.to_owned(),
            ErrorInBand,
        ),
        ("a stream for JSON", JSON, WHOLE.to_owned(), Complete),
        (
            "a stream that begins with a comment for JSON",
            JSON,
            format!(": hi\n\n{WHOLE}"),
            Complete,
        ),
        (
            "a stream for JSON, after a byte order mark",
            JSON,
            format!("\u{feff}\n{WHOLE}"),
            Complete,
        ),
        ("a stream for lines", LINES, WHOLE.to_owned(), Complete),
        ("HTML for a stream", EVENTS, "<html>busy</html>".to_owned(), Empty),
        ("HTML for JSON", JSON, "<html>busy</html>".to_owned(), Truncated),
    ];
    for (what, content_type, body, verdict) in cases {
        assert_eq!(read(Api::Chat, content_type, &body, Whole).0.verdict, verdict, "{what}");
    }
    let mut seen_through = scan(Api::Chat, JSON);
    assert!(!seen_through.is_stream());
    assert_eq!(seen_through.push(WHOLE.as_bytes()).content_events, 1);
    assert!(seen_through.is_stream());
}

#[test]
fn what_cannot_be_read_is_said_at_once() {
    let of = |content_type: Option<&str>, encoding: Option<&str>| {
        let (content_type, content_encoding) =
            (content_type.map(str::as_bytes), encoding.map(str::as_bytes));
        AnswerScan::of(&AnswerHead { content_type, content_encoding, api: Api::Chat }).err()
    };
    assert_eq!(of(Some("text/html"), None), Some(Inspection::NotApplicable));
    assert_eq!(of(None, None), Some(Inspection::NotApplicable));
    assert_eq!(of(Some("text/html"), Some("gzip")), Some(Inspection::NotApplicable));
    assert_eq!(of(Some(EVENTS), Some("gzip")), Some(Inspection::Compressed));
    assert_eq!(of(Some(JSON), Some("br")), Some(Inspection::Compressed));
    assert_eq!(of(Some(JSON), Some(" Identity ")), None);
    assert_eq!(of(Some(JSON), Some("")), None);
}

#[test]
fn an_event_of_ten_megabytes_is_read_like_any_other() {
    let arguments = "x".repeat(10 << 20);
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"function\":{{\"arguments\":\"{arguments}\"}}}}]}},\
         \"index\":0,\"finish_reason\":\"length\"}}],\"usage\":{{\"completion_tokens\":7}}}}\n\ndata: [DONE]\n\n"
    );
    let pieces = event.as_bytes().chunks(16 << 10);
    let (conclusion, events) = in_pieces(Api::Chat, EVENTS, pieces, Whole);
    assert_eq!((conclusion.verdict, events), (Length, 1));
    assert_eq!((conclusion.tokens.output, conclusion.inspection), (Some(7), Inspection::Read));
}

#[test]
fn an_event_in_ten_thousand_pieces_is_one_event() {
    let text = "y".repeat(10_000);
    let body = WHOLE.replace("\"a\"", &format!("\"{text}\""));
    assert_eq!(read(Api::Chat, EVENTS, &body, Whole).1, 1);
}

#[test]
fn what_is_no_json_counts_as_nothing_and_the_next_event_is_read() {
    for data in [
        "nonsense",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}]}",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]} x",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}{}",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}}]",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}},]}",
        "{\"choices\":[{\"delta\":{\"content\" \"a\"}}]}",
        "{choices:[{\"delta\":{\"content\":\"a\"}}]}",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"x\":nul}",
        "{\"choices\":[{\"delta\":{\"content\":\"a",
        "]",
        "}",
        "\"",
        "",
    ] {
        let (conclusion, events) =
            read(Api::Chat, EVENTS, format!("data: {data}\n\n{WHOLE}"), Whole);
        assert_eq!((conclusion.verdict, events), (Complete, 1), "{data}");
        assert_eq!(read(Api::Chat, JSON, data, Cut).0.verdict, Truncated, "{data}");
    }
}

#[test]
fn what_is_no_utf_8_is_read_all_the_same() {
    let body = [
        b"data: {\"\xFF\xFE\":\"\xC3\",\"choices\":[{\"delta\":{\"content\":\"\xF0\x9F\"}}]}\n\n",
        WHOLE.as_bytes(),
    ]
    .concat();
    let (conclusion, events) = read(Api::Chat, EVENTS, body, Whole);
    assert_eq!((conclusion.verdict, events), (Complete, 2));
}

#[test]
fn what_is_utf_16_is_not_read() {
    let utf_16 = |text: &str| {
        let units = text.encode_utf16().flat_map(u16::to_be_bytes);
        [0xFE, 0xFF].into_iter().chain(units).collect::<Vec<u8>>()
    };
    for (content_type, body, verdict) in
        [(JSON, utf_16(DOCUMENT), Truncated), (EVENTS, utf_16(WHOLE), Empty)]
    {
        assert_eq!(read(Api::Chat, content_type, &body, Whole).0.verdict, verdict);
        assert_eq!(read(Api::Other, content_type, &body, Whole).0.verdict, Complete);
    }
}

#[test]
fn words_with_escapes_are_content_and_keys_with_escapes_are_none() {
    for (delta, events) in [
        (r#"{"content":"\""}"#, 1),
        (r#"{"content":"\\"}"#, 1),
        (r#"{"content":"\ud83e\udd80"}"#, 1),
        (r#"{"role":"\\\"","content":""}"#, 0),
        (r#"{"c\u006fntent":"a"}"#, 0),
    ] {
        let event = format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
        assert_eq!(read(Api::Chat, EVENTS, event, Cut).1, events, "{delta}");
    }
}

#[test]
fn endless_comments_and_endless_lines_say_nothing() {
    let mut comments = scan(Api::Chat, EVENTS);
    let mut line = scan(Api::Chat, EVENTS);
    let mut name = scan(Api::Chat, EVENTS);
    line.push(b"data: ");
    for _ in 0..100_000 {
        assert_eq!(comments.push(b": keep-alive\n\n").content_events, 0);
        line.push(b"data: data: data: ");
        name.push(b"datadatadata");
    }
    for scan in [&mut comments, &mut line, &mut name] {
        assert_eq!(scan.conclude(Cut).verdict, Truncated);
    }
}

#[test]
fn an_answer_without_a_body_is_complete_where_no_words_were_asked_for() {
    for content_type in [EVENTS, JSON, LINES] {
        assert_eq!(read(Api::Other, content_type, "", Whole).0.verdict, Complete);
        assert_eq!(read(Api::Chat, content_type, "", Whole).0.verdict, Empty);
    }
}

#[test]
fn what_is_deeper_or_wider_than_is_kept_is_given_up_and_accuses_nobody() {
    let deep = |levels: usize| {
        format!("{{\"choices\":[],\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    let event = |data: &str| format!("data: {data}\n\ndata: [DONE]\n\n");
    let far = r#"{"choices":[{"index":128,"delta":{"content":"a"}}]}"#;
    for (body, inspection, verdict) in [
        (event(&deep(65_535)), Inspection::Read, Empty),
        (event(&deep(65_536)), Inspection::GivenUp, Complete),
        (event(far), Inspection::GivenUp, Complete),
    ] {
        let (conclusion, _) = read(Api::Chat, EVENTS, &body, Whole);
        assert_eq!((conclusion.inspection, conclusion.verdict), (inspection, verdict));
    }
    let (conclusion, events) =
        read(Api::Chat, EVENTS, format!("data: {}\n\n{WHOLE}", deep(70_000)), Whole);
    assert_eq!((conclusion.verdict, events), (Complete, 1), "the next event is read");
    assert_eq!(conclusion.inspection, Inspection::GivenUp);
}

#[test]
fn deep_ways_to_a_meaning_end_somewhere() {
    let mut content = "\"a\"".to_owned();
    for _ in 0..50 {
        content = format!("[{{\"thinking\":{content}}}]");
    }
    let event =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{content}}}}}]}}\n\n{WHOLE}");
    let (conclusion, _) = read(Api::Chat, EVENTS, event, Whole);
    assert_eq!((conclusion.verdict, conclusion.inspection), (Complete, Inspection::Read));
}

#[test]
fn numbers_beyond_reason_are_no_numbers() {
    for count in
        ["99999999999999999999999", "1099511627777", "-1", "1.5", "1e3", "true", "\"7\"", "null"]
    {
        let body =
            DOCUMENT.replace("]}", &format!("],\"usage\":{{\"completion_tokens\":{count}}}}}"));
        let (conclusion, _) = read(Api::Chat, JSON, &body, Whole);
        assert_eq!((conclusion.verdict, conclusion.tokens.output), (Complete, None), "{count}");
    }
    for (most, told) in [(1_u64 << 40, Some(2 << 40)), (u64::MAX, None)] {
        let body = format!(
            r#"{{"type":"message","content":[{{"text":"a"}}],"stop_reason":"end_turn","usage":{{"input_tokens":{most},"cache_read_input_tokens":{most},"output_tokens":1}}}}"#
        );
        let (conclusion, _) = read(Api::Messages, JSON, &body, Whole);
        assert_eq!((conclusion.tokens.input, conclusion.tokens.output), (told, Some(1)));
    }
    let later = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":99999999999999}}\n\n";
    let (conclusion, _) = read(Api::Chat, EVENTS, format!("{later}{WHOLE}"), Whole);
    assert_eq!(conclusion.tokens.output, Some(1), "what was counted stands for it");
}
