//! TLS on both sides: towards clients by ALPN, towards upstreams with authorities of one's own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cyan::model::environment::{EnvironmentSpec, HostPolicy, Protocol, Secret};
use cyan::model::header_id::HeaderId;
use cyan::model::verdict::Verdict;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::client::Client;
use crate::support::http2::{Http2Client, Http2Upstream, get};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::relay::{self, Relay};
use crate::support::served::{Served, call, write_config};
use crate::support::tls::Certificate;
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

fn secured(upstream: &Upstream, certificate: &Certificate) -> Proxy {
    Builder::new(vec![environment("blue", &[upstream])])
        .listener(|listener| listener.tls = Some(certificate.listener()))
        .start()
}

/// An environment behind TLS, trusting this certificate.
fn trusting(relay: &Relay, certificate: &Certificate) -> EnvironmentSpec {
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![format!("https://{}", relay.address).parse().expect("a url")];
    blue.tls.ca_file = Some(certificate.authority());
    blue
}

#[tokio::test]
async fn a_client_gets_http_2_by_alpn_and_http_1_otherwise() {
    let upstream = Upstream::replying(200, "hello").await;
    let certificate = Certificate::of("cyan.test");
    let proxy = secured(&upstream, &certificate);
    let stream = certificate.connect(proxy.address, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = Http2Client::over(stream).await;
    assert_eq!(client.answer(get("/")).await.text(), "hello");
    for alpn in [&["http/1.1"][..], &[]] {
        let mut client = Client::over(certificate.connect(proxy.address, alpn).await);
        assert_eq!(client.get("/", "").await.text(), "hello");
        assert_eq!(client.get("/", "").await.text(), "hello", "the connection stays");
    }
    for head in upstream.heads() {
        assert!(head.contains("\r\nx-forwarded-proto: https\r\n"), "{head}");
    }
    proxy.settles("blue", Verdict::Complete, 5).await;
}

#[tokio::test]
async fn a_cut_answer_is_seen_through_tls() {
    let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    let upstream = Upstream::sending(cut).await;
    let certificate = Certificate::of("cyan.test");
    let proxy = secured(&upstream, &certificate);
    let mut client = Client::over(certificate.connect(proxy.address, &[]).await);
    let answer = client.get("/", "").await;
    assert!(!answer.is_whole, "{answer:?}");
    let client = Http2Client::over(certificate.connect(proxy.address, &["h2"]).await).await;
    assert!(client.answer(get("/")).await.is_reset());
    proxy.settles("blue", Verdict::Truncated, 2).await;
}

#[tokio::test]
async fn a_hosted_api_behind_tls_sees_its_own_name_and_credentials() {
    let upstream = Upstream::replying(200, "ok").await;
    let certificate = Certificate::of("127.0.0.1");
    let relay = certificate.before(upstream.address, &["http/1.1"]).await;
    let mut blue = trusting(&relay, &certificate);
    blue.host = HostPolicy::Upstream;
    blue.set_headers = vec![(HeaderId::AUTHORIZATION, Secret::new("Bearer sk-1"))];
    let proxy = Builder::new(vec![blue]).start();
    let mut client = proxy.client().await;
    assert_eq!(client.get("/", "authorization: Bearer users-own\r\n").await.text(), "ok");
    let head = &upstream.heads()[0];
    assert!(head.contains(&format!("\r\nhost: {}\r\n", relay.address)), "{head}");
    assert!(head.contains("authorization: Bearer sk-1\r\n"), "{head}");
    assert!(!head.contains("users-own"), "{head}");
    assert_eq!(client.get("/", "").await.text(), "ok");
    assert_eq!(upstream.connections(), 1, "a connection over TLS rests and is used again");
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_name_that_was_set() {
    let upstream = Upstream::replying(200, "ok").await;
    let certificate = Certificate::of("models.internal");
    let relay = certificate.before(upstream.address, &["http/1.1"]).await;
    let mut blue = trusting(&relay, &certificate);
    blue.tls.server_name = Some("models.internal".into());
    let proxy = Builder::new(vec![blue]).start();
    assert_eq!(proxy.client().await.get("/", "").await.text(), "ok");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

/// A renewal had written the certificate and not yet the key. The reload was refused, but each core read the files
/// on its first request to an environment, and could not connect to one that had had no traffic until then.
#[tokio::test]
async fn what_was_checked_is_shown_while_a_renewal_is_half_done() {
    let (blue, green) =
        (Upstream::replying(200, "blue").await, Upstream::replying(200, "green").await);
    let (theirs, ours) = (Certificate::of("127.0.0.1"), Certificate::of("cyan"));
    let relay = theirs.before_for(&ours, green.address).await;
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), blue.address, relay.address);
    let config = directory.path().join("cyan.toml");
    let plain = format!("[\"http://{}\"]", relay.address);
    let files = ours.files();
    let secured = format!(
        "[\"https://{}\"]\ntls.ca_file = {:?}\ntls.certificate_file = {:?}\ntls.key_file = {:?}",
        relay.address,
        theirs.file(),
        files.certificate_file,
        files.key_file
    );
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(&plain, &secured)).unwrap();
    let cyan = Served::start(directory.path()).await;
    std::fs::copy(Certificate::of("cyan").file(), files.certificate_file).unwrap();
    let mut admin = Client::connect(cyan.admin).await;
    let (status, problem) = call(&mut admin, "POST", "/v1/reload", "").await;
    assert_eq!(status, 422, "{problem}");
    let all = r#"{"weights":{"blue":0,"green":100}}"#;
    let (status, answer) = call(&mut admin, "PUT", "/v1/services/chat/weights", all).await;
    assert_eq!(status, 200, "{answer}");
    let answer = Client::connect(cyan.address).await.get("/", "x-user-id: ana\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "green"));
}

#[tokio::test]
async fn a_wrong_certificate_is_a_502() {
    let upstream = Upstream::replying(200, "ok").await;
    let certificate = Certificate::of("models.internal");
    let relay = certificate.before(upstream.address, &["http/1.1"]).await;
    let stranger = Certificate::of("127.0.0.1");
    for trusted in [&certificate, &stranger] {
        let proxy = Builder::new(vec![trusting(&relay, trusted)]).start();
        let answer = proxy.client().await.get("/", "").await;
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains("no upstream could be connected to"), "{}", answer.text());
        proxy.settles("blue", Verdict::ConnectError, 1).await;
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn an_upstream_gets_http_2_over_tls_where_asked() {
    let upstream = Http2Upstream::replying(200, "two").await;
    let certificate = Certificate::of("127.0.0.1");
    let relay = certificate.before(upstream.address, &["h2"]).await;
    let mut blue = trusting(&relay, &certificate);
    blue.protocol = Protocol::Http2;
    let proxy = Builder::new(vec![blue]).start();
    assert_eq!(proxy.client().await.get("/x", "").await.text(), "two");
    let uri = &upstream.heads()[0].uri;
    assert_eq!(uri.to_string(), "https://test/x");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

/// The limit on a whole exchange was taken for a failure of the upstream, by whoever waited for the same
/// connection too.
#[tokio::test]
async fn a_limit_on_the_whole_exchange_that_passes_while_connecting_ends_that_one_alone() {
    let upstream = Http2Upstream::replying(200, "two").await;
    let certificate = Certificate::of("127.0.0.1");
    let behind = certificate.before(upstream.address, &["h2"]).await;
    let (relay, mut silent) = silent_once(behind.address).await;
    let mut blue = trusting(&relay, &certificate);
    blue.protocol = Protocol::Http2;
    blue.timeouts.connect = Duration::from_secs(5);
    blue.timeouts.total = Some(Duration::from_secs(1));
    let mut builder = Builder::new(vec![blue]);
    builder.config.workers = Some(1); // those of one core share a connection
    let proxy = builder.start();
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    let began = Instant::now();
    first.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    in_time(silent.wait_for(|is_taken| *is_taken)).await.unwrap();
    eventually("the first has little time left", || began.elapsed().as_millis() >= 600).await;
    second.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let (first, second) = (first.answer().await, second.answer().await);
    assert_eq!((first.status, second.status), (504, 200), "{} {}", first.text(), second.text());
    assert!(first.text().contains("1000 ms"), "{}", first.text());
    proxy.settles("blue", Verdict::Timeout, 1).await;
    proxy.settles("blue", Verdict::Complete, 1).await;
    drop(behind);
}

#[tokio::test]
async fn a_limit_on_the_whole_exchange_is_a_504_in_either_engine() {
    let certificate = Certificate::of("127.0.0.1");
    for headers in ["", "te: trailers\r\n"] {
        let (relay, _silent) = silent_once("127.0.0.1:1".parse().unwrap()).await;
        let mut blue = trusting(&relay, &certificate);
        blue.timeouts.connect = Duration::from_secs(5);
        blue.timeouts.total = Some(Duration::from_millis(200));
        let proxy = Builder::new(vec![blue]).start();
        assert_eq!(proxy.client().await.get("/", headers).await.status, 504, "{headers:?}");
        proxy.settles("blue", Verdict::Timeout, 1).await;
    }
}

/// Takes the first connection and says nothing on it; passes on those after it.
async fn silent_once(behind: SocketAddr) -> (Relay, watch::Receiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (taken, silent) = watch::channel(false);
    let address = listener.local_addr().unwrap();
    let relay = Relay::running(address, async move {
        let _first = listener.accept().await;
        taken.send_replace(true);
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(relay::pass(stream, behind));
        }
    });
    (relay, silent)
}

#[tokio::test]
async fn an_upstream_without_http_2_is_a_502() {
    let upstream = Upstream::replying(200, "one").await;
    let certificate = Certificate::of("127.0.0.1");
    let relay = certificate.before(upstream.address, &[]).await;
    let mut blue = trusting(&relay, &certificate);
    blue.protocol = Protocol::Http2;
    let proxy = Builder::new(vec![blue]).start();
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("no upstream could be connected to"), "{}", answer.text());
    assert!(upstream.heads().is_empty());
    proxy.settles("blue", Verdict::ConnectError, 1).await;
}
