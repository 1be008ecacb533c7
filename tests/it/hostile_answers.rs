//! Answers that no server should give: forwarded byte for byte, and judged all the same.

use cyan::model::verdict::Verdict;
use xxhash_rust::xxh3::xxh3_64;

use crate::support::proxy::Proxy;
use crate::support::upstream::{Upstream, Visit};

const CHAT: &str = "/v1/chat/completions";
const SSE: &str = "text/event-stream";

/// Answers one request after another with these bytes, as this kind, in chunks of this size.
async fn answering(kind: &'static str, body: Vec<u8>, piece_bytes: usize) -> Upstream {
    Upstream::scripted(move |mut visit| {
        let body = body.clone();
        async move {
            while visit.request().await.is_some() {
                answer(&mut visit, kind, &body, piece_bytes).await;
            }
        }
    })
    .await
}

async fn answer(visit: &mut Visit, kind: &str, body: &[u8], piece_bytes: usize) {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    visit.send(head).await;
    for piece in body.chunks(piece_bytes) {
        let size = format!("{:x}\r\n", piece.len());
        visit.send([size.as_bytes(), piece, b"\r\n"].concat()).await;
    }
    visit.send("0\r\n\r\n").await;
}

fn event(content: &str, finish: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}},\
         \"finish_reason\":{finish}}}],\"object\":\"chat.completion.chunk\"}}\n\n"
    )
}

fn ended(first: impl Into<Vec<u8>>) -> Vec<u8> {
    [first.into(), event("", "\"stop\"").into(), b"data: [DONE]\n\n".to_vec()].concat()
}

async fn passes(kind: &'static str, body: Vec<u8>, piece_bytes: usize, verdict: Verdict) {
    let upstream = answering(kind, body.clone(), piece_bytes).await;
    let proxy = Proxy::before(&upstream);
    let answer = proxy.client().await.post(CHAT, "", "{}").await;
    assert!(answer.is_whole);
    assert_eq!((answer.body.len(), xxh3_64(&answer.body)), (body.len(), xxh3_64(&body)));
    proxy.settles("blue", verdict, 1).await;
}

#[tokio::test]
async fn an_event_of_ten_megabytes_is_read_without_being_held() {
    let large = event(&"x".repeat(10 << 20), "null");
    passes(SSE, ended(large), 64 << 10, Verdict::Complete).await;
}

#[tokio::test]
async fn an_event_in_ten_thousand_pieces_is_one_event() {
    let event = event(&"y".repeat(9_900), "null");
    passes(SSE, ended(event), 1, Verdict::Complete).await;
}

#[tokio::test]
async fn comments_without_end_are_no_content() {
    passes(SSE, ": still here\n\n".repeat(100_000).into_bytes(), 16 << 10, Verdict::Empty).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_pass() {
    let noise: Vec<u8> =
        (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    passes("application/json", noise, 1000, Verdict::Truncated).await;
    let broken = [b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n".to_vec()];
    passes(
        SSE,
        ended([broken.concat(), event("word", "null").into()].concat()),
        7,
        Verdict::Complete,
    )
    .await;
}

#[tokio::test]
async fn json_that_breaks_off_in_an_event_is_skipped() {
    let broken = "data: {\"choices\":[{\"delta\":{\"content\":\n\n";
    passes(SSE, ended(format!("{broken}{}", event("word", "null"))), 11, Verdict::Complete).await;
}

#[tokio::test]
async fn a_label_that_lies_changes_no_byte() {
    let stream = ended(event("word", "null"));
    passes("application/json", stream.clone(), 50, Verdict::Complete).await;
    passes("image/png", stream, 50, Verdict::Complete).await;
}

#[tokio::test]
async fn an_answer_to_head_has_no_words_and_lacks_none() {
    let upstream = Upstream::scripted(|mut visit| async move {
        while visit.request().await.is_some() {
            visit.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n").await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send(format!("HEAD {CHAT} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
    client.read_until(b"\r\n\r\n").await;
    proxy.settles("blue", Verdict::Complete, 1).await;
}
