//! The certificates that clients see: by name, renewed while streams run, and shown by clients too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cyan::config::Config;
use cyan::control_plane::command::Command;
use cyan::model::listener::{ClientCertificates, ListenerTls, TlsVersion};
use cyan::model::reading::Reading;
use cyan::model::verdict::Verdict;
use http::Request;
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::Client;
use crate::support::http2::Http2Client;
use crate::support::journalled;
use crate::support::proxy::{Builder, Proxy, environment, name};
use crate::support::tls::{Certificate, shake};
use crate::support::upstream::Upstream;

/// A proxy with TLS, and its config, as a reload reads it.
fn secured(upstream: &Upstream, tls: ListenerTls) -> (Proxy, Config) {
    let builder = Builder::new(vec![environment("blue", &[upstream])])
        .listener(|listener| listener.tls = Some(tls));
    let config = builder.config.clone();
    (builder.start(), config)
}

/// Clients must show one that `known` has issued, which is itself.
fn clients(known: &Certificate, is_forwarded: bool) -> ClientCertificates {
    ClientCertificates { ca_file: known.file(), is_required: true, is_forwarded }
}

/// The usual certificate of `a.test`, and one of `b.test` beside it.
fn two(a: &Certificate, b: &Certificate) -> ListenerTls {
    ListenerTls { named: vec![(name("b"), b.files())], ..a.listener() }
}

#[tokio::test]
async fn a_client_sees_the_certificate_of_the_name_it_asks_for() {
    let upstream = Upstream::replying(200, "ok").await;
    let (a, b) = (Certificate::of("a.test"), Certificate::of("*.b.test"));
    let (proxy, _) = secured(&upstream, two(&a, &b));
    for (asked, shown) in [("a.test", &a), ("x.b.test", &b), ("X.B.test", &b)] {
        let stream = shake(shown.client(None, &[]), proxy.address, asked).await.expect(asked);
        assert_eq!(stream.get_ref().1.peer_certificates().unwrap(), [shown.der()], "{asked}");
        assert_eq!(Client::over(stream).get("/", "").await.text(), "ok");
    }
    // Whoever asks for none of them gets the usual one, and finds that it is for another host.
    for asked in ["b.test", "c.test", "127.0.0.1"] {
        let refused = shake(a.client(None, &[]), proxy.address, asked).await.unwrap_err();
        assert!(refused.to_string().contains("not valid for name"), "{asked}: {refused}");
    }
    proxy.settles("blue", Verdict::Complete, 3).await;
}

#[tokio::test]
async fn a_host_of_another_certificate_is_misdirected() {
    let upstream = Upstream::replying(200, "ok").await;
    let (a, b) = (Certificate::of("a.test"), Certificate::of("b.test"));
    let (proxy, _) = secured(&upstream, two(&a, &b));
    let client = Http2Client::over(a.connect(proxy.address, &["h2"]).await).await;
    let get = |host: &str| Request::get(format!("https://{host}/")).body(()).unwrap();
    for (host, status) in
        [("a.test", 200), ("b.test", 421), ("B.test:443", 421), ("c.test", 200), ("a.test", 200)]
    {
        let answer = client.answer(get(host)).await;
        assert_eq!(answer.status(), status, "{host}: {}", answer.text());
    }
    // A client of HTTP/1.1 does not share connections: it means what it says.
    let mut client = Client::over(a.connect(proxy.address, &[]).await);
    client.send("GET / HTTP/1.1\r\nhost: b.test\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    proxy.settles("blue", Verdict::Complete, 4).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_clients_and_cuts_none() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let upstream = Upstream::scripted(move |mut visit| {
        let mut gone = gone.clone();
        async move {
            visit.request().await;
            visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\na\n\r\n").await;
            let _ = gone.wait_for(|gone| *gone).await;
            visit.send("2\r\nb\n\r\n0\r\n\r\n").await;
            visit.until_closed().await;
        }
    })
    .await;
    let certificate = Certificate::of("a.test");
    let (proxy, config) = secured(&upstream, certificate.listener());
    let before = certificate.der();
    let mut client = Client::over(certificate.connect(proxy.address, &[]).await);
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    client.read_until(b"a\n").await;

    let same =
        proxy.ask(Command::Reload(Reading::begin(), Box::new(config.clone()))).await.unwrap();
    assert!(!same.changed, "nothing is new yet");
    certificate.renew();
    let taken = proxy.ask(Command::Reload(Reading::begin(), Box::new(config))).await.unwrap();
    assert!(taken.changed && taken.warnings.is_empty(), "{taken:?}");
    let entry = journalled(proxy.app().controller(), "certificates_renewed").await;
    assert!(entry.text.starts_with("TLS was renewed; new connections see "), "{}", entry.text);
    assert_eq!(entry.actor, "test");

    let stream = certificate.connect(proxy.address, &[]).await;
    assert_ne!(stream.get_ref().1.peer_certificates().unwrap(), [before]);
    go.send_replace(true);
    client.read_until(b"b\n").await;
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_config_that_is_left_out_brings_no_certificate() {
    let upstream = Upstream::replying(200, "ok").await;
    let certificate = Certificate::of("a.test");
    let (proxy, config) = secured(&upstream, certificate.listener());
    let before = certificate.der();
    let trust = certificate.client(None, &[]);
    certificate.renew();
    let (first, last) = (Reading::begin(), Reading::begin());
    let mut refused = config.clone();
    refused.services[0].environments[0].name = name("red"); // blue has all of the traffic
    let refused = proxy.ask(Command::Reload(last, Box::new(refused))).await;
    assert!(refused.is_err(), "{refused:?}");
    let left_out = proxy.ask(Command::Reload(first, Box::new(config.clone()))).await.unwrap();
    assert!(left_out.is_left_out && !left_out.changed, "{left_out:?}");
    let stream = shake(trust, proxy.address, "a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap(), [before]);
    assert!(proxy.ask(Command::Reload(Reading::begin(), Box::new(config))).await.unwrap().changed);
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_leaves_the_last_good_one() {
    let upstream = Upstream::replying(200, "ok").await;
    let (a, b) = (Certificate::of("a.test"), Certificate::of("b.test"));
    let (proxy, config) = secured(&upstream, two(&a, &b));
    let before = a.der();
    a.renew();
    std::fs::copy(a.files().key_file, b.files().key_file).unwrap(); // only the second is wrong
    let refused = proxy
        .ask(Command::Reload(Reading::begin(), Box::new(config)))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("cannot be used with its key"), "{refused}");
    assert!(refused.ends_with("; the last good certificates stay; put right ones in place"));
    let entry = journalled(proxy.app().controller(), "reload_refused").await;
    assert!(entry.text.contains("cannot be used with its key"), "{}", entry.text);
    let (_, status) = proxy.admin("GET", "/v1/status", "").await;
    let warning = status["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("the last reload was refused, the old config stays: "),
        "{warning}"
    );
    let other = shake(a.client(None, &[]), proxy.address, "a.test").await;
    assert!(other.is_err(), "the new one was not taken");
    assert_eq!(status["certificates"].as_array().unwrap().len(), 2);
    assert_ne!(before, a.der());
}

#[tokio::test]
async fn status_and_metrics_tell_when_certificates_end() {
    let upstream = Upstream::replying(200, "ok").await;
    let certificate = Certificate::of("a.test");
    let (proxy, _) = secured(&upstream, certificate.listener());
    let (_, status) = proxy.admin("GET", "/v1/status", "").await;
    let told = &status["certificates"][0];
    assert_eq!(told["names"][0], "a.test");
    assert_eq!(told["file"], certificate.file().display().to_string());
    assert!(told["expires_in_s"].as_i64().unwrap() > 365 * 86_400, "{told}");
    let mut client = Client::connect(proxy.admin_address()).await;
    client.send("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let page = client.answer().await.text();
    let line =
        format!("cyan_certificate_not_after_seconds{{file=\"{}\"}} ", certificate.file().display());
    let value = page.lines().find_map(|text| text.strip_prefix(&line)).expect(&page);
    assert_eq!(value, (told["not_after"].as_u64().unwrap() / 1000).to_string());
}

#[tokio::test]
async fn a_session_is_resumed_also_after_a_renewal() {
    let upstream = Upstream::replying(200, "ok").await;
    let certificate = Certificate::of("a.test");
    let (proxy, config) = secured(&upstream, certificate.listener());
    let client = certificate.client(None, &[]);
    let mut kinds = Vec::new();
    for round in 0..3 {
        if round == 2 {
            certificate.renew();
            proxy.ask(Command::Reload(Reading::begin(), Box::new(config.clone()))).await.unwrap();
        }
        let stream = shake(client.clone(), proxy.address, "a.test").await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        // Tickets come after the handshake; a request has them read.
        assert_eq!(Client::over(stream).get("/", "").await.text(), "ok");
    }
    let resumed = HandshakeKind::Resumed;
    assert_eq!(kinds, [HandshakeKind::Full, resumed, resumed]);
    proxy.settles("blue", Verdict::Complete, 3).await;
}

/// A session that is resumed is not held against the authorities of the day.
#[tokio::test]
async fn no_session_is_resumed_after_a_change_of_authorities() {
    let upstream = Upstream::replying(200, "ok").await;
    let (own, known) = (Certificate::of("a.test"), Certificate::of("client"));
    let tls = ListenerTls { clients: Some(clients(&known, false)), ..own.listener() };
    let (proxy, config) = secured(&upstream, tls);
    let client = own.client(Some(&known), &[]);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let stream = shake(client.clone(), proxy.address, "a.test").await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        assert_eq!(Client::over(stream).get("/", "").await.text(), "ok");
    }
    known.renew(); // the client keeps the old one
    let taken = proxy.ask(Command::Reload(Reading::begin(), Box::new(config))).await.unwrap();
    assert!(taken.changed, "{taken:?}");
    if let Ok(stream) = shake(client, proxy.address, "a.test").await {
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        let mut client = Client::over(stream);
        let _ = client.try_send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert!(client.try_answer().await.is_none(), "its authority is none any more");
    }
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn clients_show_a_certificate_where_it_is_required() {
    let upstream = Upstream::replying(200, "ok").await;
    let (own, known, stranger) =
        (Certificate::of("a.test"), Certificate::of("client"), Certificate::of("client"));
    for is_required in [true, false] {
        let clients = ClientCertificates { is_required, ..clients(&known, false) };
        let clients = Some(clients);
        let (proxy, _) = secured(&upstream, ListenerTls { clients, ..own.listener() });
        for (shown, is_served) in
            [(Some(&known), true), (Some(&stranger), false), (None, !is_required)]
        {
            let stream = shake(own.client(shown, &[]), proxy.address, "a.test").await;
            let served = match stream {
                // With TLS 1.3 a client learns of its refusal with the first byte it reads.
                Ok(mut stream) => {
                    let request = b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";
                    let _ = stream.write_all(request).await;
                    let mut answer = Vec::new();
                    let _ = stream.read_to_end(&mut answer).await;
                    answer.starts_with(b"HTTP/1.1 200")
                }
                Err(_) => false,
            };
            let who = shown.map(Certificate::file);
            assert_eq!(served, is_served, "required: {is_required}, shown: {who:?}");
        }
        proxy.settles("blue", Verdict::Complete, if is_required { 1 } else { 2 }).await;
    }
}

/// The values of a header in a head, as the upstream got it.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

const CLAIMED: &str = "client-cert: :AAAA:\r\nclient_cert: :AAAA:\r\nclient-cert-chain: :AAAA:\r\n";

#[tokio::test]
async fn upstreams_are_told_the_certificate_that_a_client_has_shown_and_nothing_it_claims() {
    let upstream = Upstream::replying(200, "ok").await;
    let (own, known) = (Certificate::of("a.test"), Certificate::of("client"));
    let mut seen = 0;
    for (is_forwarded, shown) in [(true, Some(&known)), (true, None), (false, Some(&known))] {
        let clients = ClientCertificates { is_required: false, ..clients(&known, is_forwarded) };
        let tls = ListenerTls { clients: Some(clients), ..own.listener() };
        let (proxy, _) = secured(&upstream, tls);
        let stream = shake(own.client(shown, &[]), proxy.address, "a.test").await.unwrap();
        let mut client = Client::over(stream);
        // The second head is one that hyper serves.
        for version in ["1.1", "1.0"] {
            let head = format!(
                "GET / HTTP/{version}\r\nhost: a.test\r\nconnection: keep-alive, client-cert\r\n{CLAIMED}\r\n"
            );
            client.send(head).await;
            assert_eq!(client.answer().await.status, 200);
        }
        let stream = shake(own.client(shown, &["h2"]), proxy.address, "a.test").await.unwrap();
        let mut request = Request::get("https://a.test/");
        for line in CLAIMED.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let client = Http2Client::over(stream).await;
        assert_eq!(client.answer(request.body(()).unwrap()).await.status(), 200);

        let leaf = format!(":{}:", STANDARD.encode(known.der()));
        let told = if is_forwarded && shown.is_some() { vec![leaf.as_str()] } else { vec![] };
        let heads = upstream.heads();
        assert_eq!(heads.len(), seen + 3);
        for head in &heads[seen..] {
            assert_eq!(values(head, "client-cert"), told, "{head}");
            assert!(values(head, "client_cert").is_empty(), "{head}");
            assert!(values(head, "client-cert-chain").is_empty(), "{head}");
        }
        seen = heads.len();
    }
}

/// Where a proxy in front of Cyan has checked the client, it tells who that is, unless the listener does so.
#[tokio::test]
async fn a_trusted_proxy_tells_of_certificates_where_the_listener_does_not() {
    let upstream = Upstream::replying(200, "ok").await;
    let (own, known) = (Certificate::of("a.test"), Certificate::of("client"));
    for (is_forwarded, told) in [(false, vec![":AAAA:"]), (true, vec![])] {
        let clients = ClientCertificates { is_required: false, ..clients(&known, is_forwarded) };
        let tls = ListenerTls { clients: Some(clients), ..own.listener() };
        let mut builder = Builder::new(vec![environment("blue", &[&upstream])])
            .listener(|listener| listener.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
        let plain = builder.config.listeners[0].clone();
        builder.config.listeners.push(plain);
        let proxy = builder.listener(|listener| listener.tls = Some(tls)).start();
        let mut client = Client::over(own.connect(proxy.address, &[]).await);
        assert_eq!(client.get("/", CLAIMED).await.status, 200);
        let mut client = Client::connect(proxy.app().public_addresses()[1]).await;
        assert_eq!(client.get("/", CLAIMED).await.status, 200);
        let heads = upstream.heads();
        for head in &heads[heads.len() - 2..] {
            for name in ["client-cert", "client-cert-chain"] {
                assert_eq!(values(head, name), told, "{heads:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_old_version_is_refused() {
    let upstream = Upstream::replying(200, "ok").await;
    let own = Certificate::of("a.test");
    let only = |version| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.der()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        std::sync::Arc::new(config)
    };
    let (tls12, tls13) = (only(&rustls::version::TLS12), only(&rustls::version::TLS13));
    for (version_min, old_is_served) in [(TlsVersion::Tls12, true), (TlsVersion::Tls13, false)] {
        let (proxy, _) = secured(&upstream, ListenerTls { version_min, ..own.listener() });
        assert_eq!(shake(tls12.clone(), proxy.address, "a.test").await.is_ok(), old_is_served);
        assert!(shake(tls13.clone(), proxy.address, "a.test").await.is_ok());
    }
}

#[tokio::test]
async fn an_upstream_is_shown_our_certificate() {
    let upstream = Upstream::replying(200, "ok").await;
    let (theirs, ours) = (Certificate::of("127.0.0.1"), Certificate::of("cyan"));
    let relay = theirs.before_for(&ours, upstream.address).await;
    for (certificate, status) in [(Some(ours.pair()), 200), (None, 502)] {
        let mut blue = environment("blue", &[]);
        blue.upstreams = vec![format!("https://{}", relay.address).parse().unwrap()];
        blue.tls.ca_file = Some(theirs.authority());
        blue.tls.certificate = certificate;
        blue.connect_retries = 0;
        let proxy = Builder::new(vec![blue]).start();
        assert_eq!(proxy.client().await.get("/", "").await.status, status);
        proxy.adds_up().await;
    }
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test]
async fn in_a_storm_of_handshakes_all_succeed_and_a_stream_beside_them_is_whole() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for _ in 0..100 {
            visit.send("1\r\n.\r\n").await;
        }
        visit.send("0\r\n\r\n").await;
        visit.until_closed().await;
    })
    .await;
    let own = Certificate::of("a.test");
    let (proxy, _) = secured(&upstream, own.listener());
    let mut client = Client::over(own.connect(proxy.address, &[]).await);
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    let storm = (0..100).map(|_| {
        let (config, address) = (own.client(None, &[]), proxy.address);
        tokio::spawn(async move { shake(config, address, "a.test").await.is_ok() })
    });
    let storm: Vec<_> = storm.collect();
    assert_eq!(client.answer().await.body.len(), 100);
    for handshake in storm {
        assert!(handshake.await.unwrap(), "every handshake succeeds");
    }
    proxy.settles("blue", Verdict::Complete, 1).await;
}
