//! What Ollama and llama.cpp send by their own APIs, embeddings, and what no model says.

use cyan::model::api::Api;
use cyan::model::body_end::BodyEnd::{Cut, Whole};
use cyan::model::verdict::Verdict::{Complete, Empty, ErrorInBand, Length, Truncated};

use crate::read::{DONE, EVENTS, JSON, LINES, ROLE, STOP, WORD, read, scan, stream, table};

#[test]
fn llama_cpp_has_completions_of_its_own() {
    let part = |stop: bool, content: &str| {
        let more = if stop { r#","stop_type":"limit""# } else { "" };
        format!(
            r#"{{"index":0,"content":"{content}","tokens":[7],"stop":{stop},"id_slot":-1,"tokens_predicted":3,"tokens_evaluated":8{more}}}"#
        )
    };
    let old =
        r#"{"content":"","stop":true,"stopped_eos":true,"stopped_limit":false,"truncated":false}"#;
    let old_limit = r#"{"content":"","stop":true,"stopped_eos":false,"stopped_limit":true}"#;
    table(
        Api::Completions,
        EVENTS,
        &[
            ("whole", stream(&[&part(false, "a"), &part(true, "")]), Whole, Length, 1),
            ("cut", stream(&[&part(false, "a")]), Whole, Truncated, 1),
            (
                "its last event is enough",
                stream(&[&part(false, "a"), &part(true, "")]),
                Cut,
                Length,
                1,
            ),
            ("older builds", stream(&[&part(false, "a"), old]), Whole, Complete, 1),
            (
                "older builds at the limit",
                stream(&[&part(false, "a"), old_limit]),
                Whole,
                Length,
                1,
            ),
        ],
    );
    let (conclusion, _) = read(Api::Completions, JSON, part(true, "abc"), Whole);
    assert_eq!(conclusion.verdict, Length);
    assert_eq!((conclusion.tokens.input, conclusion.tokens.output), (Some(8), Some(3)));
}

#[test]
fn ollama_sends_lines() {
    let word = r#"{"model":"m","message":{"role":"assistant","content":"a"},"done":false}"#;
    let thought =
        r#"{"model":"m","message":{"role":"assistant","content":"","thinking":"a"},"done":false}"#;
    let call = r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":false}"#;
    let old = r#"{"model":"m","response":"a","done":false}"#;
    let done = |reason: &str| {
        format!(
            r#"{{"model":"m","message":{{"role":"assistant","content":""}},"done":true,"done_reason":"{reason}","prompt_eval_count":11,"eval_count":2}}"#
        )
    };
    let lines = |lines: &[&str]| lines.join("\n") + "\n";
    let loaded = r#"{"model":"m","response":"","done":true,"done_reason":"load"}"#;
    table(
        Api::Ollama,
        LINES,
        &[
            ("chat", lines(&[word, word, &done("stop")]), Whole, Complete, 2),
            ("its limit", lines(&[thought, &done("length")]), Whole, Length, 1),
            ("a tool", lines(&[call, &done("stop")]), Whole, Complete, 1),
            ("generate", lines(&[old, &done("stop")]), Whole, Complete, 1),
            ("cut behind its last line", lines(&[word, &done("stop")]), Cut, Complete, 1),
            ("no LF at the end", format!("{word}\n{}", done("stop")), Whole, Complete, 1),
            ("never done", lines(&[word]), Whole, Truncated, 1),
            ("nothing said", lines(&[&done("stop")]), Whole, Empty, 0),
            ("a model is only loaded", lines(&[loaded]), Whole, Complete, 0),
            (
                "an error on a line",
                lines(&[word, r#"{"error":"llama runner died"}"#]),
                Whole,
                ErrorInBand,
                1,
            ),
            (
                "blank lines",
                format!("\n\r\n{word}\r\n\r\n{}\r\n", done("stop")),
                Whole,
                Complete,
                1,
            ),
        ],
    );
    let tokens = read(Api::Ollama, LINES, lines(&[word, &done("stop")]), Whole).0.tokens;
    assert_eq!((tokens.input, tokens.output), (Some(11), Some(2)));
    table(
        Api::Ollama,
        JSON,
        &[(
            "not streamed",
            done("stop").replace(r#""content":"""#, r#""content":"a""#),
            Whole,
            Complete,
            0,
        )],
    );
}

#[test]
fn embeddings_are_content() {
    for (what, body, verdict) in [
        (
            "numbers",
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":2,"total_tokens":2}}"#,
            Complete,
        ),
        ("base64", r#"{"object":"list","data":[{"embedding":"AACAPw=="}]}"#, Complete),
        ("Ollama's", r#"{"model":"m","embeddings":[[0.1]],"prompt_eval_count":2}"#, Complete),
        ("llama.cpp's", r#"[{"index":0,"embedding":[[0.1,0.2]]}]"#, Complete),
        ("several of one text, Jina's", r#"{"data":[{"embeddings":[[0.1],[0.2]]}]}"#, Complete),
        ("an empty vector", r#"{"object":"list","data":[{"embedding":[]}]}"#, Empty),
        ("none", r#"{"object":"list","data":[]}"#, Empty),
        ("a list of something else", r#"{"object":"list","data":[{"id":"m"}]}"#, Empty),
    ] {
        assert_eq!(read(Api::Embeddings, JSON, body, Whole).0.verdict, verdict, "{what}");
    }
    let vector = format!(
        r#"{{"data":[{{"embedding":[{}0.5]}}],"usage":{{"prompt_tokens":2}}}}"#,
        "0.25,".repeat(5_000)
    );
    let (conclusion, _) = read(Api::Embeddings, JSON, vector, Whole);
    assert_eq!((conclusion.verdict, conclusion.tokens.input), (Complete, Some(2)));
}

#[test]
fn another_service_is_judged_by_wholeness_whatever_it_says() {
    for (content_type, body) in [
        (JSON, r#"{"status":"failed","error":{"message":"x"}}"#),
        (JSON, r#"{"type":"message","text":"hi"}"#),
        (JSON, r#"{"data":[{"id":"model"}],"object":"list"}"#),
        (JSON, "<html>"),
        (EVENTS, "event: update\ndata: {\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600}}\n\n"),
        (EVENTS, "data: not json\n\n"),
        (LINES, "{\"level\":\"error\",\"error\":\"x\"}\n"),
        (JSON, r#"{"name":"operations/1","done":false}"#),
        (JSON, r#"{"name":"operations/1","done":true,"response":{"id":7},"error":{"code":13}}"#),
        (JSON, r#"{"message":"sent","done":true,"error":"x"}"#),
        (LINES, "{\"task\":1,\"done\":false}\n{\"task\":2,\"done\":false}\n"),
        (JSON, r#"{"question":"?","choices":[{"text":"a","votes":1}],"error":"closed"}"#),
        (JSON, r#"{"choices":["a","b"],"error":"closed"}"#),
        (JSON, r#"{"choices":[]}"#),
        (EVENTS, "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n"),
    ] {
        assert_eq!(read(Api::Other, content_type, body, Whole).0.verdict, Complete, "{body}");
        assert_eq!(read(Api::Other, content_type, body, Cut).0.verdict, Truncated, "{body}");
    }
    // An event that is named an error says so in any stream, and nothing that comes after heals it.
    let named = "data: {\"text\":\"one\"}\n\nevent: error\ndata: {\"text\":\"out of memory\"}\n\ndata: bye\n\n";
    assert_eq!(read(Api::Other, EVENTS, named, Whole).0.verdict, ErrorInBand);
    assert_eq!(read(Api::Other, EVENTS, named, Cut).0.verdict, ErrorInBand);
    // Words of a model are recognised under any path.
    let (conclusion, events) = read(Api::Other, EVENTS, stream(&[WORD]), Whole);
    assert_eq!((conclusion.verdict, events), (Truncated, 1));
}

#[test]
fn a_document_that_nobody_here_understands_is_not_called_empty() {
    let generating =
        [Api::Chat, Api::Completions, Api::Responses, Api::Messages, Api::Ollama, Api::Embeddings];
    for api in generating {
        for body in [
            // Another service's message, an operation that is under way, one answer wrapped in another.
            r#"{"object":"thread.message","content":[{"type":"text","text":{"value":"hi"}}]}"#,
            r#"{"name":"operations/1","done":false}"#,
            r#"{"code":0,"result":{"choices":[]}}"#,
            r#"{"x":{}}"#,
            r#"["a"]"#,
            r#""words""#,
            "7",
        ] {
            assert_eq!(read(api, JSON, body, Whole).0.verdict, Complete, "{api:?} {body}");
            assert_eq!(read(api, JSON, body, Cut).0.verdict, Truncated, "{api:?} {body}");
        }
        for body in ["{}", " { } ", "[]", "null", "\"\"", ""] {
            assert_eq!(read(api, JSON, body, Whole).0.verdict, Empty, "{api:?} {body}");
        }
        let error = read(api, JSON, r#"{"error":{"message":"x"},"id":1}"#, Whole);
        assert_eq!(error.0.verdict, ErrorInBand, "{api:?}");
    }
}

/// Vercel's AI SDK streams to `POST /api/chat` in words of its own. All of it was `empty` once, and broken off
/// after ten minutes, although clients read it well.
#[test]
fn a_stream_that_nobody_here_understands_is_not_called_empty() {
    let start = r#"{"type":"start"}"#;
    let word = r#"{"type":"text-delta","id":"0","delta":"Hello"}"#;
    let finish = r#"{"type":"finish"}"#;
    let failed = r#"{"type":"error","errorText":"no tokens left"}"#;
    let ping = r#"{"type":"ping"}"#;
    let steps = r#"{"event":"on_step","data":{"chunk":"a"}}"#;
    let lines = |lines: &[&str]| lines.join("\n") + "\n";
    for api in [Api::Chat, Api::Ollama, Api::Messages, Api::Responses] {
        for (content_type, body, end, verdict) in [
            (EVENTS, stream(&[start, word, finish, DONE]), Whole, Complete),
            (EVENTS, stream(&[start, word, finish, DONE]), Cut, Complete),
            (EVENTS, stream(&[start, word, finish]), Whole, Complete),
            (EVENTS, stream(&[start, word]), Cut, Truncated),
            (EVENTS, stream(&[start, word, failed, DONE]), Whole, ErrorInBand),
            (EVENTS, stream(&[DONE]), Whole, Empty),
            (EVENTS, stream(&["{}", "[]", "null", "\"\"", DONE]), Whole, Empty),
            (EVENTS, stream(&[ping, ping, r#"{"type":"keepalive"}"#, DONE]), Whole, Empty),
            (EVENTS, stream(&["{\"a\":", "nonsense", "{} {}"]), Whole, Empty),
            (EVENTS, ": ping\n\nevent: ping\n\n".to_owned(), Whole, Empty),
            (LINES, lines(&[steps, steps]), Whole, Complete),
            (LINES, lines(&[steps]), Cut, Truncated),
            (LINES, lines(&["{}", ping]), Whole, Empty),
            (LINES, "<html>\nbusy\n</html>\n".to_owned(), Whole, Empty),
        ] {
            assert_eq!(read(api, content_type, &body, end).0.verdict, verdict, "{api:?} {body}");
        }
    }
    // Once the words are known, they are judged.
    for body in [stream(&[steps, ROLE, STOP, DONE]), stream(&[ROLE, steps, STOP, DONE])] {
        assert_eq!(read(Api::Chat, EVENTS, &body, Whole).0.verdict, Empty, "{body}");
    }
    let body = stream(&[steps, WORD]);
    assert_eq!(read(Api::Chat, EVENTS, &body, Whole).0.verdict, Truncated, "{body}");
}

/// What `FastAPI`'s `StreamingResponse` makes of Ollama's lines with `media_type="application/json"`.
#[test]
fn lines_may_be_called_one_json() {
    let word = r#"{"model":"m","message":{"role":"assistant","content":"a"},"done":false}"#;
    let done = r#"{"message":{"content":""},"done":true,"done_reason":"length","eval_count":2}"#;
    let failed = r#"{"error":"llama runner died"}"#;
    let lines = |lines: &[&str]| lines.join("\n") + "\n";
    for (body, end, verdict) in [
        (lines(&[word, word, done]), Whole, Length),
        (lines(&[word, word, done]), Cut, Length),
        (lines(&[word, done]).replace('\n', "\r\n \n"), Whole, Length),
        (format!("{word}\n{done}"), Whole, Length),
        (lines(&[word, word]), Whole, Truncated),
        (lines(&[word, failed]), Whole, ErrorInBand),
        // One JSON and something behind it, which no client reads.
        (format!("{word}{done}"), Whole, Truncated),
        (format!("{word} {done}\n"), Whole, Truncated),
        (format!("{word}\n<html>"), Whole, Truncated),
        (format!("{done}\n]"), Whole, Truncated),
    ] {
        assert_eq!(read(Api::Ollama, JSON, &body, end).0.verdict, verdict, "{body}");
    }
    let mut seen_through = scan(Api::Ollama, JSON);
    assert_eq!(seen_through.push(format!("{word}\n").as_bytes()).content_events, 0);
    assert!(!seen_through.is_stream());
    let passed = seen_through.push(format!("{word}\n").as_bytes());
    assert_eq!((passed.content_events, seen_through.is_stream()), (2, true));
}

#[test]
fn images_are_content() {
    let image = r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}"#;
    let chat = |delta: String| {
        let chunk = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
        stream(&[ROLE, &chunk, STOP, DONE])
    };
    let generated = |image: &str| {
        format!(r#"{{"model":"m","response":"","done":true,"done_reason":"stop","image":{image}}}"#)
    };
    for (what, api, content_type, body, verdict) in [
        (
            "a block, as vLLM-Omni and SGLang have it",
            Api::Chat,
            EVENTS,
            chat(format!(r#"{{"content":[{image}]}}"#)),
            Complete,
        ),
        (
            "a list beside the text, as LiteLLM and OpenRouter have it",
            Api::Chat,
            EVENTS,
            chat(format!(r#"{{"content":"","images":[{image}]}}"#)),
            Complete,
        ),
        (
            "in one piece",
            Api::Chat,
            JSON,
            format!(
                r#"{{"choices":[{{"message":{{"content":null,"images":[{image}]}},"finish_reason":"stop"}}]}}"#
            ),
            Complete,
        ),
        (
            "a block whose image is a text",
            Api::Chat,
            EVENTS,
            chat(r#"{"content":[{"type":"image_url","image_url":"https://x/y.png"}]}"#.to_owned()),
            Complete,
        ),
        ("Ollama's", Api::Ollama, JSON, generated(r#""iVBO""#), Complete),
        ("no image", Api::Ollama, JSON, generated(r#""""#), Empty),
        ("an empty list", Api::Chat, EVENTS, chat(r#"{"images":[]}"#.to_owned()), Empty),
        ("nothing", Api::Chat, EVENTS, chat(r#"{"images":null}"#.to_owned()), Empty),
        (
            "an empty block",
            Api::Chat,
            EVENTS,
            chat(r#"{"content":[{"type":"image_url","image_url":{}}]}"#.to_owned()),
            Empty,
        ),
    ] {
        assert_eq!(read(api, content_type, &body, Whole).0.verdict, verdict, "{what}");
    }
}

#[test]
fn nothing_is_empty_where_nothing_was_to_be_generated() {
    let chat = r#"{"choices":[{"index":0,"message":{"content":""},"finish_reason":"stop"}]}"#;
    let lines = r#"{"message":{"content":""},"done":true,"done_reason":"stop"}"#;
    for (content_type, body) in [
        (JSON, chat.to_owned()),
        (JSON, r#"{"data":[{"embedding":[]}]}"#.to_owned()),
        (LINES, lines.to_owned()),
        (EVENTS, stream(&[ROLE, STOP, DONE])),
    ] {
        assert_eq!(read(Api::Other, content_type, &body, Whole).0.verdict, Complete, "{body}");
    }
    // Whatever is asked for, tokens are read from the chunk that has no choice.
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}"#;
    let body = stream(&[ROLE, WORD, STOP, usage, DONE]);
    assert_eq!(read(Api::Other, EVENTS, body, Whole).0.tokens.output, Some(5));
}
