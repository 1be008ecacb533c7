//! How streams are laid out: lines, events, comments, ends.

use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd::{Cut, Reset, Whole};
use cyan::model::verdict::Verdict::{AbortedByServer, Complete, Empty, Truncated};

use crate::read::{DONE, EVENTS, ROLE, STOP, WORD, read, scan, stream, table};

#[test]
fn lines_end_at_lf_cr_or_crlf_wherever_they_are_split() {
    let body = stream(&[ROLE, WORD, WORD, STOP, DONE]);
    for end in ["\n", "\r", "\r\n"] {
        let (conclusion, events) = read(Api::Chat, EVENTS, body.replace('\n', end), Whole);
        assert_eq!((conclusion.verdict, events), (Complete, 2), "{end:?}");
    }
    // An empty piece, and the two bytes of a CRLF in different ones.
    let mut scan = scan(Api::Chat, EVENTS);
    let pieces: [&[u8]; 5] = [b"data: ", WORD.as_bytes(), b"\r", b"", b"\n\r"];
    let events = pieces.map(|piece| scan.push(piece).content_events);
    assert_eq!(events, [0, 0, 0, 0, 1], "the CR of a blank line ends an event");
    assert_eq!(scan.push(b"\n").content_events, 0);
}

#[test]
fn framing_follows_the_standard() {
    let word_in_lines =
        "data: {\"choices\":[{\"index\":0,\ndata:\"delta\":{\"content\":\ndata: \"word\"}}]}\n\n";
    let ended = stream(&[STOP, DONE]);
    let cases = [
        ("a byte order mark", format!("\u{feff}{}", stream(&[WORD, STOP, DONE])), 1),
        (
            "a second byte order mark",
            format!("\u{feff}\u{feff}{}{ended}", stream(&[WORD, WORD])),
            1,
        ),
        ("no space after the colon", format!("data:{WORD}\n\n{ended}"), 1),
        ("several data lines are one event", format!("{word_in_lines}{ended}"), 1),
        (
            "unknown fields",
            format!("id: 7\nretry: 10\nfoo\nfoo: {WORD}\ndata: {WORD}\n\n{ended}"),
            1,
        ),
        ("a field is compared as it is", format!("Data: {WORD}\n\n data: {WORD}\n\n{ended}"), 0),
        ("comments", format!(":\n\n: ping\n:data: {WORD}\n\ndata: {WORD}\n:\n\n{ended}"), 1),
        ("data without a value", format!("data\n\ndata:\n\ndata: {WORD}\n\n{ended}"), 1),
        ("an event without a blank line never happened", format!("{ended}data: {WORD}"), 0),
    ];
    for (what, body, content) in cases {
        let (conclusion, events) = read(Api::Chat, EVENTS, &body, Whole);
        let verdict = if content == 0 { Empty } else { Complete };
        assert_eq!((conclusion.verdict, events), (verdict, content), "{what}: {body}");
    }
}

#[test]
fn the_done_mark_is_data_that_begins_with_it_and_nothing_after_it_counts() {
    let whole = stream(&[ROLE, WORD, STOP]);
    let error = stream(&[r#"{"error":{"message":"too late"}}"#]);
    table(
        Api::Chat,
        EVENTS,
        &[
            ("no blank line after it", format!("{whole}data: [DONE]"), Whole, Complete, 1),
            (
                "the connection breaks right behind it",
                format!("{whole}data: [DONE]"),
                Cut,
                Complete,
                1,
            ),
            ("it is reset right behind it", format!("{whole}data: [DONE]\n"), Reset, Complete, 1),
            ("more in the same data", format!("{whole}data: [DONE] bye\n\n"), Whole, Complete, 1),
            ("an error after it", format!("{whole}data: [DONE]\n\n{error}"), Whole, Complete, 1),
            ("content after it", format!("{whole}data: [DONE]\n\n{whole}"), Whole, Complete, 1),
            ("not all of it", format!("{whole}data: [DONE"), Cut, Truncated, 1),
            ("a list is no mark", format!("{}data: [1]\n\n", stream(&[WORD])), Whole, Truncated, 1),
            (
                "not at the beginning",
                format!("{}data: x[DONE]\n\n", stream(&[WORD])),
                Whole,
                Truncated,
                1,
            ),
            ("alone it says nothing", stream(&[DONE]), Whole, Empty, 0),
            ("it is no reason to stop", stream(&[ROLE, WORD, DONE]), Whole, Truncated, 1),
        ],
    );
}

#[test]
fn keep_alives_are_no_content() {
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n: keepalive\n\n:\n\n";
    let body = format!("{ping}{}{ping}{}{ping}", stream(&[ROLE, WORD]), stream(&[STOP, DONE]));
    table(Api::Chat, EVENTS, &[("pings everywhere", body, Whole, Complete, 1)]);
}

#[test]
fn an_end_without_the_terminator_is_truncated_however_it_looks() {
    let open = stream(&[ROLE, WORD]);
    let stopped = stream(&[ROLE, WORD, STOP]);
    table(
        Api::Chat,
        EVENTS,
        &[
            ("a clean end in the middle", open.clone(), Whole, Truncated, 1),
            ("a missing last chunk", open.clone(), Cut, Truncated, 1),
            ("a reset stream", open, Reset, AbortedByServer, 1),
            ("a reason to stop, then cut", stopped.clone(), Cut, Truncated, 1),
            ("a reason to stop, then reset", stopped.clone(), Reset, AbortedByServer, 1),
            ("some servers send no mark", stopped, Whole, Complete, 1),
        ],
    );
}

#[test]
fn a_stream_without_any_event_is_empty_where_words_were_to_come() {
    for api in [Api::Chat, Api::Completions, Api::Messages, Api::Responses] {
        assert_eq!(read(api, EVENTS, "", Whole).0.verdict, Empty);
    }
    assert_eq!(read(Api::Other, EVENTS, "", Whole).0.verdict, Complete);
    assert_eq!(read(Api::Chat, EVENTS, "", Cut).0.verdict, Truncated);
}
