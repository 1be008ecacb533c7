//! HTTP/2 from clients: streams end as honestly as connections do.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cyan::model::verdict::Verdict;
use http::{HeaderValue, Request};
use tokio::sync::watch;

use crate::support::http2::{Http2Client, get, post};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// An upstream that sends event after event, each when it is let, and ends after the fifth.
async fn stepwise(steps: &tokio::sync::watch::Sender<u32>) -> Upstream {
    let steps = steps.subscribe();
    Upstream::scripted(move |mut visit| {
        let mut steps = steps.clone();
        async move {
            visit.request().await;
            visit.send(STREAM).await;
            for event in 1..=5 {
                tokio::select! {
                    _ = steps.wait_for(|step| *step >= event) => {}
                    () = visit.until_closed() => return,
                }
                visit.send(format!("9\r\ndata: {event}\n\n\r\n")).await;
            }
            visit.send("0\r\n\r\n").await;
            visit.until_closed().await;
        }
    })
    .await
}

/// Ten places in the body of an answer.
fn cuts(whole: &str) -> Vec<usize> {
    let head = whole.find("\r\n\r\n").expect("a head") + 4;
    (0..10).map(|tenth| head + (whole.len() - head) * tenth / 10).collect()
}

#[tokio::test]
async fn a_request_by_prior_knowledge_is_answered() {
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let answer = client.answer(get("/v1/models?x=1")).await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.header("x-deployment"), Some("blue"));
    let mut call = client.open(post("/v1/chat")).await;
    call.send("{\"user\":");
    call.upload.send_data("\"ana\"}".into(), true).unwrap();
    assert_eq!(call.answer().await.text(), "hello");
    let head = &upstream.heads()[0];
    assert!(head.starts_with("GET /v1/models?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: test\r\n"), "{head}");
    assert_eq!(upstream.bodies()[1], br#"{"user":"ana"}"#);
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn a_stream_passes_frame_by_frame() {
    // The upstream waits for the client's word after each event, so one that is held back hangs.
    let (steps, _) = tokio::sync::watch::channel(0);
    let upstream = stepwise(&steps).await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.call(get("/")).await.reading().await;
    for event in 1..=5 {
        steps.send_replace(event);
        let frame = reading.next().await.unwrap().unwrap();
        assert_eq!(frame, format!("data: {event}\n\n"));
    }
    assert!(reading.rest().await.end.is_ok());
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn an_upstream_that_dies_in_the_middle_is_a_reset_at_every_byte() {
    let chunked = format!("{STREAM}9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    let sized = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\ndata: 1\n\ndata: 2\n\n".to_owned();
    let (chunked_at, sized_at) = (cuts(&chunked), cuts(&sized));
    let upstream = Upstream::scripted(move |mut visit| {
        let (chunked, sized) = (chunked.clone(), sized.clone());
        async move {
            let head = visit.request().await.expect("a request");
            let mut asked = head.split(['/', ' ']).skip(2);
            let whole = if asked.next() == Some("chunked") { chunked } else { sized };
            let cut: usize = asked.next().and_then(|cut| cut.parse().ok()).expect("a number");
            visit.send(&whole[..cut]).await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    for (framing, cuts) in [("chunked", chunked_at), ("sized", sized_at)] {
        for cut in cuts {
            let answer = client.answer(get(&format!("/{framing}/{cut}"))).await;
            assert!(answer.is_reset(), "{framing} cut at {cut}: {answer:?}");
            assert_eq!(answer.status(), 200);
        }
    }
    proxy.settles("blue", Verdict::Truncated, 20).await;
}

#[tokio::test]
async fn an_upstream_that_resets_its_connection_resets_the_stream() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let upstream = Upstream::scripted(move |mut visit| {
        let mut gone = gone.clone();
        async move {
            visit.request().await;
            visit.send(format!("{STREAM}9\r\ndata: 1\n\n\r\n")).await;
            let _ = gone.wait_for(|gone| *gone).await;
            visit.reset();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.call(get("/")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "data: 1\n\n");
    go.send_replace(true);
    assert!(reading.rest().await.is_reset());
    proxy.settles("blue", Verdict::AbortedByServer, 1).await;
}

#[tokio::test]
async fn a_reset_frees_its_upstream_and_leaves_the_other_streams_alone() {
    let (steps, _) = tokio::sync::watch::channel(1);
    let upstream = stepwise(&steps).await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut stays = client.call(get("/stays")).await.reading().await;
    let mut leaves = client.call(get("/leaves")).await.reading().await;
    assert_eq!(stays.next().await.unwrap().unwrap(), "data: 1\n\n");
    assert_eq!(leaves.next().await.unwrap().unwrap(), "data: 1\n\n");
    leaves.upload.send_reset(h2::Reason::CANCEL);
    eventually("the upstream is left", || upstream.closed() == 1).await;
    steps.send_replace(5);
    let answer = stays.rest().await;
    assert!(answer.end.is_ok() && answer.text().ends_with("data: 5\n\n"), "{answer:?}");
    proxy.settles("blue", Verdict::ClientGone, 1).await;
    assert_eq!(proxy.verdicts("blue", Verdict::Complete), 1);
}

#[tokio::test]
async fn a_client_that_leaves_ends_all_its_streams() {
    let (steps, _) = tokio::sync::watch::channel(1);
    let upstream = stepwise(&steps).await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    for path in ["/a", "/b", "/c"] {
        client.call(get(path)).await.reading().await.next().await.unwrap().unwrap();
    }
    drop(client);
    eventually("the upstream is left", || upstream.closed() == 3).await;
    proxy.settles("blue", Verdict::ClientGone, 3).await;
}

/// An upstream that counts heads, and waits for the end of what follows them, which is never to be whole.
async fn never_whole(ending: &'static [u8]) -> (Upstream, watch::Receiver<usize>) {
    let (came, coming) = watch::channel(0);
    let upstream = Upstream::scripted(move |mut visit| {
        let came = came.clone();
        async move {
            visit.head().await;
            came.send_modify(|count| *count += 1);
            visit.until_closed().await;
            let ahead = visit.ahead();
            assert!(!ahead.ends_with(ending), "{:?}", String::from_utf8_lossy(ahead));
        }
    });
    (upstream.await, coming)
}

/// Sends parts of an upload and takes it back, ten times.
async fn takes_back(
    (upstream, coming): (Upstream, watch::Receiver<usize>),
    request: impl Fn() -> Request<()>,
    parts: &[impl AsRef<str>],
) {
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    for count in 1..=10 {
        let mut call = client.open(request()).await;
        parts.iter().for_each(|part| call.send(part.as_ref().to_owned()));
        in_time(coming.clone().wait_for(|came| *came == count)).await.unwrap();
        call.upload.send_reset(h2::Reason::CANCEL);
        // Counted after the script's assertion: one that failed never closes.
        eventually("the upstream is left", || upstream.closed() == count).await;
    }
    proxy.settles("blue", Verdict::ClientGone, 10).await;
}

/// The codec takes a reset with CANCEL for the end of the body; the upstream must not.
#[tokio::test]
async fn an_upload_taken_back_never_reaches_the_upstream_as_a_whole() {
    takes_back(never_whole(b"0\r\n\r\n").await, || post("/"), &["{\"half\":"]).await;
}

/// To an upstream over HTTP/1.1 a request is whole with its last announced byte; to the client only with
/// `END_STREAM`.
#[tokio::test]
async fn an_upload_of_its_announced_length_may_still_be_taken_back() {
    let announced = || {
        let mut request = post("/");
        request.headers_mut().insert("content-length", HeaderValue::from_static("20005"));
        request
    };
    let parts = ["x".repeat(20_000), "hel".to_owned(), "lo".to_owned()];
    takes_back(never_whole(b"hello").await, announced, &parts).await;
}

#[tokio::test]
async fn a_short_upload_that_is_taken_back_reaches_no_upstream() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut request = post("/taken-back");
    request.headers_mut().insert("content-length", HeaderValue::from_static("5"));
    let mut call = client.open(request).await;
    call.send("hello");
    call.upload.send_reset(h2::Reason::CANCEL);
    assert_eq!(client.answer(get("/")).await.status(), 200);
    assert_eq!(upstream.heads().len(), 1);
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_host_that_disagrees_with_the_authority_is_refused() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut request = get("/");
    request.headers_mut().insert("host", HeaderValue::from_static("other"));
    let answer = client.answer(request).await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("`Host` differs from `:authority`"), "{}", answer.text());
    let mut request = get("/");
    request.headers_mut().insert("host", HeaderValue::from_static("test"));
    assert_eq!(client.answer(request).await.status(), 200);
    assert_eq!(upstream.heads().len(), 1);
    proxy.adds_up().await;
}

#[tokio::test]
async fn crumbs_of_a_cookie_become_one_cookie() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut request = get("/");
    for crumb in ["a=1", "b=2", "c=3"] {
        request.headers_mut().append("cookie", HeaderValue::from_static(crumb));
    }
    assert_eq!(client.answer(request).await.status(), 200);
    let head = &upstream.heads()[0];
    assert!(head.contains("\r\ncookie: a=1; b=2; c=3\r\n"), "{head}");
    proxy.adds_up().await;
}

/// Pings and window updates between two requests were once taken for a head that comes slowly.
#[tokio::test]
async fn a_connection_that_only_pings_is_idle_and_not_slow() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .listener(|listener| listener.timeouts.head = Duration::from_millis(100))
        .start();
    let mut client = Http2Client::connect(proxy.address).await;
    assert_eq!(client.answer(get("/")).await.status(), 200);
    let mut pings = client.pings.take().unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(400) {
        in_time(pings.ping(h2::Ping::opaque())).await.expect("the connection lives");
        // As fast as they are answered would be a flood.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(client.answer(get("/")).await.status(), 200);
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn an_idle_connection_is_said_goodbye_to() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .listener(|listener| listener.timeouts.idle = Duration::from_millis(100))
        .start();
    let client = Http2Client::connect(proxy.address).await;
    assert_eq!(client.answer(get("/")).await.status(), 200);
    client.refused().await;
    client.ended().await.expect("GOAWAY without an error");
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_shutdown_says_goaway_and_running_streams_finish() {
    let (steps, _) = tokio::sync::watch::channel(1);
    let upstream = stepwise(&steps).await;
    let mut builder = Builder::new(vec![environment("blue", &[&upstream])]);
    builder.config.shutdown.drain = Duration::from_secs(10);
    let proxy = builder.start();
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.call(get("/")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "data: 1\n\n");
    let ended = proxy.shut_down();
    client.refused().await;
    steps.send_replace(5);
    let answer = reading.rest().await;
    assert!(answer.end.is_ok() && answer.text().ends_with("data: 5\n\n"), "{answer:?}");
    client.ended().await.expect("GOAWAY without an error");
    in_time(ended).await.unwrap();
}

#[tokio::test]
async fn a_refused_upload_does_not_end_the_connection() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .service(|service| service.body_bytes_max = 1000)
        .start();
    let client = Http2Client::connect(proxy.address).await;
    let mut call = client.open(post("/")).await;
    call.send(Bytes::from(vec![b'x'; 2000]));
    let answer = call.answer().await;
    assert_eq!(answer.status(), 413);
    assert_eq!(client.answer(get("/")).await.status(), 200);
    proxy.adds_up().await;
}
