//! Many streams at once: each client gets the bytes that its upstream sent, and all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::support::proxy::Proxy;
use crate::support::upstream::{Upstream, Visit};

const STREAMS: u64 = 200;
const EVENTS: usize = 60;
/// A few events are as large as a whole answer; most are a token.
const LARGE_EVERY: usize = 16;

/// What was sent, by the path it was asked for: length and checksum of the body.
type Sent = Arc<Mutex<HashMap<String, (usize, u64)>>>;

#[tokio::test]
async fn two_hundred_streams_arrive_byte_for_byte() {
    let sent = Sent::default();
    let blue = {
        let sent = Arc::clone(&sent);
        Upstream::scripted(move |visit| stream(visit, Arc::clone(&sent))).await
    };
    let proxy = Proxy::before(&blue);
    let mut readers = JoinSet::new();
    for number in 0..STREAMS {
        let mut client = proxy.client().await;
        readers.spawn(async move {
            let path = format!("/stream/{number}");
            let answer = client.get(&path, "accept: text/event-stream\r\n").await;
            assert!(answer.is_whole, "{path} was cut after {} bytes", answer.body.len());
            (path, (answer.body.len(), xxh3_64(&answer.body)))
        });
    }
    let received: HashMap<_, _> = readers.join_all().await.into_iter().collect();
    assert_eq!(received.len() as u64, STREAMS);
    assert_eq!(received, *sent.lock().unwrap());
    proxy.settles("blue", cyan::model::verdict::Verdict::Complete, STREAMS).await;
}

/// Answers one request with events of random bytes, each a chunk of its own, in turn with the others.
async fn stream(mut visit: Visit, sent: Sent) {
    let Some(head) = visit.request().await else { return };
    let path = head.split(' ').nth(1).expect("a request line has a path").to_owned();
    let number = path.rsplit('/').next().and_then(|number| number.parse().ok());
    let mut random = fastrand::Rng::with_seed(number.expect("paths end in a number"));
    let (mut length, mut checksum) = (0, Xxh3::new());
    visit
        .send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        )
        .await;
    for number in 0..EVENTS {
        let size = if number % LARGE_EVERY == 7 { 20_000 } else { random.usize(1..300) };
        let event = event(size, &mut random);
        length += event.len();
        checksum.update(&event);
        let mut chunk = format!("{:x}\r\n", event.len()).into_bytes();
        chunk.extend_from_slice(&event);
        chunk.extend_from_slice(b"\r\n");
        visit.send(chunk).await;
        tokio::task::yield_now().await;
    }
    visit.send("0\r\n\r\n").await;
    sent.lock().expect("no test panics with the lock").insert(path, (length, checksum.digest()));
}

/// An event with `size` bytes of any value but those that would end it.
fn event(size: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend((0..size).map(|_| match random.u8(..) {
        b'\r' | b'\n' => b' ',
        byte => byte,
    }));
    event.extend_from_slice(b"\n\n");
    event
}
