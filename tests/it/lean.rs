//! Two engines serve HTTP/1.1: plain requests the lean one, everything else hyper. No client and no
//! upstream may be able to tell which.

use std::sync::Arc;

use cyan::model::verdict::Verdict;
use tokio::sync::{Barrier, Notify};

use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::upstream::Upstream;

/// A request that is not plain: whoever sends it has hyper from then on.
const NOT_PLAIN: &str = "POST /chunked HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
    3\r\nabc\r\n0\r\n\r\n";

/// The lines of a head in any order, without those that are different each time.
fn lines(head: &str) -> Vec<String> {
    let mut lines: Vec<_> = head.lines().map(str::to_owned).collect();
    lines.retain(|line| !line.starts_with("x-request-id:"));
    lines.sort();
    lines
}

fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn both_engines_send_the_same_heads_in_both_directions() {
    let upstream = Upstream::sending(
        "HTTP/1.1 200 OK\r\nX-Own: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: x-hop\r\n\
         X-Hop: 1\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let proxy = Proxy::before(&upstream);
    let sent = "X-Own: 1\r\nX-Own: 2\r\nCookie: a=b\r\nX_Deployment: c\r\nConnection: x-gone\r\n\
                X-Gone: 1\r\nKeep-Alive: 5\r\nAccept:\r\nX-Forwarded-For: 6.6.6.6\r\n";
    let mut client = proxy.client().await;
    let lean = client.post("/v1/x?a=b", sent, "{}").await;
    client.send(NOT_PLAIN).await;
    assert_eq!(client.answer().await.text(), "ok");
    let hyper = client.post("/v1/x?a=b", sent, "{}").await;
    let heads = upstream.heads();
    assert_eq!(lines(&heads[0]), lines(&heads[2]));
    assert_eq!(names(&lean), names(&hyper));
    assert_eq!(upstream.bodies()[0], upstream.bodies()[2]);
    proxy.settles("blue", Verdict::Complete, 3).await;
}

#[tokio::test]
async fn requests_sent_in_one_go_are_answered_in_order_whoever_serves_them() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    let plain = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    let all = [plain("/1"), plain("/2"), NOT_PLAIN.to_owned(), plain("/4")].concat();
    client.send(all).await;
    for _ in 0..4 {
        assert_eq!(client.answer().await.text(), "ok");
    }
    let heads = upstream.heads();
    let paths: Vec<_> = heads.iter().filter_map(|head| head.split(' ').nth(1)).collect();
    assert_eq!(paths, ["/1", "/2", "/chunked", "/4"]);
    proxy.settles("blue", Verdict::Complete, 4).await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_arrives_whole() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    for byte in "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabcde".bytes() {
        client.send([byte]).await;
    }
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(upstream.bodies(), [b"abcde"]);
    // Longer than a socket's buffers take at once, shorter than what the lean engine leaves to hyper.
    let long = "x".repeat(60_000);
    assert_eq!(client.post("/", "", &long).await.text(), "ok");
    assert_eq!(upstream.bodies()[1], long.as_bytes());
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn an_interim_answer_passes_and_one_that_ends_with_its_connection_ends_with_a_last_chunk() {
    let upstream =
        Upstream::sending("HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let interim = client.get("/", "").await;
        assert_eq!((interim.status, interim.header("link")), (103, Some("a")));
        let answer = client.answer().await;
        assert_eq!((answer.header("transfer-encoding"), answer.is_whole), (Some("chunked"), true));
        assert_eq!((answer.text().as_str(), answer.header("link")), ("abc", None));
    }
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn an_answer_of_two_lengths_is_not_passed_on() {
    let upstream =
        Upstream::sending("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc")
            .await;
    let proxy = Proxy::before(&upstream);
    assert_eq!(proxy.client().await.get("/", "").await.status, 502);
}

#[tokio::test]
async fn a_long_answer_passes_at_the_speed_of_its_reader() {
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "y".repeat(100_000));
    let whole = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\nx-late: 1\r\n\r\n",
        chunk.repeat(80)
    );
    let upstream = Upstream::sending(whole).await;
    let proxy = Proxy::before(&upstream);
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!((answer.body.len(), answer.is_whole), (8_000_000, true));
    assert!(answer.body.iter().all(|byte| *byte == b'y'));
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_client_that_wants_to_end_is_told_so_and_the_connection_closes() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    let answer = client.get("/", "connection: close\r\n").await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("ok", Some("close")));
    assert_eq!(client.rest().await.expect("a clean end"), b"");
}

/// Answers `/loud` with these bytes and, when asked to, sends an answer that nobody waits for behind them.
async fn talkative(answer: &'static str, talk: &Arc<Notify>, has_talked: &Arc<Notify>) -> Upstream {
    let (talk, has_talked) = (Arc::clone(talk), Arc::clone(has_talked));
    Upstream::scripted(move |mut visit| {
        let (talk, has_talked) = (Arc::clone(&talk), Arc::clone(&has_talked));
        async move {
            while let Some(head) = visit.request().await {
                if !head.contains(" /loud ") {
                    visit.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nown").await;
                    continue;
                }
                visit.send(answer).await;
                talk.notified().await;
                visit.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nothers").await;
                has_talked.notify_one();
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_comes_unasked_is_nobodys_answer() {
    for (asked, answer, end) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", "\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n", "\r\n\r\n"),
    ] {
        for first in ["GET / HTTP/1.1\r\nhost: test\r\n\r\n", NOT_PLAIN] {
            let (talk, has_talked) = (Arc::default(), Arc::default());
            let upstream = talkative(answer, &talk, &has_talked).await;
            let proxy = Proxy::before(&upstream);
            let mut client = proxy.client().await;
            client.send(first).await;
            assert_eq!(client.answer().await.text(), "own");
            client.send(format!("{asked} /loud HTTP/1.1\r\nhost: test\r\n\r\n")).await;
            client.read_until(end.as_bytes()).await;
            talk.notify_one();
            has_talked.notified().await;
            let next = client.get("/", "").await;
            assert_eq!((next.status, next.text().as_str()), (200, "own"), "{asked} {answer:?}");
        }
    }
}

/// As servers do that are restarted: all of their connections at once, without having said so.
#[tokio::test]
async fn connections_closed_together_cost_nobody_an_answer() {
    const CLIENTS: usize = 8; // on two cores, so that one of them has four
    let all_ask = Arc::new(Barrier::new(CLIENTS));
    let upstream = Upstream::scripted(move |mut visit| {
        let all_ask = Arc::clone(&all_ask);
        async move {
            if visit.request().await.is_some_and(|head| head.contains(" /last ")) {
                all_ask.wait().await;
            }
            visit.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = proxy.client().await;
        client.send("GET /last HTTP/1.1\r\nhost: test\r\n\r\n").await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "ok");
    }
    eventually("all are closed", || upstream.closed() == CLIENTS).await;
    for client in &mut clients {
        assert_eq!(client.get("/next", "").await.status, 200);
    }
    proxy.settles("blue", Verdict::Complete, 2 * CLIENTS as u64).await;
}

#[tokio::test]
async fn a_body_with_a_coding_of_its_own_is_not_passed_on_without_it() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding:";
    for coding in ["gzip, chunked", "gzip\r\ntransfer-encoding: chunked", "gzip"] {
        let upstream =
            Upstream::sending(format!("{head} {coding}\r\n\r\n2\r\n\x1f\x01\r\n0\r\n\r\n")).await;
        let proxy = Proxy::before(&upstream);
        let mut client = proxy.client().await;
        assert_eq!(client.get("/", "").await.status, 502, "{coding}");
        client.send(NOT_PLAIN).await;
        assert_eq!(client.answer().await.status, 502, "{coding}");
    }
}

#[tokio::test]
async fn a_get_has_its_body_also_in_chunks() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    for method in ["GET", "DELETE", "QUERY"] {
        client.send(NOT_PLAIN.replacen("POST", method, 1)).await;
        assert_eq!(client.answer().await.text(), "ok");
    }
    assert_eq!(upstream.bodies(), [b"abc"; 3]);
}
