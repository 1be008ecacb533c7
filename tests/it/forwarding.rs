//! What goes through: heads, bodies, streams, in both directions.

use cyan::model::environment::HostPolicy;
use cyan::model::environment::Secret;
use cyan::model::header_id::HeaderId;
use cyan::model::verdict::Verdict;

use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

#[tokio::test]
async fn a_request_reaches_its_environment_and_the_answer_names_it() {
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = Proxy::before(&upstream);
    let answer = proxy.client().await.get("/v1/models?x=%20y", "x-own: 1\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.header("x-deployment"), Some("blue"));
    assert_eq!(answer.header("x-request-id").map(str::len), Some(32));
    let exchange = answer.header("x-cyan-exchange").unwrap();
    assert!(exchange.starts_with("chat.blue.0."), "{exchange}");
    let head = &upstream.heads()[0];
    assert!(head.starts_with("GET /v1/models?x=%20y HTTP/1.1\r\n"), "{head}");
    for line in [
        "host: test",
        "x-own: 1",
        "x-deployment: blue",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: test",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn spoofed_and_hop_by_hop_headers_do_not_go_through() {
    let upstream = Upstream::replying(200, "").await;
    let proxy = Proxy::before(&upstream);
    let spoofed = "connection: keep-alive, x-nominated, x-deployment, authorization\r\n\
        keep-alive: timeout=9\r\nx-nominated: 1\r\nauthorization: Bearer t\r\nte: gzip, trailers\r\n\
        x-deployment: green\r\nx_deployment: green\r\nX-Cyan-Environment: green\r\n\
        x-forwarded-for: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nforwarded: for=6.6.6.6\r\n\
        x-real-ip: 6.6.6.6\r\nproxy-connection: close\r\nx-request-id: mine-1\r\n";
    let answer = proxy.client().await.get("/", spoofed).await;
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    let head = upstream.heads()[0].to_ascii_lowercase();
    for gone in ["6.6.6.6", "green", "x-nominated", "keep-alive", "proxy-connection", "gzip", "x_"]
    {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    for kept in
        ["authorization: bearer t", "x-deployment: blue", "te: trailers", "x-request-id: mine-1"]
    {
        assert!(head.contains(kept), "{kept} in {head}");
    }
}

#[tokio::test]
async fn an_upstream_cannot_speak_in_the_name_of_cyan() {
    let reply = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-deployment: green\r\n\
        x-cyan-exchange: forged\r\nconnection: x-hop\r\nx-hop: 1\r\nx-kept: 1\r\n\r\nok";
    let upstream = Upstream::sending(reply).await;
    let proxy = Proxy::before(&upstream);
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!(answer.header("x-deployment"), Some("blue"));
    assert_eq!((answer.header("x-hop"), answer.header("x-kept")), (None, Some("1")));
    assert_ne!(answer.header("x-cyan-exchange"), Some("forged"));
}

#[tokio::test]
async fn bodies_arrive_byte_for_byte_with_either_framing() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(300_000));
    assert_eq!(client.post("/", "", &body).await.text(), "ok");
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(upstream.bodies(), [body.as_bytes(), b"abcde"]);
    let head = &upstream.heads()[0];
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn a_stream_passes_event_by_event() {
    // The upstream waits for the client's word after each event, so one that is held back hangs.
    let (go, gone) = tokio::sync::watch::channel(0);
    let upstream = Upstream::scripted(move |mut visit| {
        let mut gone = gone.clone();
        async move {
            visit.request().await;
            visit
                .send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                .await;
            for event in 1..=5 {
                let _ = gone.wait_for(|seen| *seen >= event - 1).await;
                visit.send(format!("9\r\ndata: {event}\n\n\r\n")).await;
            }
            let _ = gone.wait_for(|seen| *seen >= 5).await; // it is in flight until then
            visit.send("0\r\n\r\n").await;
            visit.until_closed().await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("GET /stream HTTP/1.1\r\nhost: test\r\n\r\n").await;
    for event in 1..=5 {
        client.read_until(format!("data: {event}\n\n").as_bytes()).await;
        assert_eq!(proxy.in_flight("blue"), 1);
        go.send_replace(event);
    }
    client.read_until(b"0\r\n\r\n").await;
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_hosted_api_gets_its_own_host_path_and_credentials() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut blue = environment("blue", &[&upstream]);
    blue.host = HostPolicy::Upstream;
    blue.path_prefix = Some("/prod".into());
    blue.set_headers = vec![(HeaderId::AUTHORIZATION, Secret::new("Bearer sk-1"))];
    blue.remove_headers = vec![HeaderId::COOKIE];
    let proxy = Builder::new(vec![blue]).start();
    let sent = "authorization: Bearer users-own\r\ncookie: a=b\r\n";
    proxy.client().await.get("/v1/models?a=b", sent).await;
    let head = &upstream.heads()[0];
    assert!(head.starts_with("GET /prod/v1/models?a=b HTTP/1.1"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", upstream.address)), "{head}");
    assert!(
        head.contains("authorization: Bearer sk-1\r\n") && !head.contains("users-own"),
        "{head}"
    );
    assert!(!head.contains("cookie"), "{head}");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_an_answer_it_understands() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let upstream = Upstream::sending(chunked).await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.header("transfer-encoding"), answer.text().as_str()), (None, "abc"));
    let head = &upstream.heads()[0];
    assert!(head.starts_with("GET / HTTP/1.1\r\n") && head.contains("\r\nhost: 127."), "{head}");
}

#[tokio::test]
async fn head_and_not_modified_have_no_body_and_keep_their_length() {
    let upstream = Upstream::scripted(|mut visit| async move {
        while let Some(head) = visit.request().await {
            let reply = match head.split(' ').next() {
                Some("HEAD") => "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n",
                _ => "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n",
            };
            visit.send(reply).await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("HEAD / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let head = String::from_utf8(client.read_until(b"\r\n\r\n").await).unwrap();
    assert!(head.contains("content-length: 500"), "{head}");
    assert_eq!(client.get("/", "").await.status, 304);
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn a_websocket_becomes_a_tunnel_only_after_101() {
    let upstream = Upstream::scripted(|mut visit| async move {
        let Some(head) = visit.head().await else { return };
        if head.contains("/refuses") {
            visit.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
            return;
        }
        visit
            .send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi")
            .await;
        let mut echo = [0; 4];
        let _ = tokio::io::AsyncReadExt::read_exact(&mut visit.stream, &mut echo).await;
        visit.send(echo).await;
        visit.until_closed().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let refused = proxy.client().await.get("/refuses", upgrade).await;
    assert_eq!(refused.status, 403);
    let mut client = proxy.client().await;
    let answer = client.get("/", upgrade).await;
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    client.read_until(b"hi").await;
    assert_eq!(proxy.in_flight("blue"), 1, "a tunnel is in flight");
    client.send("ping").await;
    client.read_until(b"ping").await;
    drop(client);
    proxy.settles("blue", Verdict::Complete, 1).await;
    let head = upstream.heads()[1].to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
}
