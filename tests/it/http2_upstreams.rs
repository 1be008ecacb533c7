//! Upstreams over HTTP/2: streams share a connection, and nothing else.

use std::sync::Arc;

use cyan::model::environment::{EnvironmentSpec, HostPolicy, Protocol};
use cyan::model::verdict::Verdict;
use tokio::sync::Notify;

use crate::support::http2::{Http2Client, Http2Upstream, Visit, get, post};
use crate::support::in_time;
use crate::support::proxy::{Builder, Proxy, environment};

fn blue(upstream: &Http2Upstream) -> EnvironmentSpec {
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![upstream.url().parse().expect("a url")];
    blue.protocol = Protocol::Http2;
    blue
}

fn before(upstream: &Http2Upstream) -> Proxy {
    Builder::new(vec![blue(upstream)]).start()
}

/// An upstream that streams one event and the rest when it is let. A path of `/quick` is answered at
/// once.
async fn held(streams: u32, go: &Arc<Notify>) -> Http2Upstream {
    let go = Arc::clone(go);
    Http2Upstream::allowing(streams, move |mut visit| {
        let go = Arc::clone(&go);
        async move {
            let mut sending = visit.answer(200);
            if visit.head.uri.path() == "/quick" {
                let _ = sending.send_data("quick".into(), true);
                return;
            }
            let _ = sending.send_data("first".into(), false);
            go.notified().await;
            let _ = sending.send_data(" last".into(), true);
        }
    })
    .await
}

#[tokio::test]
async fn streams_share_one_connection() {
    let go = Arc::new(Notify::new());
    let upstream = held(100, &go).await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    client.answer(get("/quick")).await;
    let mut readings = Vec::new();
    for _ in 0..5 {
        let mut reading = client.call(get("/")).await.reading().await;
        assert_eq!(reading.next().await.unwrap().unwrap(), "first");
        readings.push(reading);
    }
    assert_eq!((upstream.connections(), upstream.open()), (1, 5));
    go.notify_waiters();
    for reading in readings {
        let answer = reading.rest().await;
        assert!(answer.end.is_ok() && answer.text() == " last", "{answer:?}");
    }
    proxy.settles("blue", Verdict::Complete, 6).await;
}

#[tokio::test]
async fn a_full_connection_does_not_make_a_request_wait_for_a_stream() {
    let go = Arc::new(Notify::new());
    let upstream = held(1, &go).await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    client.answer(get("/quick")).await;
    let mut reading = client.call(get("/")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "first");
    assert_eq!(client.answer(get("/quick")).await.text(), "quick");
    assert_eq!(upstream.connections(), 2);
    go.notify_waiters();
    assert!(reading.rest().await.end.is_ok());
    proxy.settles("blue", Verdict::Complete, 3).await;
}

#[tokio::test]
async fn a_lost_connection_cuts_its_streams_and_no_client_takes_them_for_whole() {
    let go = Arc::new(Notify::new());
    let upstream = held(100, &go).await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.call(get("/")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "first");
    let mut old = proxy.client().await;
    old.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    old.read_until(b"first").await;
    drop(upstream);
    assert!(reading.rest().await.is_reset());
    let rest = old.rest().await.unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    proxy.settles("blue", Verdict::Truncated, 2).await;
}

/// The codec takes a reset with CANCEL or `NO_ERROR` for the end of the body.
#[tokio::test]
async fn a_reset_in_the_middle_is_never_a_clean_end() {
    for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR, h2::Reason::INTERNAL_ERROR] {
        let go = Arc::new(Notify::new());
        let may_go = Arc::clone(&go);
        let upstream = Http2Upstream::scripted(move |mut visit| {
            let go = Arc::clone(&may_go);
            async move {
                let mut sending = visit.answer(200);
                let _ = sending.send_data("half".into(), false);
                go.notified().await;
                sending.send_reset(reason);
            }
        })
        .await;
        let proxy = before(&upstream);
        let client = Http2Client::connect(proxy.address).await;
        let mut reading = client.call(get("/")).await.reading().await;
        assert_eq!(reading.next().await.unwrap().unwrap(), "half");
        let mut old = proxy.client().await;
        old.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
        old.read_until(b"half").await;
        go.notify_waiters();
        let answer = reading.rest().await;
        assert!(answer.is_reset(), "{reason:?}: {answer:?}");
        let rest = old.rest().await.unwrap_or_default();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{reason:?}: {rest:?}");
        proxy.settles("blue", Verdict::AbortedByServer, 2).await;
    }
}

/// RFC 9113, section 8.1: a complete answer, and the rest of the upload is not wanted.
#[tokio::test]
async fn a_whole_answer_before_the_end_of_an_upload_is_whole() {
    let upstream = Http2Upstream::scripted(|mut visit| async move {
        visit.piece().await;
        let mut sending = visit.answer(200);
        // The codec adds a reset with NO_ERROR, since the rest of the upload is never read.
        let _ = sending.send_data("early".into(), true);
    })
    .await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    for _ in 0..10 {
        let mut call = client.open(post("/")).await;
        call.send("{");
        let answer = call.answer().await;
        assert_eq!((answer.status(), answer.text().as_str()), (200, "early"), "{answer:?}");
    }
    proxy.settles("blue", Verdict::Complete, 10).await;
}

#[tokio::test]
async fn a_client_that_leaves_resets_its_stream_only() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let upstream = Http2Upstream::scripted(move |mut visit| {
        let tell = tell.clone();
        async move {
            let mut sending = visit.answer(200);
            let _ = sending.send_data("first".into(), false);
            if visit.head.uri.path() == "/quick" {
                let _ = sending.send_data(" last".into(), true);
                return;
            }
            let reason = Visit::until_reset(&mut sending).await;
            tell.send(reason).await.expect("the test waits");
        }
    })
    .await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.call(get("/")).await.reading().await;
    reading.next().await.unwrap().unwrap();
    reading.upload.send_reset(h2::Reason::CANCEL);
    drop(reading);
    assert_eq!(in_time(told.recv()).await, Some(h2::Reason::CANCEL));
    assert_eq!(client.answer(get("/quick")).await.text(), "first last");
    assert_eq!(upstream.connections(), 1);
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

#[tokio::test]
async fn a_stream_that_was_refused_is_sent_again_and_one_that_was_begun_is_not() {
    for (reason, is_sent_again) in
        [(h2::Reason::REFUSED_STREAM, true), (h2::Reason::INTERNAL_ERROR, false)]
    {
        let upstream = Http2Upstream::scripted(move |mut visit| async move {
            if visit.number == 1 {
                visit.reset(reason);
                return;
            }
            let mut sending = visit.answer(200);
            let _ = sending.send_data("ok".into(), true);
        })
        .await;
        let proxy = before(&upstream);
        let client = Http2Client::connect(proxy.address).await;
        assert_eq!(client.answer(post("/")).await.status(), 200);
        let answer = client.answer(post("/")).await;
        let (status, requests) = if is_sent_again { (200, 3) } else { (502, 2) };
        assert_eq!(answer.status(), status, "{reason:?}: {}", answer.text());
        assert_eq!(upstream.heads().len(), requests, "{reason:?}");
        proxy.adds_up().await;
    }
}

#[tokio::test]
async fn a_host_goes_into_the_authority() {
    let upstream = Http2Upstream::replying(200, "ok").await;
    let mut blue = blue(&upstream);
    blue.host = HostPolicy::Fixed("models.internal".into());
    let proxy = Builder::new(vec![blue]).start();
    assert_eq!(proxy.client().await.get("/v1?x=1", "").await.text(), "ok");
    let head = &upstream.heads()[0];
    assert_eq!(head.uri.to_string(), "http://models.internal/v1?x=1");
    assert!(!head.headers.contains_key("host") && !head.headers.contains_key("connection"));
    proxy.settles("blue", Verdict::Complete, 1).await;
}

/// Found by chaos: over HTTP/1.1 nobody asks for more than the announced length, so that the end of the
/// stream, in a frame of its own, was never seen, and a whole answer counted as `client_gone`.
#[tokio::test]
async fn an_answer_is_whole_when_its_announced_length_has_come() {
    let upstream = Http2Upstream::scripted(|mut visit| async move {
        let head = http::Response::builder().header("content-length", 5).body(()).unwrap();
        let mut sending = visit.answer_with(head);
        let _ = sending.send_data("hello".into(), false);
        Visit::until_reset(&mut sending).await;
    })
    .await;
    let proxy = before(&upstream);
    let mut client = proxy.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/", "").await.text(), "hello");
    }
    proxy.settles("blue", Verdict::Complete, 2).await;
}
