//! Unix sockets, on either side.

use std::os::unix::fs::PermissionsExt;

use cyan::model::listener::ListenAddress;
use cyan::model::verdict::Verdict;
use tokio::net::UnixStream;

use crate::support::client::Client;
use crate::support::http2::{Http2Client, get};
use crate::support::proxy::{Builder, environment};
use crate::support::relay::Relay;
use crate::support::upstream::Upstream;

#[tokio::test]
async fn an_upstream_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("llm.sock");
    let upstream = Upstream::replying(200, "ok").await;
    let _relay = Relay::on_unix(&path, upstream.address);
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![format!("unix:{}", path.display()).parse().unwrap()];
    let proxy = Builder::new(vec![blue]).start();
    let mut client = proxy.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/", "").await.text(), "ok");
    }
    assert_eq!(upstream.connections(), 1, "a connection rests and is used again");
    assert!(upstream.heads()[0].contains("\r\nhost: test\r\n"));
    proxy.settles("blue", Verdict::Complete, 3).await;
}

#[tokio::test]
async fn a_unix_socket_that_nobody_listens_on_is_a_502() {
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec!["unix:/nowhere/llm.sock".parse().unwrap()];
    let proxy = Builder::new(vec![blue]).start();
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!(answer.status, 502);
    let text = answer.text();
    assert!(text.contains("no upstream could be connected to"), "{text}");
    assert!(!text.contains("llm.sock"), "addresses are for operators: {text}");
    proxy.settles("blue", Verdict::ConnectError, 1).await;
}

#[tokio::test]
async fn clients_may_come_by_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cyan.sock");
    let upstream = Upstream::replying(200, "ok").await;
    let mut builder = Builder::new(vec![environment("blue", &[&upstream])]);
    let mut second = builder.config.listeners[0].clone();
    second.address = ListenAddress::Unix(path.clone());
    builder.config.listeners.push(second);
    let proxy = builder.start();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "for its owner and group alone");
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
        let answer = client.get("/", "x-forwarded-for: 6.6.6.6\r\n").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        clients.push(client);
    }
    let http2 = Http2Client::over(UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(http2.answer(get("/")).await.text(), "ok");
    for head in upstream.heads() {
        assert!(!head.contains("x-forwarded-for"), "a unix socket has no address: {head}");
    }
    proxy.settles("blue", Verdict::Complete, 5).await;
}
