//! What servers of Responses are known to send.

use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd::{Cut, Whole};
use cyan::model::response_id::ResponseId;
use cyan::model::verdict::Verdict::{Complete, Empty, ErrorInBand, Filtered, Length, Truncated};

use crate::read::{EVENTS, JSON, named, read, scan, stream, table};

#[test]
fn responses_end_with_one_of_their_last_events() {
    let created = r#"{"type":"response.created","response":{"id":"r","object":"response","status":"in_progress","error":null,"incomplete_details":null,"output":[],"usage":null},"sequence_number":0}"#;
    let text = r#"{"type":"response.output_text.delta","delta":"a","sequence_number":1}"#;
    let empty = r#"{"type":"response.output_text.delta","delta":"","sequence_number":1}"#;
    let thought = r#"{"type":"response.reasoning_summary_text.delta","delta":"a"}"#;
    let arguments = r#"{"type":"response.function_call_arguments.delta","delta":"{\"a"}"#;
    let tool = r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f","arguments":""}}"#;
    let item = r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#;
    let said = r#"{"type":"message","content":[{"type":"output_text","text":"a"}]}"#;
    let ends = |kind: &str, status: &str, details: &str, output: &str| {
        format!(
            r#"{{"type":"response.{kind}","response":{{"object":"response","status":"{status}","incomplete_details":{details},"error":null,"output":[{output}],"usage":{{"input_tokens":6,"input_tokens_details":{{"cached_tokens":2}},"output_tokens":3}}}}}}"#
        )
    };
    let completed = ends("completed", "completed", "null", said);
    let limit = ends("incomplete", "incomplete", r#"{"reason":"max_output_tokens"}"#, said);
    let squeezed = ends("completed", "incomplete", r#"{"reason":"max_output_tokens"}"#, said);
    let filter = ends("incomplete", "incomplete", r#"{"reason":"content_filter"}"#, "");
    let failed = r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}"#;
    let error = r#"{"type":"error","code":"rate_limit_exceeded","message":"quota","param":null,"sequence_number":1}"#;
    let refused = ends(
        "completed",
        "completed",
        "null",
        r#"{"type":"message","content":[{"type":"refusal","refusal":"no"}]}"#,
    );
    let nothing = ends("completed", "completed", "null", "");
    table(
        Api::Responses,
        EVENTS,
        &[
            ("text", named(&[created, item, text, text, &completed]), Whole, Complete, 2),
            (
                "without the names of events",
                stream(&[created, text, &completed]),
                Whole,
                Complete,
                1,
            ),
            ("thoughts", named(&[created, thought, &completed]), Whole, Complete, 1),
            (
                "a tool's name and arguments",
                named(&[created, tool, arguments, &completed]),
                Whole,
                Complete,
                2,
            ),
            ("all at the end", named(&[created, &completed]), Whole, Complete, 1),
            ("nothing", named(&[created, empty, &nothing]), Whole, Empty, 0),
            ("at the limit", named(&[created, text, &limit]), Whole, Length, 1),
            (
                "at the limit, by the name of completed",
                named(&[created, text, &squeezed]),
                Whole,
                Length,
                1,
            ),
            ("filtered", named(&[created, text, &filter]), Whole, Filtered, 1),
            ("refused", named(&[created, text, &refused]), Whole, Filtered, 1),
            ("failed", named(&[created, text, failed]), Whole, ErrorInBand, 1),
            ("quota, after the first event", named(&[created, error]), Whole, ErrorInBand, 0),
            ("no last event", named(&[created, text]), Whole, Truncated, 1),
            ("cut behind its last event", named(&[created, text, &completed]), Cut, Complete, 1),
        ],
    );
    let tokens = read(Api::Responses, EVENTS, named(&[created, text, &completed]), Whole).0.tokens;
    assert_eq!((tokens.input, tokens.cached, tokens.output), (Some(6), Some(2), Some(3)));
}

#[test]
fn a_whole_response_is_read_too() {
    let response = |status: &str, output: &str| {
        format!(
            r#"{{"id":"r","object":"response","status":"{status}","error":null,"incomplete_details":null,"output":[{output}]}}"#
        )
    };
    let failed =
        r#"{"object":"response","status":"failed","error":{"code":"server_error"},"output":[]}"#;
    let said = r#"{"type":"message","content":[{"type":"output_text","text":"a"}]}"#;
    table(
        Api::Responses,
        JSON,
        &[
            ("text", response("completed", said), Whole, Complete, 0),
            ("nothing", response("completed", ""), Whole, Empty, 0),
            (
                "only thoughts that are not shown",
                response("completed", r#"{"type":"reasoning","summary":[]}"#),
                Whole,
                Empty,
                0,
            ),
            ("made in the background", response("queued", ""), Whole, Complete, 0),
            ("failed", failed.to_owned(), Whole, ErrorInBand, 0),
        ],
    );
    // One that is only looked up may have failed long ago, elsewhere.
    table(Api::Other, JSON, &[("looked up", failed.to_owned(), Whole, Complete, 0)]);
}

/// By it a client goes on: before the byte behind it reaches the client it is known.
#[test]
fn the_id_of_a_response_is_known_as_soon_as_it_has_come() {
    let id = format!("resp_{}", "0f".repeat(24));
    let created = format!(
        r#"data: {{"type":"response.created","response":{{"id":"{id}","object":"response","status":"in_progress"}},"sequence_number":0}}"#
    );
    let document = format!(
        r#"{{"id":"{id}","object":"response","status":"completed","output":[{{"id":"msg_1"}}]}}"#
    );
    let longest = document.replace(&id, &"x".repeat(80));
    let too_long = document.replace(&id, &"x".repeat(81));
    let nested = r#"{"object":"list","data":[{"id":"resp_1"}]}"#.to_owned();
    let expected = ResponseId::of(id.as_bytes());
    for (api, content_type, body, expected) in [
        (
            Api::Responses,
            EVENTS,
            format!("{created}\n\n{}", created.replace(&id, "resp_2")),
            expected,
        ),
        (
            Api::Responses,
            EVENTS,
            created[..=created.find("\",\"object").unwrap()].to_owned(),
            expected,
        ),
        (Api::Responses, JSON, document.clone(), expected),
        (Api::Responses, JSON, longest, ResponseId::of("x".repeat(80).as_bytes())),
        (Api::Responses, JSON, too_long, None),
        (Api::Responses, JSON, nested, None),
        (Api::Chat, JSON, document, None),
        (Api::Other, EVENTS, created.clone(), None),
    ] {
        for pieces in [1, 7, body.len()] {
            let mut scan = scan(api, content_type);
            for piece in body.as_bytes().chunks(pieces) {
                scan.push(piece);
            }
            assert_eq!(scan.response_id(), expected, "{body} by {pieces}");
        }
    }
}
