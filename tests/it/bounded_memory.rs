//! What slow clients make Cyan hold, of the real program. `benches/slow_clients/run` does the same with
//! thousands, and asks how fast the others are meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::serving::Serving;
use crate::support::upstream::Upstream;

/// Of each kind.
const SLOW: usize = 150;
/// What one of them may cost, docs/understand/limits.md.
const BYTES_PER_CONNECTION_MAX: usize = 64 << 10;
/// What an answer that nobody reads may cost; the statement is for an optimised program.
const UNREAD_BYTES_MAX: usize = 512 << 10;

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
        ("POST / HTTP/1.1\r\nhost: a\r\nx-user-id: b\r\ncontent-length: 9999\r\n\r\n{", false),
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
