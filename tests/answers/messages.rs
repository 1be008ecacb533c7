//! What servers of Anthropic's Messages are known to send.

use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd::{Cut, Whole};
use cyan::model::verdict::Verdict::{Complete, Empty, ErrorInBand, Filtered, Length, Truncated};

use crate::read::{EVENTS, JSON, named, read, stream, table};

const BEGIN: &str = r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":20,"cache_read_input_tokens":300,"output_tokens":1}}}"#;

const MESSAGE_STOP: &str = r#"{"type":"message_stop"}"#;

fn block_delta(delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#)
}

fn message_delta(reason: &str) -> String {
    format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":15}}}}"#
    )
}

#[test]
fn messages_begin_in_blocks_and_end_with_their_own_event() {
    let text = block_delta(r#"{"type":"text_delta","text":"a"}"#);
    let thought = block_delta(r#"{"type":"thinking_delta","thinking":"a"}"#);
    let input = block_delta(r#"{"type":"input_json_delta","partial_json":"{\"a"}"#);
    let signature = block_delta(r#"{"type":"signature_delta","signature":"EqQB"}"#);
    let empty = block_delta(r#"{"type":"text_delta","text":""}"#);
    let tool = r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
    let block =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let (turn, limit) = (message_delta("end_turn"), message_delta("max_tokens"));
    let refusal = message_delta("refusal");
    let window = message_delta("model_context_window_exceeded");
    let overloaded =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let whole = |says: &str| named(&[BEGIN, block, says, &turn, MESSAGE_STOP]);
    table(
        Api::Messages,
        EVENTS,
        &[
            ("text", whole(&text), Whole, Complete, 1),
            ("thoughts", whole(&thought), Whole, Complete, 1),
            ("the input of a tool", whole(&input), Whole, Complete, 1),
            ("the name of a tool", whole(tool), Whole, Complete, 1),
            ("a signature is no content", whole(&signature), Whole, Empty, 0),
            ("nor is an empty text", whole(&empty), Whole, Empty, 0),
            ("it ends with its last event", whole(&text), Cut, Complete, 1),
            ("at the limit", named(&[BEGIN, &text, &limit, MESSAGE_STOP]), Whole, Length, 1),
            ("no room left", named(&[BEGIN, &text, &window, MESSAGE_STOP]), Whole, Length, 1),
            ("a refusal", named(&[BEGIN, &refusal, MESSAGE_STOP]), Whole, Filtered, 0),
            ("a reason, but no last event", named(&[BEGIN, &text, &turn]), Whole, Truncated, 1),
            (
                "a last event, but no reason",
                named(&[BEGIN, &text, MESSAGE_STOP]),
                Whole,
                Truncated,
                1,
            ),
            (
                "no done mark stands for the last event",
                named(&[BEGIN, &text]) + "data: [DONE]\n\n",
                Whole,
                Truncated,
                1,
            ),
            ("an error", named(&[BEGIN, &text, overloaded]), Whole, ErrorInBand, 1),
            ("an error without its name", stream(&[overloaded]), Whole, ErrorInBand, 0),
        ],
    );
    let tokens = read(Api::Messages, EVENTS, whole(&text), Whole).0.tokens;
    let told = (tokens.input, tokens.cached, tokens.output, tokens.is_output_estimated);
    assert_eq!(
        told,
        (Some(325), Some(300), Some(15), false),
        "of all that went in, and the last count"
    );
    let tokens = read(Api::Messages, EVENTS, named(&[BEGIN, &text, &text]), Cut).0.tokens;
    assert_eq!(
        (tokens.output, tokens.is_output_estimated),
        (Some(2), true),
        "its first count is none"
    );
}

#[test]
fn a_whole_message_is_read_too() {
    let message = |content: &str, reason: &str| {
        format!(
            r#"{{"id":"m","type":"message","role":"assistant","content":[{content}],"stop_reason":"{reason}","usage":{{"input_tokens":4,"output_tokens":2}}}}"#
        )
    };
    table(
        Api::Messages,
        JSON,
        &[
            ("text", message(r#"{"type":"text","text":"a"}"#, "end_turn"), Whole, Complete, 0),
            (
                "a tool",
                message(r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#, "tool_use"),
                Whole,
                Complete,
                0,
            ),
            ("nothing", message("", "end_turn"), Whole, Empty, 0),
            (
                "no more now",
                message(r#"{"type":"text","text":"a"}"#, "pause_turn"),
                Whole,
                Complete,
                0,
            ),
        ],
    );
}
