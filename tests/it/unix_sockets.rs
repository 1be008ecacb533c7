//! Unix sockets, on either side.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cyan::model::listener::{ClientCertificates, ListenAddress, ListenerSpec, ListenerTls};
use cyan::model::verdict::Verdict;
use tokio::net::UnixStream;

use crate::support::client::Client;
use crate::support::http2::{Http2Client, get};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::relay::Relay;
use crate::support::tls::{Certificate, shake_over};
use crate::support::upstream::Upstream;

/// A proxy that clients may come to by a unix socket, too.
fn reached_by(path: &Path, upstream: &Upstream, change: impl FnOnce(&mut ListenerSpec)) -> Proxy {
    let mut builder = Builder::new(vec![environment("blue", &[upstream])]);
    let mut second = builder.config.listeners[0].clone();
    second.address = ListenAddress::Unix(path.to_owned());
    change(&mut second);
    builder.config.listeners.push(second);
    builder.start()
}

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
    let proxy = reached_by(&path, &upstream, |_| ());
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

/// It was served in plain text, and who could open it needed no certificate.
#[tokio::test]
async fn a_unix_socket_of_https_speaks_tls_and_asks_for_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cyan.sock");
    let upstream = Upstream::replying(200, "ok").await;
    let (own, known) = (Certificate::of("a.test"), Certificate::of("client"));
    let clients =
        ClientCertificates { ca_file: known.file(), is_required: true, is_forwarded: false };
    let tls = ListenerTls { clients: Some(clients), ..own.listener() };
    let proxy = reached_by(&path, &upstream, |listener| listener.tls = Some(tls));
    let connect = || async { UnixStream::connect(&path).await.unwrap() };

    let mut plain = Client::over(connect().await);
    plain.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert!(plain.try_answer().await.is_none(), "no answer in plain text");
    // With TLS 1.3 a client learns of its refusal with the first byte it reads.
    if let Ok(stream) = shake_over(own.client(None, &[]), connect().await, "a.test").await {
        let mut client = Client::over(stream);
        let _ = client.try_send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert!(client.try_answer().await.is_none(), "no answer without a certificate");
    }
    assert!(upstream.heads().is_empty());
    for alpn in ["http/1.1", "h2"] {
        let config = own.client(Some(&known), &[alpn]);
        let stream = shake_over(config, connect().await, "a.test").await.unwrap();
        let text = match alpn {
            "h2" => Http2Client::over(stream).await.answer(get("/")).await.text(),
            _ => Client::over(stream).get("/", "").await.text(),
        };
        assert_eq!(text, "ok", "{alpn}");
    }
    for head in upstream.heads() {
        assert!(head.contains("\r\nx-forwarded-proto: https\r\n"), "{head}");
    }
    proxy.settles("blue", Verdict::Complete, 2).await;
}

/// The client's address and scheme were lost behind a proxy that comes by a unix socket.
#[tokio::test]
async fn a_proxy_on_a_unix_socket_is_believed_where_it_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cyan.sock");
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = reached_by(&path, &upstream, |listener| listener.trusts_unix = true);
    let told = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n";
    // The second is served by hyper.
    for more in ["", "te: trailers\r\n"] {
        let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
        assert_eq!(client.get("/", &format!("{told}{more}")).await.status, 200);
    }
    for head in upstream.heads() {
        assert!(told.split_terminator("\r\n").all(|line| head.contains(line)), "{head}");
    }
    proxy.settles("blue", Verdict::Complete, 2).await;
}
