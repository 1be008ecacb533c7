//! Streams that break off where the service has asked for the API's own error (`stream_errors = "event"`).
//!
//! Every case is asked of both engines: a plain request goes to the lean one, one with a body in chunks and
//! one by HTTP/2 go to hyper. What the client gets must be the same.

use std::time::Duration;

use cyan::control_plane::command::Command;
use cyan::model::environment::Protocol;
use cyan::model::service::StreamErrors;
use cyan::model::verdict::Verdict;
use http::Response;

use crate::support::http2::{Http2Client, Http2Upstream, post};
use crate::support::in_time;
use crate::support::proxy::{Builder, Proxy, environment, name};
use crate::support::upstream::Upstream;

const SSE: &str = "content-type: text/event-stream\r\n";
const CHAT: &str = "/v1/chat/completions";
const CHUNK: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";

/// What a client got: the body, and whether it ended as a whole one does.
type Got = (String, bool);

/// An upstream that sends such a body in chunks and closes, or stays, after this tail.
async fn breaking_off(head: &'static str, chunks: Vec<String>, tail: &'static str) -> Upstream {
    Upstream::scripted(move |mut visit| {
        let chunks = chunks.clone();
        async move {
            visit.request().await;
            let head = format!("HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n");
            visit.send(head).await;
            for chunk in chunks {
                visit.send(format!("{:x}\r\n{chunk}\r\n", chunk.len())).await;
            }
            visit.send(tail).await;
            if tail.is_empty() {
                return;
            }
            visit.until_closed().await;
        }
    })
    .await
}

fn telling(upstream: &Upstream) -> Builder {
    let service = Builder::new(vec![environment("blue", &[upstream])]);
    service.service(|service| service.stream_errors = StreamErrors::Event)
}

/// What clients of both engines get; it has to be the same.
async fn ask(proxy: &Proxy, path: &str) -> Got {
    let lean = proxy.client().await.post(path, "x-user-id: ana\r\n", "{}").await;
    let lean = (lean.text(), lean.is_whole);
    let mut client = proxy.client().await;
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n");
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")).await;
    let hyper = client.answer().await;
    assert_eq!((hyper.text(), hyper.is_whole), lean, "hyper, HTTP/1.1");
    let http2 = Http2Client::connect(proxy.address).await.answer(post(path)).await;
    assert_eq!((http2.text(), http2.end.is_ok()), lean, "hyper, HTTP/2");
    lean
}

/// The last event of a body: the name and the data.
fn last_event(body: &str) -> (Option<&str>, serde_json::Value) {
    let event = body.trim_end_matches('\n').rsplit("\n\n").next().expect("there is an event");
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    let data = field("data: ").unwrap_or_else(|| panic!("no data in {event:?}"));
    (field("event: "), serde_json::from_str(data).expect("the data are JSON"))
}

#[tokio::test]
async fn each_api_is_told_in_its_own_form_and_the_verdict_stays() {
    for (path, first, name, pointer, value) in [
        (CHAT, CHUNK, None, "/error/code", "truncated"),
        (
            "/v1/responses",
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":4}\n\n",
            Some("error"),
            "/code",
            "truncated",
        ),
        (
            "/v1/messages",
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n",
            Some("error"),
            "/error/type",
            "api_error",
        ),
    ] {
        let upstream = breaking_off(SSE, vec![first.to_owned()], "").await;
        let proxy = telling(&upstream).start();
        let (body, is_whole) = ask(&proxy, path).await;
        assert!(is_whole && body.starts_with(first) && body.ends_with("\n\n"), "{body}");
        assert!(!body.contains("[DONE]"), "{body}");
        let (event, data) = last_event(&body);
        assert_eq!((event, data.pointer(pointer)), (name, Some(&value.into())), "{body}");
        if path == "/v1/responses" {
            assert_eq!(data["sequence_number"], 5, "{body}");
        }
        proxy.settles("blue", Verdict::Truncated, 3).await;
    }
}

#[tokio::test]
async fn lines_of_ollama_end_with_its_error() {
    let line = "{\"message\":{\"content\":\"Hi\"},\"done\":false}\n";
    let upstream =
        breaking_off("content-type: application/x-ndjson\r\n", vec![line.to_owned()], "").await;
    let proxy = telling(&upstream).start();
    let (body, is_whole) = ask(&proxy, "/api/chat").await;
    assert!(is_whole, "{body}");
    assert_eq!(
        body,
        format!("{line}{{\"error\":\"the upstream's answer ended before its end\"}}\n")
    );
    proxy.settles("blue", Verdict::Truncated, 3).await;
}

#[tokio::test]
async fn an_event_that_only_lacks_its_end_is_closed_first() {
    let upstream = breaking_off(SSE, vec![CHUNK.trim_end().to_owned()], "").await;
    let proxy = telling(&upstream).start();
    let (body, is_whole) = ask(&proxy, CHAT).await;
    assert!(is_whole && body.starts_with(CHUNK), "{body}");
    assert_eq!(last_event(&body).1["error"]["type"], "proxy_error");
    proxy.settles("blue", Verdict::Truncated, 3).await;
}

#[tokio::test]
async fn a_chunk_that_was_announced_longer_is_filled() {
    // The second event of the chunk never comes.
    let tail: &'static str = Box::leak(format!("200\r\n{CHUNK}").into_boxed_str());
    let upstream = Upstream::sending(
        format!("HTTP/1.1 200 OK\r\n{SSE}transfer-encoding: chunked\r\n\r\n{tail}").into_bytes(),
    )
    .await;
    let proxy = telling(&upstream).start();
    let lean = proxy.client().await.post(CHAT, "x-user-id: ana\r\n", "{}").await;
    assert!(lean.is_whole && lean.text().starts_with(CHUNK), "{}", lean.text());
    assert_eq!(last_event(&lean.text()).1["error"]["code"], "truncated");
    proxy.settles("blue", Verdict::Truncated, 1).await;
}

#[tokio::test]
async fn broken_framing_is_told_too() {
    let upstream = breaking_off(SSE, vec![CHUNK.to_owned()], "what\r\n").await;
    let proxy = telling(&upstream).start();
    let (body, is_whole) = ask(&proxy, CHAT).await;
    assert!(is_whole, "{body}");
    assert_eq!(last_event(&body).1["error"]["code"], "truncated");
    proxy.settles("blue", Verdict::Truncated, 3).await;
}

#[tokio::test]
async fn a_stream_that_goes_silent_is_told_of_when_its_time_is_over() {
    let upstream = breaking_off(SSE, vec![CHUNK.to_owned()], "5").await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.idle = Duration::from_millis(200);
    let proxy = Builder::new(vec![blue])
        .service(|service| service.stream_errors = StreamErrors::Event)
        .start();
    let (body, is_whole) = ask(&proxy, CHAT).await;
    assert!(is_whole, "{body}");
    assert_eq!(last_event(&body).1["error"]["code"], "timeout");
    proxy.settles("blue", Verdict::Timeout, 3).await;
}

#[tokio::test]
async fn a_drain_says_that_it_ends_the_stream() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n";
    let upstream = breaking_off(SSE, vec![start.to_owned()], "5").await;
    let green = Upstream::replying(200, "green").await;
    let environments = vec![environment("blue", &[&upstream]), environment("green", &[&green])];
    let proxy = Builder::new(environments)
        .service(|service| service.stream_errors = StreamErrors::Event)
        .start();
    let mut client = proxy.client().await;
    client.send("POST /v1/messages HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}").await;
    let http2 = Http2Client::connect(proxy.address).await;
    let reading = http2.call(post("/v1/messages")).await.reading().await;
    client.read_until(b"message_start").await;
    proxy.switch("green").await;
    let (service, environment) = (name("chat"), name("blue"));
    let deadline = Duration::from_millis(50);
    let draining = proxy.ask(Command::Drain { service, environment, deadline });
    in_time(draining).await.expect("the drain is taken");
    let by_http1 = client.read_until(b"\r\n0\r\n\r\n").await;
    assert!(String::from_utf8_lossy(&by_http1).contains("\"overloaded_error\""));
    let by_http2 = reading.rest().await;
    assert!(by_http2.end.is_ok() && by_http2.text().contains("\"overloaded_error\""));
    proxy.adds_up().await;
}

#[tokio::test]
async fn where_nothing_can_be_said_the_answer_is_cut() {
    let part = format!("{CHUNK}data: {{\"choices\":[{{\"del");
    for (head, body) in [
        (SSE, part.clone()),
        ("content-type: text/event-stream\r\ncontent-encoding: gzip\r\n", CHUNK.to_owned()),
        ("content-type: application/json\r\n", "{\"choices\":[".to_owned()),
        (SSE, format!("{CHUNK}data: {{\"error\":{{\"message\":\"out of memory\"}}}}\n\n")),
    ] {
        let upstream = breaking_off(head, vec![body.clone()], "").await;
        let proxy = telling(&upstream).start();
        assert_eq!(ask(&proxy, CHAT).await, (body, false));
        proxy.adds_up().await;
    }
    let sized = format!("HTTP/1.1 200 OK\r\n{SSE}content-length: 1000\r\n\r\n{CHUNK}");
    let upstream = Upstream::sending(sized).await;
    let proxy = telling(&upstream).start();
    assert_eq!(ask(&proxy, CHAT).await, (CHUNK.to_owned(), false));
    proxy.settles("blue", Verdict::Truncated, 3).await;
}

/// A server that gives up may end its body as HTTP wants it; the stream in it has no end all the same.
#[tokio::test]
async fn a_whole_body_with_half_a_stream_is_told_of_and_a_whole_stream_is_not() {
    let whole = format!(
        "{CHUNK}data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         data: [DONE]\n\n"
    );
    for (body, verdict) in [(CHUNK.to_owned(), Verdict::Truncated), (whole, Verdict::Complete)] {
        let by_close = format!("HTTP/1.1 200 OK\r\n{SSE}\r\n{body}");
        for upstream in [
            breaking_off(SSE, vec![body.clone()], "0\r\n\r\n").await,
            Upstream::sending(by_close).await,
        ] {
            let proxy = telling(&upstream).start();
            let (got, is_whole) = ask(&proxy, CHAT).await;
            assert!(is_whole && got.starts_with(&body), "{got}");
            assert_eq!(got.contains("proxy_error"), verdict == Verdict::Truncated, "{got}");
            proxy.settles("blue", verdict, 3).await;
        }
    }
}

/// The end of a body of HTTP/2 comes with its last piece.
#[tokio::test]
async fn upstreams_of_http_2_are_no_exception() {
    let upstream = Http2Upstream::scripted(|mut visit| async move {
        let head = Response::builder().header("content-type", "text/event-stream");
        let mut body = visit.answer_with(head.body(()).expect("a head"));
        body.send_data(CHUNK.into(), true).expect("an open stream");
    })
    .await;
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![upstream.url().parse().expect("a url")];
    blue.protocol = Protocol::Http2;
    let proxy = Builder::new(vec![blue])
        .service(|service| service.stream_errors = StreamErrors::Event)
        .start();
    let (got, is_whole) = ask(&proxy, CHAT).await;
    assert!(is_whole && got.starts_with(CHUNK) && got.contains("proxy_error"), "{got}");
    proxy.settles("blue", Verdict::Truncated, 3).await;
}

#[tokio::test]
async fn a_stream_is_cut_unless_the_service_asks_for_words() {
    let upstream = breaking_off(SSE, vec![CHUNK.to_owned()], "").await;
    let proxy = Proxy::before(&upstream);
    assert_eq!(ask(&proxy, CHAT).await, (CHUNK.to_owned(), false));
    proxy.settles("blue", Verdict::Truncated, 3).await;
}

#[tokio::test]
async fn a_connection_goes_on_after_the_words() {
    let upstream = breaking_off(SSE, vec![CHUNK.to_owned()], "").await;
    let proxy = telling(&upstream).start();
    let mut client = proxy.client().await;
    for _ in 0..3 {
        let answer = client.post(CHAT, "x-user-id: ana\r\n", "{}").await;
        assert!(answer.is_whole && answer.text().contains("proxy_error"), "{}", answer.text());
    }
    proxy.settles("blue", Verdict::Truncated, 3).await;
}
