//! Clients that take nothing: they must not hold an upstream, nor a drain.

use std::time::Duration;

use cyan::control_plane::command::Command;
use cyan::data_plane::exchange::OnTime;
use cyan::model::listener::ListenAddress;
use cyan::model::snapshot::Snapshot;
use cyan::model::verdict::Verdict;

use crate::support::client::Client;
use crate::support::memory_engine::{Head, MemoryEngine};
use crate::support::proxy::{Builder, Proxy, environment, name};
use crate::support::tables::{assignment, table_with};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// An upstream that sends as fast as it can, until it is left.
async fn endless() -> Upstream {
    Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while tokio::io::AsyncWriteExt::write_all(&mut visit.stream, chunk.as_bytes()).await.is_ok()
        {
        }
    })
    .await
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go_at_the_stall_limit() {
    let upstream = endless().await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.write_stall = Duration::from_millis(300);
    let proxy = Builder::new(vec![blue]).start();
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    eventually("the upstream is let go", || upstream.closed() == 1).await;
    proxy.settles("blue", Verdict::ClientGone, 1).await;
    let rest = client.rest().await.unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "never a clean end");
}

#[tokio::test]
async fn a_client_that_takes_nothing_does_not_outlive_a_drain() {
    let upstream = endless().await;
    let other = Upstream::replying(200, "ok").await;
    let proxy = Proxy::between(&upstream, &other);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    eventually("it is in flight", || proxy.in_flight("blue") == 1).await;
    proxy.switch("green").await;
    let deadline = Duration::from_millis(400);
    let drain = Command::Drain { service: name("chat"), environment: name("blue"), deadline };
    proxy.ask(drain).await.unwrap();
    eventually("nothing is in flight", || proxy.in_flight("blue") == 0).await;
    proxy.settles("blue", Verdict::Shed, 1).await;
    drop(client);
}

/// HTTP/1.0 has no other end of such an answer than that of the connection. A client that had paused found
/// what was queued for it, and then a FIN.
#[tokio::test]
async fn a_client_of_http_1_0_that_paused_sees_a_reset() {
    for ends_with_cyan in [false, true] {
        let upstream = endless().await;
        let mut blue = environment("blue", &[&upstream]);
        if !ends_with_cyan {
            blue.timeouts.write_stall = Duration::from_millis(300);
        }
        let proxy = Builder::new(vec![blue]).start();
        let mut client = proxy.client().await;
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        client.read_until(b"\r\n\r\n").await;
        if ends_with_cyan {
            in_time(proxy.shut_down()).await.unwrap();
        } else {
            eventually("the upstream is let go", || upstream.closed() == 1).await;
        }
        assert!(client.rest().await.is_err(), "ended with Cyan: {ends_with_cyan}");
    }
}

/// hyper holds the end of an answer when its exchange is over. A client that stopped reading there kept its
/// connection until the process ended, and one that went on asking had all its answers held.
#[tokio::test]
async fn a_client_that_asks_on_and_takes_nothing_is_cut_with_nothing_in_flight() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.write_stall = Duration::from_millis(300);
    let proxy = Builder::new(vec![blue]).start();
    let mut client = proxy.client().await;
    assert_eq!(client.get("/", "te: trailers\r\n").await.text(), "ok");
    // Far more answers than sockets hold.
    let asked = "OPTIONS * HTTP/1.1\r\nhost: test\r\n\r\n".repeat(500_000);
    assert!(client.try_send(&asked).await.is_err(), "who takes nothing is asked for no more");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

/// The answer fits the sockets but for its end: a unix socket takes 210 to 235 KiB, hyper 64 KiB.
#[tokio::test]
async fn a_client_that_leaves_the_end_of_its_answer_is_cut() {
    let length = 256 * 1024;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let upstream = Upstream::sending([head.as_bytes(), &vec![b'x'; length]].concat()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cyan.sock");
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.write_stall = Duration::from_millis(300);
    let mut builder = Builder::new(vec![blue]);
    let mut second = builder.config.listeners[0].clone();
    second.address = ListenAddress::Unix(path.clone());
    second.timeouts.idle = Duration::from_millis(100);
    builder.config.listeners.push(second);
    let proxy = builder.start();
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut client = Client::over(stream);
    client.send("GET / HTTP/1.1\r\nhost: test\r\nte: trailers\r\n\r\n").await;
    proxy.settles("blue", Verdict::Complete, 1).await;
    let connections = || proxy.app().controller().totals().connections();
    eventually("it is cut", || connections() == 0).await;
    drop(client);
}

/// A client that takes a piece of this length each time that so much has passed, of a stream that always
/// has one for it: after how many of them it is let go.
fn let_go_after(piece: usize, pause: Duration, is_waited_for: bool) -> Option<usize> {
    let table = table_with(&assignment(&[10_000], 1), 1, |_, _| {});
    let mut engine = MemoryEngine::new(Snapshot::new(vec![std::sync::Arc::new(table)]), []);
    let mut exchange = engine.begin(&Head::request("GET", "/", &[("x-user-id", "ana")]));
    engine.answers(&mut exchange);
    let piece = vec![b'x'; piece];
    for count in 0..1000 {
        exchange.on_response_data(&piece, engine.now);
        if !is_waited_for {
            exchange.on_waiting_for_upstream(engine.now);
        }
        engine.now += pause;
        match exchange.on_time(engine.now) {
            OnTime::Nothing if is_waited_for => exchange.on_waiting_for_upstream(engine.now),
            OnTime::Nothing => {}
            OnTime::Abort => {
                exchange.close(engine.now);
                assert_eq!(engine.verdicts(0), [(Verdict::ClientGone, 1)]);
                return Some(count);
            }
            other => panic!("{other:?}"),
        }
    }
    None
}

#[test]
fn a_byte_now_and_then_is_not_enough_and_16_kib_in_30_s_are() {
    let s = Duration::from_secs;
    for (piece, pause, is_waited_for, expected) in [
        (1, s(10), true, Some(6)),
        (1, s(1), true, Some(60)),
        (16 << 10, s(30), true, None),
        (16 << 10, s(59), true, Some(1)),
        (1 << 10, s(2), true, Some(464)),
        (1, s(10), false, None), // it takes at once what little the stream has to say
        (1 << 20, s(59), true, None),
        (1 << 20, s(60), true, Some(0)),
    ] {
        let after = let_go_after(piece, pause, is_waited_for);
        assert_eq!(after, expected, "{piece} bytes each {pause:?}, waited for: {is_waited_for}");
    }
}
