//! What slow, resting and flooding clients make Cyan hold, of the real program. `benches/slow_clients/run` and
//! `benches/crowds/run` do the same with thousands, and ask how fast the others are meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::floods::Flood;
use crate::support::raw_http2::Raw;
use crate::support::serving::Serving;
use crate::support::upstream::Upstream;

/// Of each kind.
const SLOW: usize = 150;
/// A slow body that goes on to an upstream.
const CHUNKED: &str =
    "POST / HTTP/1.1\r\nhost: a\r\nx-user-id: b\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n";
/// What one of them may cost, docs/understand/limits.md.
const BYTES_PER_CONNECTION_MAX: usize = 64 << 10;
/// What an answer that nobody reads may cost; the statement is for an optimised program.
const UNREAD_BYTES_MAX: usize = 512 << 10;
/// Connections at rest, where the process may have four times as many descriptors.
const RESTING: usize = 1_000;
/// What one of them may cost; the statement is for an optimised program.
const BYTES_PER_RESTING_MAX: usize = 24 << 10;
/// Floods of each kind, one after the other.
const FLOODS: usize = 10;
/// What all of them may leave behind.
const FLOODED_BYTES_MAX: usize = 16 << 20;

fn before(upstream: &Upstream) -> String {
    format!("[service.chat.environment.blue]\nupstreams = [\"{}\"]\n", upstream.url())
}

/// An upstream whose answers never end; it says when nobody takes them any more.
async fn endless(is_blocked: &Arc<AtomicBool>) -> Upstream {
    let is_blocked = Arc::clone(is_blocked);
    Upstream::scripted(move |mut visit| {
        let is_blocked = Arc::clone(&is_blocked);
        async move {
            visit.request().await;
            visit.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n").await;
            visit.send("transfer-encoding: chunked\r\n\r\n").await;
            let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
            loop {
                let written = visit.stream.write_all(chunk.as_bytes());
                match tokio::time::timeout(Duration::from_secs(1), written).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => is_blocked.store(true, Ordering::Relaxed),
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn slow_clients_cost_little_each() {
    let upstream = endless(&Arc::default()).await;
    let cyan = Serving::start(&before(&upstream)).await;
    drop(cyan.client().await.try_send("GET / HTTP/1.1\r\n").await);
    let idle = cyan.resident_bytes();
    let mut held: Vec<Client> = Vec::new();
    for (sent, awaited) in [
        ("GET / HTTP/1.1\r\nhost: test\r\nx-slow: a", false),
        ("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 9999\r\n\r\n{\"user\":", false),
        (CHUNKED, false),
        ("GET / HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n\r\n", true),
    ] {
        for _ in 0..SLOW {
            let mut client = cyan.client().await;
            client.send(sent).await;
            if awaited {
                client.read_until(b"\r\n\r\n").await;
            }
            held.push(client);
        }
    }
    eventually("all are there", || upstream.connections() == 2 * SLOW).await;
    let each = cyan.resident_bytes().saturating_sub(idle) / held.len();
    assert!(each < BYTES_PER_CONNECTION_MAX, "{} KiB each", each >> 10);
}

/// Every byte that was kept once held the read buffer that it lay in: 12 MiB each.
#[tokio::test]
async fn bytes_that_come_one_by_one_cost_little() {
    let came = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&came);
    let upstream = Upstream::scripted(move |mut visit| {
        let came = Arc::clone(&counting);
        async move {
            visit.head().await;
            let mut piece = [0; 1024];
            while let Ok(length @ 1..) = visit.stream.read(&mut piece).await {
                let bytes = memchr::memchr_iter(b'x', &piece[..length]).count();
                came.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    })
    .await;
    let cyan = Serving::start(&before(&upstream)).await;
    drop(cyan.client().await.try_send("GET / HTTP/1.1\r\n").await);
    let idle = cyan.resident_bytes();
    let mut held = Vec::new();
    for _ in 0..10 {
        let known = "POST / HTTP/1.1\r\nhost: a\r\nx-user-id: b\r\ncontent-length: 60000\r\n\r\n";
        for (head, piece) in [(known, "x"), (CHUNKED, "1\r\nx\r\n")] {
            let mut client = cyan.client().await;
            client.send(head).await;
            held.push((client, piece));
        }
    }
    for _ in 0..1000 {
        for (client, piece) in &mut held {
            client.send(piece).await;
        }
    }
    // What came with a head is not counted.
    eventually("they are read", || came.load(Ordering::Relaxed) > 9_900).await;
    let each = cyan.resident_bytes().saturating_sub(idle) / held.len();
    assert!(each < BYTES_PER_CONNECTION_MAX, "{} KiB each", each >> 10);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_stays_with_its_upstream() {
    let is_blocked = Arc::new(AtomicBool::new(false));
    let upstream = endless(&is_blocked).await;
    let cyan = Serving::start(&before(&upstream)).await;
    let request = "GET / HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n\r\n";
    // What every core takes once, for the first that it serves, is not this answer's.
    for gone in 1..=16 {
        let mut before = cyan.client().await;
        before.send(request).await;
        before.read_until(b"xxxx").await;
        eventually("it reads no more", || is_blocked.load(Ordering::Relaxed)).await;
        drop(before);
        eventually("it is gone", || upstream.closed() == gone).await;
        is_blocked.store(false, Ordering::Relaxed);
    }
    let idle = cyan.resident_bytes();
    let mut client = cyan.client().await;
    client.send(request).await;
    eventually("the upstream is held up", || is_blocked.load(Ordering::Relaxed)).await;
    let grown = cyan.resident_bytes().saturating_sub(idle);
    assert!(grown < UNREAD_BYTES_MAX, "{} KiB more", grown >> 10);
    client.read_until(b"xxxx").await;
}

#[tokio::test]
async fn connections_at_rest_cost_little_and_are_served_on() {
    let upstream = Upstream::replying(200, "ok").await;
    let cyan = Serving::start(&before(&upstream)).await;
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let descriptors = usize::try_from(descriptors.unwrap_or(u64::MAX)).unwrap();
    let count = RESTING.min(descriptors / 4);
    if count < RESTING {
        eprintln!("{count} connections instead of {RESTING}: the process may have {descriptors}");
    }
    let user = "x-user-id: ana\r\n";
    // What every core takes once, for the first that it serves, is nobody's.
    for _ in 0..16 {
        assert_eq!(cyan.client().await.get("/", user).await.status, 200);
    }
    let before = cyan.resident_bytes();
    let mut resting = Vec::new();
    for _ in 0..count {
        let mut client = cyan.client().await;
        assert_eq!(client.get("/", user).await.status, 200);
        resting.push(client);
    }
    let each = cyan.resident_bytes().saturating_sub(before) / count;
    assert!(each < BYTES_PER_RESTING_MAX, "{each} bytes each");
    for client in &mut resting {
        assert_eq!(client.get("/", user).await.status, 200);
    }
}

/// Sends frames until it is cut.
async fn pour(cyan: &Serving, flood: Flood) {
    let mut client = Raw::connect(cyan.address).await;
    let frames = [flood.beginning(), flood.burst(0, 5_000)].concat();
    // It may be cut before it has sent all.
    let _ = client.send(&frames).await;
    client.end().await;
}

#[tokio::test]
async fn floods_of_frames_are_cut_and_leave_nothing_behind() {
    let upstream = Upstream::replying(200, "ok").await;
    let cyan = Serving::start(&before(&upstream)).await;
    for flood in Flood::ALL {
        pour(&cyan, flood).await;
    }
    let before = cyan.resident_bytes();
    for _ in 0..FLOODS {
        for flood in Flood::ALL {
            pour(&cyan, flood).await;
        }
    }
    let grown = cyan.resident_bytes().saturating_sub(before);
    assert!(grown < FLOODED_BYTES_MAX, "{} KiB more", grown >> 10);
    assert_eq!(cyan.client().await.get("/", "x-user-id: ana\r\n").await.status, 200);
}
