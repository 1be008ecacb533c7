//! How exchanges end when somebody goes away: never as if nothing had happened.

use std::sync::Arc;
use std::time::Duration;

use cyan::metrics::measure::Measure;
use cyan::model::verdict::Verdict;
use tokio::sync::Notify;

use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// An upstream that sends a head and one event and then says nothing until it is left.
async fn silent_stream() -> Upstream {
    Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.send(STREAM).await;
        visit.send("9\r\ndata: 1\n\n\r\n").await;
        visit.until_closed().await;
    })
    .await
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_frees_the_upstream_at_once() {
    let upstream = silent_stream().await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    client.read_until(b"data: 1\n\n").await;
    drop(client);
    eventually("the upstream is left", || upstream.closed() == 1).await;
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_frees_the_upstream() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.until_closed().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    eventually("the request arrives", || upstream.heads().len() == 1).await;
    client.reset();
    eventually("the upstream is left", || upstream.closed() == 1).await;
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

/// hyper does not look at a socket behind unread bytes; the sweep does.
#[tokio::test]
async fn a_client_that_leaves_behind_pipelined_bytes_is_noticed() {
    let upstream = silent_stream().await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    client.read_until(b"data: 1\n\n").await;
    client.send("GET /next HTTP/1.1\r\nhost: test\r\n\r\n").await;
    drop(client);
    eventually("the upstream is left", || upstream.closed() == 1).await;
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

#[tokio::test]
async fn a_client_that_leaves_a_blocked_upload_is_noticed() {
    let is_noticed = Arc::new(Notify::new());
    let noticed = Arc::clone(&is_noticed);
    let upstream = Upstream::scripted(move |mut visit| {
        let noticed = Arc::clone(&noticed);
        async move {
            visit.head().await; // and reads none of the body
            noticed.notified().await;
            visit.until_closed().await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 30000000\r\n\r\n").await;
    let piece = vec![b'x'; 64 * 1024];
    let is_blocked = async {
        loop {
            let sent = tokio::time::timeout(Duration::from_millis(300), client.try_send(&piece));
            if sent.await.is_err() {
                return;
            }
        }
    };
    is_blocked.await;
    // A FIN would wait behind the bytes that nobody takes; only a reset can be noticed at all.
    client.reset();
    proxy.settles("blue", Verdict::ClientGone, 1).await;
    is_noticed.notify_one();
    eventually("the upstream is left", || upstream.closed() == 1).await;
}

#[tokio::test]
async fn an_upstream_that_dies_in_the_middle_is_never_a_clean_end() {
    let chunked = format!("{STREAM}9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    let sized = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\ndata: 1\n\ndata: 2\n\n".to_owned();
    for (whole, framing) in [(chunked, "chunked"), (sized, "sized")] {
        let head = whole.find("\r\n\r\n").unwrap() + 4;
        let body = whole.len() - head;
        for tenth in 0..10 {
            let cut = head + body * tenth / 10;
            let upstream = Upstream::sending(&whole.as_bytes()[..cut]).await;
            let proxy = Proxy::before(&upstream);
            let answer = proxy.client().await.get("/", "").await;
            assert!(!answer.is_whole, "{framing} cut at {cut}: {answer:?}");
            assert_eq!(answer.status, 200);
            let passed = &whole.as_bytes()[head..cut];
            if framing == "sized" {
                assert_eq!(answer.body, passed, "cut at {cut}");
            }
            proxy.settles("blue", Verdict::Truncated, 1).await;
        }
    }
}

#[tokio::test]
async fn a_cut_answer_to_http_1_0_ends_with_a_reset() {
    let upstream = Upstream::sending(format!("{STREAM}9\r\ndata: 1\n\n\r\n")).await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(!answer.is_whole, "a FIN would be the end of the answer: {answer:?}");
    proxy.settles("blue", Verdict::Truncated, 1).await;
}

#[tokio::test]
async fn a_silent_stream_ends_at_the_idle_limit_and_not_cleanly() {
    let upstream = silent_stream().await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.idle = Duration::from_millis(200);
    let proxy = Builder::new(vec![blue]).start();
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!((answer.text().as_str(), answer.is_whole), ("data: 1\n\n", false));
    proxy.settles("blue", Verdict::Timeout, 1).await;
}

#[tokio::test]
async fn a_connection_that_died_at_rest_costs_nobody_an_answer() {
    // As llama-server: keep-alive promised, closed without a word when the next request comes.
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        visit.head().await; // the second request is read, and never answered
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    for _ in 0..5 {
        let answer = client.post("/", "", r#"{"user":"ana","stream":true}"#).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
    proxy.settles("blue", Verdict::Complete, 5).await;
    let totals = proxy.app().controller().totals();
    let blue = totals.environments.values().next().expect("there is one");
    let sizes = blue.counts.distributions.of(Measure::RequestSize).expect("bodies were sent");
    assert_eq!((sizes.count(), sizes.sum()), (5, 5 * 28), "what was sent twice is one body");
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_not_tried_again() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let answer = proxy.client().await.post("/", "", "{}").await;
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains("closed the connection before it answered"),
        "{}",
        answer.text()
    );
    proxy.settles("blue", Verdict::ConnectError, 1).await;
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test]
async fn an_early_answer_comes_through_before_the_upload_ends() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit
            .send("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
            .await;
        visit.until_closed().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n").await;
    client.send(vec![b'x'; 16 * 1024]).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "big"));
    drop(client);
    proxy.settles("blue", Verdict::HttpError, 1).await;
}
