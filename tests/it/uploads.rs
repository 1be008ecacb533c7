//! Bodies of requests: large ones pass through, refused ones cost nothing.

use cyan::model::environment::Protocol;
use cyan::model::verdict::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http2::{Http2Upstream, Visit as Http2Visit};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::serving::Serving;
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

const LARGE_BYTES: usize = 100 << 20;
/// What sockets and the HTTP engine may hold on the way, and an allocator may keep.
const GROWTH_BYTES_MAX: usize = 16 << 20;

/// Counts the bytes of one request until they are these many, and answers.
async fn counting(bytes: usize) -> Upstream {
    Upstream::scripted(move |mut visit| async move {
        visit.head().await;
        let mut piece = vec![0; 64 * 1024];
        let mut left = bytes - memchr::memchr_iter(b'x', visit.ahead()).count();
        while left > 0 {
            let Ok(length @ 1..) = visit.stream.read(&mut piece).await else { return };
            left -= memchr::memchr_iter(b'x', &piece[..length]).count();
        }
        visit.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole").await;
        visit.until_closed().await;
    })
    .await
}

#[tokio::test]
async fn a_large_upload_passes_without_being_held() {
    let upstream = counting(LARGE_BYTES).await;
    let cyan = Serving::start(&format!(
        "[service.chat]\nbody_max = \"1GiB\"\n[service.chat.environment.blue]\nupstreams = [\"{}\"]\n",
        upstream.url()
    ))
    .await;
    let mut client = cyan.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    let before = cyan.resident_bytes();
    let mut most = 0;
    for _ in 0..LARGE_BYTES / 0x10000 {
        client.send(&chunk).await;
        most = most.max(cyan.resident_bytes());
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.text(), "whole");
    let grown = most.saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{} MiB more", grown >> 20);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on_when_its_body_is_wanted() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client
        .send(
            "POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ncontent-length: 4\r\n\
             expect: 100-continue\r\n\r\n",
        )
        .await;
    client.read_until(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("body").await;
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(upstream.bodies(), [b"body"]);
    let head = upstream.heads()[0].to_ascii_lowercase();
    assert!(!head.contains("expect:"), "the question is answered here: {head}");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_client_that_asks_first_and_is_refused_never_sends_its_body() {
    let gone = Upstream::replying(200, "ok").await.address;
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![format!("http://{gone}").parse().unwrap()];
    let proxy = Builder::new(vec![blue]).service(|service| service.body_bytes_max = 1000).start();
    for (length, status) in [(1001, 413), (1000, 502)] {
        let mut client = proxy.client().await;
        client
            .send(format!(
                "POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ncontent-length: {length}\r\n\
                 expect: 100-continue\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "and no 100 before: {}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "the body may follow or not");
    }
    proxy.settles("blue", Verdict::ConnectError, 1).await;
}

#[tokio::test]
async fn an_answer_during_the_upload_passes_at_once_and_is_whole() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n").await;
        let body = visit.rest_of_body(20_004).await;
        assert!(body.len() == 20_004 && body.ends_with(b"xlate"));
        visit.send("3\r\nend\r\n0\r\n\r\n").await;
        visit.until_closed().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ncontent-length: 20004\r\n\r\n")
        .await;
    client.send(vec![b'x'; 20_000]).await;
    client.read_until(b"early").await;
    client.send("late").await;
    client.read_until(b"end\r\n0\r\n\r\n").await;
    drop(client);
    proxy.settles("blue", Verdict::Complete, 1).await;
}

/// A client that broke its own upload made an upstream lose its connection in the middle of the answer, and
/// that counted against the environment: whoever wanted to could take a release back.
#[tokio::test]
async fn a_client_that_breaks_its_upload_during_the_answer_is_to_blame() {
    for (is_http2, rest, verdict) in [
        (false, "zz\r\n", Verdict::Shed),
        (true, "zz\r\n", Verdict::Shed),
        (false, "3e9\r\n", Verdict::Shed),
        (true, "3e9\r\n", Verdict::Shed),
        (false, "", Verdict::ClientGone),
        (true, "", Verdict::ClientGone),
    ] {
        let upstream = Upstream::scripted(|mut visit| async move {
            visit.head().await;
            visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n").await;
            visit.until_closed().await;
        })
        .await;
        let http2 = Http2Upstream::scripted(|mut visit| async move {
            let mut sending = visit.answer(200);
            let _ = sending.send_data("early".into(), false);
            while visit.piece().await.is_some() {}
            Http2Visit::until_reset(&mut sending).await;
        })
        .await;
        let mut blue = environment("blue", &[&upstream]);
        if is_http2 {
            blue.upstreams = vec![http2.url().parse().unwrap()];
            blue.protocol = Protocol::Http2;
        }
        let proxy = Builder::new(vec![blue]).service(|chat| chat.body_bytes_max = 1000).start();
        let mut client = proxy.client().await;
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            .await;
        client.read_until(b"early").await;
        if rest.is_empty() {
            client.finish().await;
        } else {
            client.send([rest.as_bytes(), &[b'x'; 1001]].concat()).await;
        }
        let rest = client.rest().await.unwrap_or_default();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "never a clean end");
        proxy.settles("blue", verdict, 1).await;
    }
}

/// What a client still writes was answered by a reset, and some clients saw that before the answer.
#[tokio::test]
async fn a_client_may_write_on_when_its_upload_is_refused_by_the_upstream() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit
            .send("HTTP/1.1 413 No\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large")
            .await;
        visit.stream.shutdown().await.unwrap();
        visit.until_closed().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ncontent-length: 9000000\r\n\r\n")
        .await;
    client.send(vec![b'x'; 16 * 1024]).await;
    eventually("it arrives", || upstream.heads().len() == 1).await;
    eventually("it is answered", || proxy.in_flight("blue") == 0).await;
    for _ in 0..100 {
        client.send([b'x'; 1000]).await;
        tokio::task::yield_now().await;
    }
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "too large"));
    assert!(client.rest().await.unwrap().is_empty(), "it ends without a reset");
    proxy.settles("blue", Verdict::HttpError, 1).await;
}

#[tokio::test]
async fn an_upload_that_stops_never_reaches_the_upstream_as_a_whole() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let upstream = Upstream::scripted(move |mut visit| {
        let tell = tell.clone();
        async move {
            visit.head().await;
            visit.until_closed().await;
            tell.send(visit.ahead().to_vec()).await.expect("the test waits");
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .await;
    eventually("the request arrives", || upstream.heads().len() == 1).await;
    drop(client);
    let came = in_time(told.recv()).await.unwrap();
    assert!(!came.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&came));
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}
