//! Copies of live requests: exact, within their budget, and nothing that a user could notice.
//!
//! Both engines copy, so everything is asked of both; `CYAN_ENGINE=hyper` has hyper do all of it.

use cyan::model::mirror::MirrorRule;
use cyan::model::mirror::counts::CopyOutcome;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::eventually;
use crate::support::http2::{Http2Client, post};
use crate::support::tapped::{Engine, Tapped, everything};
use crate::support::upstream::Upstream;

const BOTH: [Engine; 2] = [Engine::Lean, Engine::Hyper];

/// Header lines in any order, without those of this one request or of one environment.
fn comparable<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let own = ["x-request-id", "x-deployment", "content-length"];
    let lines = lines.filter(|(name, _)| !own.contains(name));
    let mut lines: Vec<_> = lines.map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_copy_is_what_any_upstream_would_get() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start(&upstream, everything());
    let sent = "X-Own: 1\r\nX-Own: 2\r\nCookie: a=b\r\nAuthorization: Bearer t\r\nX-Deployment: c\r\n\
                X-Cyan-Environment: green\r\nConnection: x-gone\r\nX-Gone: 1\r\nTE: trailers\r\n\
                X-Forwarded-For: 6.6.6.6\r\nX-User-Id: ana\r\n";
    for engine in BOTH {
        let mut client = cyan.client(engine).await;
        let answer = client.post("/v1/chat?a=b%20c", sent, "{\"model\":\"m\"}").await;
        assert_eq!(answer.text(), "ok");
        let copy = cyan.copy().await.request;
        let target = (copy.method.as_str(), copy.path_and_query.as_str());
        assert_eq!(target, ("POST", "/v1/chat?a=b%20c"), "{engine:?}");
        assert_eq!(copy.body, b"{\"model\":\"m\"}", "{engine:?}");
        let copied = copy.headers.iter().map(|(n, v)| (n.as_str(), str::from_utf8(v).unwrap()));
        let head = upstream.heads().pop().unwrap();
        let upstream_got = head.lines().filter_map(|line| line.split_once(": "));
        assert_eq!(comparable(copied), comparable(upstream_got), "{engine:?}");
        assert!(copy.headers.iter().all(|(name, _)| name != "x-deployment"), "{engine:?}");
    }
    cyan.rests().await;
}

#[tokio::test]
async fn a_request_without_a_body_is_copied_as_well() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start(&upstream, everything());
    for engine in BOTH {
        let mut client = cyan.client(engine).await;
        assert_eq!(client.get("/v1/models", "").await.text(), "ok");
        let copy = cyan.copy().await.request;
        assert_eq!((copy.method.as_str(), copy.body.as_slice()), ("GET", &b""[..]), "{engine:?}");
    }
}

#[tokio::test]
async fn bodies_are_copied_to_the_byte_however_they_come() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start(&upstream, everything());
    let large: Vec<u8> =
        (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for (length, pieces) in [(10, 1), (10, 3), (64 * 1024, 2), (300_000, 7)] {
        let body = &large[..length];
        let mut client = cyan.client(Engine::Lean).await;
        let head = "POST /v1/a HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n";
        client.send(format!("{head}content-length: {length}\r\n\r\n")).await;
        for piece in body.chunks(length.div_ceil(pieces)) {
            client.send(piece).await;
        }
        assert_eq!(client.answer().await.text(), "ok");
        assert!(cyan.copy().await.request.body == body, "{length} bytes of known length");
        client.send(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
        for piece in body.chunks(length.div_ceil(pieces)) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            client.send(chunk).await;
        }
        client.send("0\r\n\r\n").await;
        assert_eq!(client.answer().await.text(), "ok");
        let copy = cyan.copy().await.request;
        assert!(copy.body == body, "{length} bytes in chunks");
        assert!(copy.headers.iter().all(|(name, _)| name != "transfer-encoding"));
    }
    assert!(upstream.bodies().iter().all(|body| large.starts_with(body)));
}

#[tokio::test]
async fn http2_streams_are_copied_and_one_that_is_reset_is_not() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start(&upstream, everything());
    let client = Http2Client::connect(cyan.address).await;
    let mut call = client.open(post("/v1/chat?x")).await;
    call.send("{\"user\":");
    call.upload.send_data("\"ana\"}".into(), true).unwrap();
    assert_eq!(call.answer().await.text(), "ok");
    let copy = cyan.copy().await.request;
    assert_eq!(copy.path_and_query, "/v1/chat?x");
    assert_eq!(copy.body, b"{\"user\":\"ana\"}");
    assert!(copy.headers.contains(&("host".to_owned(), b"test".to_vec())), "{:?}", copy.headers);
    let mut call = client.open(post("/v1/chat")).await;
    call.send("{\"user\":");
    eventually("the second is being copied", || cyan.tap.in_flight() == 1).await;
    call.upload.send_reset(h2::Reason::CANCEL);
    cyan.rests().await;
    assert_eq!(cyan.counted(CopyOutcome::Abandoned), 1);
    assert_eq!(cyan.counted(CopyOutcome::Offered), 1);
}

#[tokio::test]
async fn a_body_longer_than_may_be_copied_passes_uncopied() {
    let upstream = Upstream::replying(200, "ok").await;
    let cyan = Tapped::start(&upstream, MirrorRule { body_max: 100, ..everything() });
    let body = "x".repeat(101);
    for engine in BOTH {
        let mut client = cyan.client(engine).await;
        assert_eq!(client.post("/v1/a", "", &body).await.text(), "ok");
        let head = "POST /v1/a HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
        client.send(format!("{head}65\r\n{body}\r\n0\r\n\r\n")).await;
        assert_eq!(client.answer().await.text(), "ok");
    }
    cyan.rests().await;
    assert_eq!(cyan.counted(CopyOutcome::BodyTooLong), 4);
    assert_eq!(cyan.counted(CopyOutcome::Offered), 0);
    assert!(upstream.bodies().iter().filter(|sent| **sent == body.as_bytes()).count() == 4);
}

#[tokio::test]
async fn what_must_not_be_sent_twice_is_not_copied() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start(&upstream, everything());
    for engine in BOTH {
        let mut client = cyan.client(engine).await;
        client.post("/other", "", "{}").await;
        client.post("/v1/../other", "", "{}").await;
        client.post("/v1/a", "x-stainless-retry-count: 1\r\n", "{}").await;
        client.post("/v1/a", "x-cyan-mirror: 1\r\n", "{}").await;
        client.send("DELETE /v1/a HTTP/1.1\r\nhost: test\r\n\r\n").await;
        client.answer().await;
        client.post("/v1/last", "x-stainless-retry-count: 0\r\n", "{}").await;
        assert_eq!(cyan.copy().await.request.path_and_query, "/v1/last", "{engine:?}");
    }
    assert_eq!(cyan.counted(CopyOutcome::Offered), 2);
}

#[tokio::test]
async fn users_are_served_when_nobody_takes_the_copies() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start(&upstream, MirrorRule { in_flight_max: 3, ..everything() });
    let mut clients = Vec::new();
    for engine in BOTH {
        clients.push(cyan.client(engine).await);
    }
    for client in &mut clients {
        for _ in 0..10 {
            assert_eq!(client.post("/v1/a", "", "{}").await.text(), "ok");
        }
    }
    // Three lie in the queue, unread: the budget is used up.
    let counted = |cyan: &Tapped| {
        [CopyOutcome::Offered, CopyOutcome::OverBudget, CopyOutcome::NotTaken]
            .map(|outcome| cyan.counted(outcome))
    };
    assert_eq!(counted(&cyan), [3, 17, 0]);
    cyan.copies.close();
    while cyan.copies.recv().await.is_some() {}
    for client in &mut clients {
        assert_eq!(client.post("/v1/a", "", "{}").await.text(), "ok");
    }
    assert_eq!(counted(&cyan), [3, 17, 2], "whoever sends them has ended");
    cyan.rests().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_gives_its_permit_back() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start(&upstream, MirrorRule { in_flight_max: 1, ..everything() });
    for round in 0..4 {
        let mut client = cyan.client(Engine::Lean).await;
        client.send("POST /v1/a HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\nfour").await;
        eventually("it is being copied", || cyan.tap.in_flight() == 1).await;
        if round % 2 == 0 {
            client.reset();
        } else {
            drop(client);
        }
        cyan.rests().await;
    }
    assert_eq!(cyan.counted(CopyOutcome::Abandoned), 4);
    let mut client = cyan.client(Engine::Lean).await;
    client.post("/v1/a", "", "{}").await;
    assert_eq!(cyan.copy().await.request.body, b"{}");
}

/// The beginning of a long body is read before it is known that there is no place for it.
#[tokio::test]
async fn who_is_refused_is_not_copied() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut cyan = Tapped::start_with(&upstream, everything(), |blue| {
        (blue.in_flight_max, blue.queue_max) = (Some(0), 0);
    });
    for length in [10, 70_000] {
        let mut client = cyan.client(Engine::Lean).await;
        let head = "POST /v1/a HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n";
        client.send(format!("{head}content-length: {length}\r\n\r\n")).await;
        client.send(vec![b'x'; length]).await;
        assert_eq!(client.answer().await.status, 503);
    }
    cyan.rests().await;
    assert_eq!(cyan.counted(CopyOutcome::Abandoned), 2);
    assert!(cyan.copies.try_recv().is_err());
}

/// How a client of the next test behaves.
#[derive(Debug, Clone, Copy)]
enum Way {
    Whole,
    Chunks,
    TooLong,
    LeavesInHead,
    LeavesInBody,
    ResetsInBody,
    LeavesBeforeAnswer,
}

#[tokio::test]
async fn however_requests_end_all_permits_come_back() {
    let upstream = Upstream::replying(200, "ok").await;
    let rule = MirrorRule { in_flight_max: 4, body_max: 64, ..everything() };
    let mut cyan = Tapped::start(&upstream, rule);
    let ways = [
        Way::Whole,
        Way::Chunks,
        Way::TooLong,
        Way::LeavesInHead,
        Way::LeavesInBody,
        Way::ResetsInBody,
        Way::LeavesBeforeAnswer,
    ];
    let drawn = prop::collection::vec((prop::sample::select(BOTH.to_vec()), 0..ways.len()), 600);
    let drawn = drawn.new_tree(&mut TestRunner::deterministic()).unwrap().current();
    for (engine, way) in drawn {
        let mut client = cyan.client(engine).await;
        let head = "POST /v1/a HTTP/1.1\r\nhost: test\r\n";
        match ways[way] {
            Way::Whole => drop(client.post("/v1/a", "", "{}").await),
            Way::Chunks => {
                client.send(format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n")).await;
                client.send("0\r\n\r\n").await;
                client.answer().await;
            }
            Way::TooLong => drop(client.post("/v1/a", "", &"x".repeat(65)).await),
            Way::LeavesInHead => client.send(head).await,
            Way::LeavesInBody => client.send(format!("{head}content-length: 9\r\n\r\n1234")).await,
            Way::ResetsInBody => {
                client.send(format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n12")).await;
                client.reset();
            }
            Way::LeavesBeforeAnswer => {
                client.send(format!("{head}content-length: 2\r\n\r\n{{}}")).await;
            }
        }
        while cyan.copies.try_recv().is_ok() {}
        assert!(cyan.tap.in_flight() <= 4);
    }
    eventually("all are given back", || {
        while cyan.copies.try_recv().is_ok() {}
        cyan.tap.in_flight() == 0
    })
    .await;
    assert!(cyan.counted(CopyOutcome::Offered) > 0 && cyan.counted(CopyOutcome::Abandoned) > 0);
}
