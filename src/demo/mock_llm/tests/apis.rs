//! Each API answers in the form that its SDKs expect.

use super::{CHAT, STREAM, WHOLE, get, post};
use crate::demo::mock_llm::{MockLlm, MockOptions, TokenCount};

fn server() -> MockLlm {
    let tokens = TokenCount::fixed(6);
    let options = MockOptions { tokens, ..MockOptions::named("blue").instant() };
    MockLlm::start(options).unwrap()
}

/// The texts of all deltas, wherever the API keeps them.
fn spoken(events: &[&str], pointer: &str) -> String {
    let texts = events.iter().filter_map(|data| {
        let event: serde_json::Value = serde_json::from_str(data).ok()?;
        Some(event.pointer(pointer)?.as_str()?.to_owned())
    });
    texts.collect()
}

#[tokio::test]
async fn chat_streams_role_tokens_finish_usage_and_done() {
    let server = server();
    let body = r#"{"model":"a \"b\"","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let reply = post(&server, CHAT, body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.header("x-mock-upstream"), Some("blue"));
    let events = reply.events();
    assert_eq!(events.len(), 1 + 6 + 3, "{events:?}");
    assert!(events[0].contains(r#""delta":{"role":"assistant","content":""}"#));
    let text = spoken(&events, "/choices/0/delta/content");
    assert!(text.starts_with("blue mock-1.0 "), "{text}");
    assert!(events[7].contains(r#""finish_reason":"stop""#));
    let usage: serde_json::Value = serde_json::from_str(events[8]).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], 6);
    assert_eq!(usage["choices"], serde_json::json!([]));
    assert_eq!(usage["model"], "a \"b\"");
    assert_eq!(events[9], "[DONE]");
    assert!(reply.has_last_chunk());
}

#[tokio::test]
async fn whole_and_streamed_answers_say_the_same() {
    for (path, ask, deltas, whole) in [
        (CHAT, r#""messages":[]"#, "/choices/0/delta/content", "/choices/0/message/content"),
        ("/v1/completions", r#""prompt":"x""#, "/choices/0/text", "/choices/0/text"),
        ("/v1/messages", r#""messages":[],"max_tokens":99"#, "/delta/text", "/content/0/text"),
        ("/v1/responses", r#""input":"x""#, "/delta", "/output/0/content/0/text"),
    ] {
        // Two servers with the same seed, so that both requests are each server's first.
        let streamed = post(&server(), path, &format!(r#"{{{ask},"stream":true}}"#)).await;
        let reply = post(&server(), path, &format!("{{{ask}}}")).await;
        let text = spoken(&streamed.events(), deltas);
        assert_eq!(reply.json().pointer(whole).unwrap(), text.as_str(), "{path}");
        assert!(text.starts_with("blue mock-1.0 "), "{path}: {text}");
    }
}

#[tokio::test]
async fn usage_comes_only_when_asked_for() {
    let reply = post(&server(), CHAT, STREAM).await;
    assert!(!reply.body.contains("usage"), "{}", reply.body);
}

#[tokio::test]
async fn messages_and_responses_end_with_their_own_events() {
    let server = server();
    let messages = r#"{"messages":[],"max_tokens":3,"stream":true}"#;
    let reply = post(&server, "/v1/messages", messages).await;
    let last = reply.events().pop().unwrap();
    assert_eq!(last, r#"{"type":"message_stop"}"#);
    assert!(reply.body.contains(r#""stop_reason":"max_tokens""#));
    assert!(!reply.body.contains("[DONE]"));

    let reply = post(&server, "/v1/responses", r#"{"input":"x","stream":true}"#).await;
    let events: Vec<serde_json::Value> =
        reply.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"]["output_tokens"], 6);
}

#[tokio::test]
async fn max_tokens_cuts_and_says_length() {
    let reply = post(&server(), CHAT, r#"{"messages":[],"max_tokens":2}"#).await;
    let answer = reply.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "blue mock-1.0");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 2);
}

#[tokio::test]
async fn the_rest_of_the_surface_answers() {
    let server = server();
    assert_eq!(get(&server, "/health").await.json()["status"], "ok");
    assert_eq!(get(&server, "/ready").await.status, 200);
    assert_eq!(get(&server, "/v1/models").await.json()["data"][0]["id"], "mock-llm");
    let embedding = post(&server, "/v1/embeddings", r#"{"input":"x"}"#).await.json();
    let again = post(&server, "/v1/embeddings", r#"{"input":"x"}"#).await.json();
    assert_eq!(embedding["data"][0]["embedding"].as_array().unwrap().len(), 8);
    assert_eq!(embedding["data"], again["data"]);
    let echo = post(&server, "/mock/echo?a=1", "hello").await.json();
    assert_eq!((&echo["target"], &echo["body_bytes"]), (&"/mock/echo?a=1".into(), &5.into()));
}

#[tokio::test]
async fn mistakes_are_answered_in_the_form_of_their_api() {
    let server = server();
    for (path, body, status, pointer, expected) in [
        (CHAT, r#"{"model": "#, 400, "/error/param", "body"),
        (CHAT, "{}", 400, "/error/param", "messages"),
        (
            "/v1/completions",
            "{}",
            400,
            "/error/message",
            "`prompt` is missing; this API requires it",
        ),
        ("/v1/messages", r#"{"messages":[]}"#, 400, "/error/type", "invalid_request_error"),
        ("/v1/messages/nope", "{}", 404, "/error/type", "not_found_error"),
        ("/v1/nope", "{}", 404, "/error/type", "NotFoundError"),
        ("/health", "{}", 405, "/error/message", "Method Not Allowed"),
    ] {
        let reply = post(&server, path, body).await;
        assert_eq!(reply.status, status, "{path} {body}");
        assert_eq!(reply.json().pointer(pointer).unwrap(), expected, "{path} {body}");
        assert_eq!(reply.header("x-mock-upstream"), Some("blue"));
    }
    assert_eq!(get(&server, CHAT).await.header("allow"), Some("POST"));
}

#[tokio::test]
async fn stamps_tell_when_each_event_was_sent() {
    let options = MockOptions { stamp: true, ..MockOptions::named("blue").instant() };
    let server = MockLlm::start(options).unwrap();
    let reply = post(&server, CHAT, STREAM).await;
    let stamps: Vec<u64> =
        reply.body.lines().filter_map(|line| line.strip_prefix(": sent ")?.parse().ok()).collect();
    assert_eq!(stamps.len(), reply.events().len());
    assert!(stamps.is_sorted() && stamps[0] > 1_700_000_000_000_000_000, "{stamps:?}");
}

#[tokio::test]
async fn same_seed_repeats_a_run() {
    let (one, other) = (server(), server());
    for _ in 0..3 {
        let (a, b) = (post(&one, CHAT, WHOLE).await, post(&other, CHAT, WHOLE).await);
        assert_eq!(a.json()["id"], b.json()["id"]);
        assert_eq!(a.json()["choices"], b.json()["choices"]);
    }
}
