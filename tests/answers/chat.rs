//! What servers of Chat Completions are known to send.

use cyan::model::answer::FinishReason;
use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd::{Cut, Whole};
use cyan::model::verdict::Verdict::{
    AbortedByServer, Complete, Empty, ErrorInBand, Filtered, Length, Truncated,
};

use crate::read::{DONE, EVENTS, JSON, ROLE, STOP, WORD, read, scan, stream, table};

#[test]
fn a_stream_may_be_asked_for_and_json_come() {
    let error = r#"{"error":{"message":"no such model","type":"invalid_request_error"}}"#;
    let answer = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"7"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    table(
        Api::Chat,
        JSON,
        &[
            ("an error", error.to_owned(), Whole, ErrorInBand, 0),
            ("a plain answer", answer.to_owned(), Whole, Complete, 0),
        ],
    );
}

#[test]
fn content_is_the_first_thing_said_in_any_way() {
    let delta = |delta: &str| {
        stream(&[ROLE, &format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#), STOP, DONE])
    };
    for (what, body, content) in [
        ("text", delta(r#"{"content":"a"}"#), 1),
        ("text in blocks", delta(r#"{"content":[{"type":"text","text":"a"}]}"#), 1),
        ("reasoning", delta(r#"{"reasoning_content":"a","content":null}"#), 1),
        ("reasoning by its other name", delta(r#"{"reasoning":"a"}"#), 1),
        (
            "the name of a tool",
            delta(
                r#"{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":""}}]}"#,
            ),
            1,
        ),
        (
            "its arguments, no JSON until joined",
            delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]}"#),
            1,
        ),
        ("the older way to call", delta(r#"{"function_call":{"name":"f","arguments":""}}"#), 1),
        ("sound", delta(r#"{"audio":{"id":"x","data":"UklG"}}"#), 1),
        ("only the role", delta(r#"{"role":"assistant"}"#), 0),
        ("nothing", delta(r#"{"role":"assistant","content":null,"tool_calls":null}"#), 0),
        ("an empty text", delta(r#"{"content":"","reasoning_content":"","tool_calls":[]}"#), 0),
        (
            "a tool without name and arguments",
            delta(r#"{"tool_calls":[{"index":0,"function":{}}]}"#),
            0,
        ),
        ("sound that only has an id", delta(r#"{"audio":{"id":"x"}}"#), 0),
    ] {
        let (conclusion, events) = read(Api::Chat, EVENTS, &body, Whole);
        let verdict = if content == 0 { Empty } else { Complete };
        assert_eq!((conclusion.verdict, events), (verdict, content), "{what}: {body}");
    }
    let refusal = delta(r#"{"refusal":"I will not"}"#);
    table(
        Api::Chat,
        EVENTS,
        &[("a refusal is content, and filtered", refusal, Whole, Filtered, 1)],
    );
}

#[test]
fn every_choice_needs_its_reason_to_stop_and_the_worst_one_decides() {
    let ends = |index: u8, reason: &str| {
        format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#
        )
    };
    let two = |first: &str, second: &str| stream(&[&ends(0, first), &ends(1, second), DONE]);
    let open = r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
    table(
        Api::Chat,
        EVENTS,
        &[
            ("both stopped", two("stop", "tool_calls"), Whole, Complete, 2),
            ("one at its limit", two("length", "stop"), Whole, Length, 2),
            ("one says the same again and again", two("stop", "repetition"), Whole, Length, 2),
            ("one filtered", two("content_filter", "length"), Whole, Filtered, 2),
            ("the server gave one up", two("abort", "content_filter"), Whole, AbortedByServer, 2),
            ("the server failed in one", two("error", "abort"), Whole, ErrorInBand, 2),
            ("an unknown reason is one", two("stop", "because"), Whole, Complete, 2),
            ("one is still open", stream(&[&ends(0, "stop"), open, DONE]), Whole, Truncated, 2),
            ("an empty reason is none", stream(&[&ends(0, ""), DONE]), Whole, Truncated, 1),
        ],
    );
    let (conclusion, _) = read(Api::Chat, EVENTS, two("length", "stop"), Whole);
    assert_eq!(conclusion.finish, Some(FinishReason::Length));
    assert_eq!(conclusion.tokens.output, Some(2), "a delta of each choice");
}

#[test]
fn usage_is_taken_from_the_last_chunk_that_has_one_else_deltas_are_counted() {
    let usage = |output: u8| {
        format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":{output},"prompt_tokens_details":{{"cached_tokens":4}}}}}}"#
        )
    };
    let word = r#"{"choices":[{"index":0,"delta":{"content":"w"},"logprobs":null}],"usage":{"prompt_tokens":9,"completion_tokens":3},"obfuscation":"aaaaaaaa"}"#;
    for (what, body, end, tokens) in [
        (
            "its own chunk",
            stream(&[WORD, STOP, &usage(5), DONE]),
            Whole,
            (Some(9), Some(4), Some(5), false),
        ),
        (
            "on every chunk",
            stream(&[word, STOP, &usage(7), DONE]),
            Whole,
            (Some(9), Some(4), Some(7), false),
        ),
        ("on every chunk, cut", stream(&[word, word]), Cut, (Some(9), None, Some(3), false)),
        (
            "null",
            stream(&[WORD, STOP, r#"{"choices":[],"usage":null}"#, DONE]),
            Whole,
            (None, None, Some(1), true),
        ),
        ("none", stream(&[ROLE, WORD, WORD, STOP, DONE]), Whole, (None, None, Some(2), true)),
        ("nothing at all", stream(&[DONE]), Whole, (None, None, None, false)),
    ] {
        let told = read(Api::Chat, EVENTS, &body, end).0.tokens;
        let told = (told.input, told.cached, told.output, told.is_output_estimated);
        assert_eq!(told, tokens, "{what}: {body}");
    }
}

#[test]
fn errors_come_after_a_200_and_a_done_mark_does_not_heal_them() {
    let error = r#"{"error":{"message":"out of memory","type":"InternalServerError","param":null,"code":500}}"#;
    let in_usage = r#"{"choices":[],"error":{"message":"lost"}}"#;
    let in_choice =
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","error":{"code":502}}]}"#;
    let field = "error: {\"code\":500,\"message\":\"slot\"}\n\ndata: [DONE]\n\n";
    table(
        Api::Chat,
        EVENTS,
        &[
            ("in the middle, then the mark", stream(&[WORD, error, DONE]), Whole, ErrorInBand, 1),
            ("at once", stream(&[error, DONE]), Whole, ErrorInBand, 0),
            ("then cut", stream(&[WORD, error]), Cut, ErrorInBand, 1),
            ("as a text", stream(&[r#"{"error":"gone"}"#]), Whole, ErrorInBand, 0),
            ("where usage would be", stream(&[WORD, STOP, in_usage, DONE]), Whole, ErrorInBand, 1),
            ("in a choice", stream(&[WORD, in_choice, DONE]), Whole, ErrorInBand, 1),
            (
                "a field that no standard knows",
                format!("{}{field}", stream(&[WORD])),
                Whole,
                ErrorInBand,
                1,
            ),
            (
                "a field of that name without an object",
                format!("error: none {{}}\n\n{}", stream(&[WORD, STOP, DONE])),
                Whole,
                Complete,
                1,
            ),
            (
                "an event of that name",
                format!("{}event: error\ndata: boom\n\n", stream(&[WORD])),
                Cut,
                ErrorInBand,
                1,
            ),
            (
                "a name without data is no event",
                format!("{}event: error\n\n{}", stream(&[WORD]), stream(&[STOP, DONE])),
                Whole,
                Complete,
                1,
            ),
            (
                "empty ones are none",
                stream(&[
                    r#"{"error":null}"#,
                    r#"{"error":{}}"#,
                    r#"{"error":""}"#,
                    WORD,
                    STOP,
                    DONE,
                ]),
                Whole,
                Complete,
                1,
            ),
        ],
    );
    let mut scan = scan(Api::Chat, EVENTS);
    let told = [WORD, error, error].map(|data| scan.push(stream(&[data]).as_bytes()).has_failed);
    assert_eq!(told, [false, true, false], "told at once, and only once");
}

#[test]
fn a_stream_is_finished_until_another_choice_begins_and_for_good_by_its_terminator() {
    let of_second = |more: &str| {
        format!(r#"{{"choices":[{{"index":1,"delta":{{"content":"b"}},"finish_reason":{more}}}]}}"#)
    };
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}"#;
    let mut stream_of_two = scan(Api::Chat, EVENTS);
    for (data, is_finished, has_ended) in [
        (ROLE, false, false),
        (WORD, false, false),
        (STOP, true, false),
        (&of_second("null"), false, false), // some servers write one choice after the other
        (&of_second("\"stop\""), true, false),
        (usage, true, false),
        (DONE, true, true),
        (WORD, true, true),
        (&of_second("null"), true, true),
    ] {
        let passed = stream_of_two.push(stream(&[data]).as_bytes());
        assert_eq!((passed.is_finished, passed.has_ended), (is_finished, has_ended), "{data}");
    }
    let concluded = stream_of_two.conclude(Whole);
    assert_eq!((concluded.verdict, concluded.tokens.output), (Complete, Some(5)));

    let last_words = [
        (r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#, false),
        (r#"{"type":"message_stop"}"#, true),
        (r#"{"type":"response.completed","response":{"status":"completed"}}"#, true),
        (r#"{"type":"response.failed","response":{"status":"failed"}}"#, true),
        (r#"{"message":{"content":""},"done":true}"#, true),
    ];
    for (last, has_ended) in last_words {
        let mut scan = scan(Api::Chat, EVENTS);
        for data in [last, r#"{"type":"ping"}"#, last] {
            let passed = scan.push(stream(&[data]).as_bytes());
            assert_eq!((passed.is_finished, passed.has_ended), (true, has_ended), "{last}");
        }
    }
}

#[test]
fn a_graceful_abort_is_an_abort() {
    let abort = r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"abort"}]}"#;
    table(Api::Chat, EVENTS, &[("", stream(&[WORD, abort, DONE]), Whole, AbortedByServer, 1)]);
}

#[test]
fn a_limit_reached_in_hidden_thoughts_is_a_limit() {
    let body = |output: u8| {
        format!(
            r#"{{"choices":[{{"index":0,"message":{{"content":null}},"finish_reason":"length"}}],"usage":{{"prompt_tokens":9,"completion_tokens":{output}}}}}"#
        )
    };
    assert_eq!(read(Api::Chat, JSON, body(8), Whole).0.verdict, Length);
    assert_eq!(read(Api::Chat, JSON, body(0), Whole).0.verdict, Empty);
}

#[test]
fn llama_server_tells_tokens_in_its_timings() {
    let timed = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":8,"prompt_n":1,"predicted_n":20,"predicted_ms":27.5}}"#;
    let tokens = read(Api::Chat, EVENTS, stream(&[WORD, timed, DONE]), Whole).0.tokens;
    let told = (tokens.input, tokens.cached, tokens.output, tokens.is_output_estimated);
    assert_eq!(told, (Some(9), Some(8), Some(20), false));
}
