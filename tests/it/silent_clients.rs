//! Clients that connect and say nothing more, at whatever point: they are let go, and hold up no drain.
//!
//! A client that had agreed on HTTP/2 by ALPN was held for ever: hyper waited for its preface without a
//! limit, and what asks a connection to end was not heard there. One such client made every drain last
//! until its deadline, and enough of them stopped a listener.

use std::time::{Duration, Instant};

use cyan::model::listener::ListenerSpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::frames::{PREFACE, SETTINGS, frame};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::served::{Served, write_config};
use crate::support::tls::{Certificate, shake_over};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

const LONG: Duration = Duration::from_secs(60);

/// A proxy whose only listener speaks TLS.
async fn secured(
    certificate: &Certificate,
    drain: Duration,
    change: impl FnOnce(&mut ListenerSpec),
) -> (Proxy, Upstream) {
    let upstream = Upstream::replying(200, "ok").await;
    let mut builder = Builder::new(vec![environment("blue", &[&upstream])]);
    builder.config.shutdown.drain = drain;
    let builder = builder.listener(|listener| {
        listener.tls = Some(certificate.listener());
        change(listener);
    });
    (builder.start(), upstream)
}

/// All that clients say who then fall silent.
fn beginnings() -> [Vec<u8>; 5] {
    let settings = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let half_a_frame = [&settings[..], &[0, 0, 5]].concat();
    [Vec::new(), PREFACE[..16].to_vec(), PREFACE.to_vec(), settings, half_a_frame]
}

#[tokio::test]
async fn who_agreed_on_http_2_and_says_nothing_is_let_go() {
    let certificate = Certificate::of("a.test");
    let short = |listener: &mut ListenerSpec| listener.timeouts.idle = Duration::from_millis(200);
    let (proxy, _upstream) = secured(&certificate, LONG, short).await;
    let mut clients = Vec::new();
    for said in beginnings() {
        let mut client = certificate.connect(proxy.address, &["h2"]).await;
        client.write_all(&said).await.unwrap();
        clients.push((client, said));
    }
    for (mut client, said) in clients {
        let end = tokio::time::timeout(LONG / 4, client.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "still there after {said:?}");
    }
}

#[tokio::test]
async fn who_agreed_on_http_2_and_says_nothing_holds_up_no_drain() {
    let certificate = Certificate::of("a.test");
    let (proxy, _upstream) = secured(&certificate, LONG, |_| {}).await;
    let mut clients = Vec::new();
    for said in beginnings() {
        let mut client = certificate.connect(proxy.address, &["h2"]).await;
        client.write_all(&said).await.unwrap();
        clients.push(client);
    }
    let ended = tokio::time::timeout(LONG / 2, proxy.shut_down()).await;
    ended.expect("well before the deadline of the drain").unwrap();
}

/// A core ended as soon as it knew of no client, and it knew of none before its first byte: who needed
/// more than a quarter of a second for that, or for a handshake, was cut.
#[tokio::test]
async fn who_is_slow_to_begin_is_served_by_a_process_that_ends() {
    let certificate = Certificate::of("a.test");
    let upstream = Upstream::replying(200, "ok").await;
    let mut builder = Builder::new(vec![environment("blue", &[&upstream])]);
    builder.config.shutdown.drain = LONG;
    let plain = builder.config.listeners[0].clone();
    builder.config.listeners.push(plain);
    let builder = builder.listener(|listener| listener.tls = Some(certificate.listener()));
    let proxy = builder.start();
    let plain = proxy.app().public_addresses()[1];
    let greets = TcpStream::connect(proxy.address).await.unwrap();
    let mut asks = Client::connect(plain).await;
    let began = Instant::now();
    let ended = proxy.shut_down();
    // A round trip far away, as the client sees it.
    eventually("a while has passed", || began.elapsed() >= Duration::from_millis(400)).await;
    let answer = asks.get("/", "").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    let greeted = shake_over(certificate.client(None, &[]), greets, "a.test").await;
    let mut client = Client::over(greeted.expect("the handshake goes on"));
    assert_eq!(client.get("/", "").await.status, 200);
    in_time(ended).await.unwrap();
}

#[tokio::test]
async fn who_is_slow_to_begin_is_served_by_a_process_that_was_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, upstream) = (Certificate::of("a.test"), Upstream::replying(200, "ok").await);
    write_config(directory.path(), upstream.address, upstream.address);
    let file = directory.path().join("cyan.toml");
    let files = certificate.files();
    let https = format!(
        "https = \"127.0.0.1:0\"\ncertificate_file = {:?}\nkey_file = {:?}",
        files.certificate_file, files.key_file
    );
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("http = \"127.0.0.1:0\"", &https, 1)).unwrap();
    let old = Served::start(directory.path()).await;
    let greets = TcpStream::connect(old.address).await.unwrap();
    // Whoever came later is served, so the slow one has been let in.
    let later = certificate.connect(old.address, &[]).await;
    assert_eq!(Client::over(later).get("/", "").await.status, 200);
    let _next = Served::take_over(directory.path()).await.expect("it takes over");
    eventually("the old one knows", || old.log().contains("taken over; draining")).await;
    let taken_over = Instant::now();
    eventually("a while has passed", || taken_over.elapsed() >= Duration::from_millis(400)).await;
    let greeted = shake_over(certificate.client(None, &[]), greets, "a.test").await;
    let mut client = Client::over(greeted.expect("the handshake goes on"));
    assert_eq!(client.get("/", "").await.status, 200);
    assert_eq!(old.ended().await, Some(0));
}

#[tokio::test]
async fn who_never_begins_is_cut_at_the_deadline_of_a_drain() {
    let certificate = Certificate::of("a.test");
    let patient = |listener: &mut ListenerSpec| listener.timeouts.handshake = LONG;
    let (proxy, _upstream) = secured(&certificate, Duration::from_millis(300), patient).await;
    let mut silent = Client::connect(proxy.address).await;
    // Whoever came later is served, so the silent one has been let in.
    let later = certificate.connect(proxy.address, &[]).await;
    assert_eq!(Client::over(later).get("/", "").await.status, 200);
    let ended = proxy.shut_down();
    assert_eq!(silent.rest().await.unwrap_or_default(), b"");
    in_time(ended).await.unwrap();
}
