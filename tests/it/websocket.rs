//! `WebSockets`: tunnels that count as exchanges, with limits and honest ends.

use std::time::Duration;

use cyan::control_plane::command::Command;
use cyan::model::environment::Protocol;
use cyan::model::verdict::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment, name};
use crate::support::upstream::Upstream;

const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// Sends back whatever comes, and `bye` when nothing more will.
async fn echo() -> Upstream {
    Upstream::scripted(|mut visit| async move {
        if visit.head().await.is_none() {
            return;
        }
        visit.send(SWITCHING).await;
        let mut piece = [0; 1024];
        while let Ok(length @ 1..) = visit.stream.read(&mut piece).await {
            visit.send(&piece[..length]).await;
        }
        visit.send("bye").await;
        let _ = visit.stream.shutdown().await;
    })
    .await
}

async fn open(proxy: &Proxy) -> Client {
    let mut client = proxy.client().await;
    let answer = client.get("/socket", UPGRADE).await;
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    client
}

#[tokio::test]
async fn messages_pass_both_ways_and_the_last_words_too() {
    let upstream = echo().await;
    let proxy = Proxy::before(&upstream);
    let mut client = open(&proxy).await;
    for turn in 0..50 {
        let message = format!("message {turn};");
        client.send(&message).await;
        client.read_until(message.as_bytes()).await;
    }
    client.finish().await;
    let rest = client.rest().await.expect("a clean end");
    assert_eq!(rest, b"bye", "who has ended still hears the answer to that");
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_tunnel() {
    let upstream = mute().await;
    let proxy = Proxy::before(&upstream);
    let client = open(&proxy).await;
    assert_eq!(proxy.in_flight("blue"), 1);
    drop(client);
    eventually("the upstream is left", || upstream.closed() == 1).await;
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

#[tokio::test]
async fn an_upstream_that_says_nothing_more_and_stays_is_left() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit.send(SWITCHING).await;
        visit.until_closed().await;
        std::future::pending::<()>().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = open(&proxy).await;
    client.finish().await;
    assert_eq!(client.rest().await.unwrap(), b"");
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

/// Switches and takes whatever comes, without a word.
async fn mute() -> Upstream {
    Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit.send(SWITCHING).await;
        visit.until_closed().await;
    })
    .await
}

fn soon_idle(upstream: &Upstream) -> Proxy {
    let mut blue = environment("blue", &[upstream]);
    blue.timeouts.tunnel_idle = Duration::from_millis(200);
    Builder::new(vec![blue]).start()
}

#[tokio::test]
async fn an_idle_tunnel_ends_at_its_limit() {
    let upstream = echo().await;
    let proxy = soon_idle(&upstream);
    let mut client = open(&proxy).await;
    client.send("ping").await;
    client.read_until(b"ping").await;
    let _ = client.rest().await;
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn an_idle_tunnel_in_which_the_client_was_not_answered_is_told_apart() {
    let upstream = mute().await;
    let proxy = soon_idle(&upstream);
    let mut client = open(&proxy).await;
    client.send("is anybody there?").await;
    let _ = client.rest().await;
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

#[tokio::test]
async fn a_tunnel_that_breaks_is_the_fault_of_the_side_that_broke() {
    let upstream = echo().await;
    let proxy = Proxy::before(&upstream);
    let mut client = open(&proxy).await;
    client.send("ping").await;
    client.read_until(b"ping").await;
    client.reset();
    proxy.settles("blue", Verdict::ClientGone, 1).await;

    let upstream = Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit.send(SWITCHING).await;
        let mut piece = [0; 64];
        let _ = visit.stream.read(&mut piece).await;
        visit.reset();
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = open(&proxy).await;
    client.send("ping").await;
    let _ = client.rest().await;
    proxy.settles("blue", Verdict::AbortedByServer, 1).await;
}

#[tokio::test]
async fn a_drain_ends_a_tunnel_at_its_deadline() {
    let (blue, green) = (echo().await, Upstream::replying(200, "green").await);
    let proxy = Proxy::between(&blue, &green);
    let mut client = open(&proxy).await;
    proxy.switch("green").await;
    let deadline = Duration::from_millis(200);
    let (service, environment) = (name("chat"), name("blue"));
    proxy.ask(Command::Drain { service, environment, deadline }).await.unwrap();
    assert_eq!(proxy.in_flight("blue"), 0);
    let _ = client.rest().await;
    proxy.settles("blue", Verdict::Shed, 1).await;
}

#[tokio::test]
async fn an_upstream_that_refuses_answers_as_usual() {
    let upstream = Upstream::replying(403, "no sockets here").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    let answer = client.get("/", UPGRADE).await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "no sockets here"));
    assert_eq!(client.get("/", "").await.status, 403, "the connection stays");
    proxy.settles("blue", Verdict::HttpError, 2).await;
}

#[tokio::test]
async fn an_environment_over_http_2_gets_its_websockets_over_http_1() {
    let upstream = echo().await;
    let mut blue = environment("blue", &[&upstream]);
    blue.protocol = Protocol::Http2;
    let proxy = Builder::new(vec![blue]).start();
    let mut client = open(&proxy).await;
    client.send("ping").await;
    client.read_until(b"ping").await;
    assert!(upstream.heads()[0].starts_with("GET /socket HTTP/1.1\r\n"));
    drop(client);
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

/// A close frame as a server sends it: not masked, with a code.
fn close_frame(code: u16) -> Vec<u8> {
    [&[0x88, 2], &code.to_be_bytes()[..]].concat()
}

/// Answers the client's first message with a close frame, and ends.
async fn closing(code: Option<u16>) -> Upstream {
    Upstream::scripted(move |mut visit| async move {
        if visit.head().await.is_none() {
            return;
        }
        visit.send(SWITCHING).await;
        let mut piece = [0; 64];
        if let Ok(1..) = visit.stream.read(&mut piece).await {
            visit.send(code.map(close_frame).unwrap_or_default()).await;
            let _ = visit.stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn the_close_code_says_how_a_socket_ended() {
    for (code, verdict) in [
        (Some(1000), Verdict::Complete),
        (Some(1011), Verdict::AbortedByServer),
        (Some(1008), Verdict::HttpError),
        (None, Verdict::Truncated),
    ] {
        let upstream = closing(code).await;
        let proxy = Proxy::before(&upstream);
        let mut client = open(&proxy).await;
        client.send("go").await;
        let rest = client.rest().await.expect("a clean end of the connection");
        assert_eq!(rest, code.map(close_frame).unwrap_or_default());
        proxy.settles("blue", verdict, 1).await;
    }
}

#[tokio::test]
async fn a_client_that_says_goodbye_has_not_just_gone() {
    let upstream = echo().await;
    let proxy = Proxy::before(&upstream);
    let mut client = open(&proxy).await;
    // Masked, as clients have to: the mask is zero, and the code 1000.
    client.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await;
    client.finish().await;
    client.rest().await.expect("a clean end");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

/// Switches, and takes nothing of what comes.
async fn deaf() -> Upstream {
    Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit.send(SWITCHING).await;
        std::future::pending::<()>().await;
    })
    .await
}

/// Nobody looked at the client while its bytes waited for the upstream: the slot of the model was held until the
/// tunnel had been idle for an hour.
#[tokio::test]
async fn a_client_that_leaves_while_its_bytes_wait_is_noticed() {
    let upstream = deaf().await;
    let proxy = Proxy::before(&upstream);
    let mut client = open(&proxy).await;
    let piece = vec![0; 64 * 1024];
    while tokio::time::timeout(Duration::from_millis(300), client.try_send(&piece)).await.is_ok() {}
    assert_eq!(proxy.in_flight("blue"), 1);
    // A FIN would wait behind the bytes that nobody takes; only a reset can be noticed at all.
    client.reset();
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}

/// Its pings went on, and each was a sign of life for the whole tunnel.
#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go_whatever_it_says() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.head().await;
        visit.send(SWITCHING).await;
        let (mut reading, mut writing) = visit.stream.split();
        let piece = vec![0; 64 * 1024];
        let talks = async { while writing.write_all(&piece).await.is_ok() {} };
        let hears = async { while let Ok(1..) = reading.read(&mut [0; 64]).await {} };
        tokio::join!(talks, hears);
    })
    .await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.write_stall = Duration::from_millis(500);
    let proxy = Builder::new(vec![blue]).start();
    let mut client = open(&proxy).await;
    let pings = async {
        while client.try_send("ping").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = pings => {}
        () = proxy.settles("blue", Verdict::ClientGone, 1) => {}
    }
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}
