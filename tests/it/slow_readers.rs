//! Clients that take nothing: they must not hold an upstream, nor a drain.

use std::time::Duration;

use cyan::control_plane::command::Command;
use cyan::model::verdict::Verdict;

use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment, name};
use crate::support::upstream::Upstream;

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
