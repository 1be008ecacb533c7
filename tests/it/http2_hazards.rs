//! What HTTP/2 clients do to be a burden: floods of frames, windows that never open, connections that
//! never leave; and bursts of requests to HTTP/2 upstreams.

use std::time::{Duration, Instant};

use cyan::model::environment::Protocol;
use cyan::model::verdict::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::frames::{PING, SETTINGS, WINDOW_UPDATE, frame};
use crate::support::http2::{Http2Client, Http2Upstream, get};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::raw_http2::Raw;
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// An upstream that answers with 200 kB.
async fn large() -> Upstream {
    let body = "x".repeat(200_000);
    Upstream::replying(200, body.leak()).await
}

#[tokio::test]
async fn a_flood_of_pings_is_cut_and_others_are_served() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut flood = Raw::connect(proxy.address).await;
    flood.send(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(100);
    let mut sent = 0;
    while sent < 1_000 && flood.send(&pings).await.is_ok() {
        sent += 1;
    }
    flood.end().await;
    let client = Http2Client::connect(proxy.address).await;
    assert_eq!(client.answer(get("/")).await.status(), 200);
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn who_pings_for_every_answer_is_no_flood() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Http2Client::connect(proxy.address).await;
    let mut pings = client.pings.take().unwrap();
    for _ in 0..1_500 {
        assert_eq!(client.answer(get("/")).await.status(), 200);
        in_time(pings.ping(h2::Ping::opaque())).await.expect("the connection lives");
    }
    proxy.settles("blue", Verdict::Complete, 1_500).await;
}

/// The answer is short enough to be taken whole from the upstream: no exchange is left that could time out.
#[tokio::test]
async fn a_window_that_never_opens_costs_the_connection() {
    let upstream = Upstream::replying(200, "never taken").await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.write_stall = Duration::from_millis(300);
    let proxy = Builder::new(vec![blue]).start();
    let mut client = Raw::connect(proxy.address).await;
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    client.send(&no_window).await.unwrap();
    client.request(1).await.unwrap();
    assert!(client.end().await, "GOAWAY first");
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_window_that_opens_byte_by_byte_is_no_progress() {
    let upstream = large().await;
    let mut blue = environment("blue", &[&upstream]);
    let write_stall = Duration::from_millis(500);
    blue.timeouts.write_stall = write_stall;
    let proxy = Builder::new(vec![blue]).start();
    let mut client = Raw::connect(proxy.address).await;
    client.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])).await.unwrap();
    let asked = Instant::now();
    client.request(1).await.unwrap();
    let (mut reading, mut writing) = client.into_split();
    let trickle = async {
        while writing.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let read = async {
        let mut read = Vec::new();
        let _ = reading.read_to_end(&mut read).await;
    };
    in_time(async { tokio::join!(trickle, read) }).await;
    assert!(asked.elapsed() >= write_stall, "cut after {:?}", asked.elapsed());
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_leaves_the_others_alone() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let upstream = Upstream::scripted(move |mut visit| {
        let mut gone = gone.clone();
        async move {
            let head = visit.request().await.expect("a request");
            if head.starts_with("GET /stuck") {
                let body = "x".repeat(200_000);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                visit.send(head + &body).await;
            } else {
                visit.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").await;
                let _ = gone.wait_for(|gone| *gone).await;
                visit.send("cd").await;
            }
            visit.until_closed().await;
        }
    })
    .await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.write_stall = Duration::from_millis(300);
    let proxy = Builder::new(vec![blue]).start();
    let client = Http2Client::with_stream_window(proxy.address, 1_000).await;
    let mut reading = client.call(get("/reads")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "ab");
    let stuck = client.call(get("/stuck")).await.reading().await;
    client.refused().await; // no further streams for a client that does not read
    go.send_replace(true);
    let rest = reading.rest().await;
    assert!(rest.end.is_ok() && rest.text() == "cd", "{rest:?}");
    drop(stuck);
    proxy.adds_up().await;
}

#[tokio::test]
async fn an_old_connection_is_asked_to_come_anew() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .listener(|listener| listener.timeouts.http2_age = Some(Duration::from_millis(200)))
        .start();
    let client = Http2Client::connect(proxy.address).await;
    let mut answered = 0;
    let asking = async {
        loop {
            match client.try_answer(get("/")).await {
                Ok(answer) if answer.status() == 200 => answered += 1,
                _ => break,
            }
        }
    };
    in_time(asking).await;
    assert!(answered > 0);
    client.ended().await.expect("GOAWAY without an error");
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_burst_shares_connections_to_an_http_2_upstream() {
    let upstream = Http2Upstream::replying(200, "two").await;
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![upstream.url().parse().expect("a url")];
    blue.protocol = Protocol::Http2;
    let mut builder = Builder::new(vec![blue]);
    builder.config.workers = Some(1);
    let proxy = builder.start();
    let mut asking = tokio::task::JoinSet::new();
    let address = proxy.address;
    for _ in 0..32 {
        asking.spawn(async move {
            let client = Http2Client::connect(address).await;
            client.answer(get("/")).await.status()
        });
    }
    while let Some(status) = in_time(asking.join_next()).await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(upstream.heads().len(), 32);
    assert!(upstream.connections() <= 4, "{} connections", upstream.connections());
    proxy.settles("blue", Verdict::Complete, 32).await;
}

#[tokio::test]
async fn an_upstream_that_refuses_fails_a_burst_at_once() {
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![format!("http://{gone}").parse().unwrap()];
    blue.protocol = Protocol::Http2;
    blue.connect_retries = 0;
    let proxy = Builder::new(vec![blue]).start();
    let client = Http2Client::connect(proxy.address).await;
    for _ in 0..10 {
        assert_eq!(client.answer(get("/")).await.status(), 502);
    }
    eventually("all are counted", || proxy.verdicts("blue", Verdict::ConnectError) == 10).await;
    proxy.adds_up().await;
}

/// Frames of tokens that wait in h2 count against a budget of the whole connection.
#[tokio::test]
async fn tokens_that_wait_for_a_slow_client_cost_nobody_the_connection() {
    const EVENTS: usize = 3_000;
    let event = format!("data: {}\n\n", "t".repeat(32)).into_bytes();
    let whole = event.len() * EVENTS;
    let upstream = Http2Upstream::scripted(move |mut visit| {
        let event = event.clone();
        async move {
            let mut sending = visit.answer(200);
            let events = if visit.head.uri.path() == "/last" { 1 } else { EVENTS };
            for _ in 0..events {
                let _ = sending.send_data(event.clone().into(), false);
            }
            let _ = sending.send_data(bytes::Bytes::new(), true);
            // Until everything has gone: dropped before, it would be reset.
            std::future::poll_fn(|cx| sending.poll_reset(cx).map(drop)).await;
        }
    })
    .await;
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![upstream.url().parse().expect("a url")];
    blue.protocol = Protocol::Http2;
    let mut builder = Builder::new(vec![blue]);
    builder.config.workers = Some(1);
    let proxy = builder.start();
    let client = Http2Client::with_stream_window(proxy.address, 1_000).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(client.call(get("/slow")).await.reading().await);
    }
    // It comes on the same connection, so that everything before it has come, too.
    assert_eq!(client.answer(get("/last")).await.status(), 200);
    assert_eq!(upstream.connections(), 1);
    for reading in waiting {
        let answer = reading.rest().await;
        assert!(answer.end.is_ok(), "{:?}", answer.end);
        assert_eq!(answer.body.len(), whole);
    }
    proxy.settles("blue", Verdict::Complete, 5).await;
}
