//! TLS on both sides: towards clients by ALPN, towards upstreams with authorities of one's own.

use cyan::model::environment::{EnvironmentSpec, HostPolicy, Protocol, Secret};
use cyan::model::header_id::HeaderId;
use cyan::model::verdict::Verdict;

use crate::support::client::Client;
use crate::support::http2::{Http2Client, Http2Upstream, get};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::relay::Relay;
use crate::support::tls::Certificate;
use crate::support::upstream::Upstream;

fn secured(upstream: &Upstream, certificate: &Certificate) -> Proxy {
    Builder::new(vec![environment("blue", &[upstream])])
        .listener(|listener| listener.tls = Some(certificate.listener()))
        .start()
}

/// An environment behind TLS, trusting this certificate.
fn trusting(relay: &Relay, certificate: &Certificate) -> EnvironmentSpec {
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![format!("https://{}", relay.address).parse().expect("a url")];
    blue.tls.ca_file = Some(certificate.file());
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
