//! Requests that Cyan answers itself, each with the rule that was broken.

use std::time::{Duration, Instant};

use cyan::model::service::HostPattern;
use cyan::model::verdict::Verdict;

use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

#[tokio::test]
async fn malformed_requests_never_reach_an_upstream() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    for (request, status, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, "HTTP/1.1 without `Host`"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "more than one `Host`"),
        ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", 400, "not a host and port"),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", 405, "not served"),
        ("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", 405, "not served"),
        ("GET / HTTP/1.1\r\nhost: a\r\nexpect: magic\r\n\r\n", 417, "unknown expectation"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
            "transfer coding",
        ),
    ] {
        let mut client = proxy.client().await;
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{request}: {}", answer.text());
        assert!(answer.text().contains(reason), "{request}: {}", answer.text());
    }
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\nbad header: x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut client = proxy.client().await;
        client.send(request).await;
        assert_eq!(client.answer().await.status, 400, "{request}");
    }
    assert!(upstream.heads().is_empty(), "{:?}", upstream.heads());
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_head_may_be_as_long_as_the_listener_says_and_no_longer() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .listener(|listener| listener.head_bytes_max = 256 << 10)
        .start();
    for (bytes, status) in [(200 << 10, 200), (300 << 10, 431)] {
        let mut client = proxy.client().await;
        let long = "x".repeat(bytes);
        client.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {long}\r\n\r\n")).await;
        assert_eq!(client.answer().await.status, status, "{bytes} bytes");
    }
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test]
async fn options_of_the_server_is_answered_here() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = proxy.client().await;
    client.send("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 204);
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn an_unknown_host_is_told_so() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .service(|service| service.hosts = vec![HostPattern::Exact("chat.example".into())])
        .start();
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("no service answers to host `test`"), "{}", answer.text());
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: Chat.Example:8080\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    client.send("GET http://chat.example/x HTTP/1.1\r\nhost: other\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200, "an absolute target overrides `Host`");
    assert!(upstream.heads()[1].starts_with("GET /x HTTP/1.1\r\nhost: chat.example\r\n"));
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_client_hears_it() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .service(|service| service.body_bytes_max = 1000)
        .start();
    let mut client = proxy.client().await;
    let body = "x".repeat(100_000);
    let answer = client.post("/", "", &body).await;
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert!(answer.text().contains("longer than 1000 bytes"), "{}", answer.text());
    assert!(upstream.heads().is_empty(), "an announced length is refused before anything is sent");
    let mut client = proxy.client().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n800\r\n").await;
    client.send("x".repeat(0x800)).await;
    assert_eq!(client.answer().await.status, 413);
    proxy.adds_up().await;
}

#[tokio::test]
async fn some_paths_may_have_longer_bodies() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .service(|service| {
            service.body_bytes_max = 1000;
            service.body_bytes_by_path =
                vec![("/v1/audio".into(), 3000), ("/v1/audio/tiny".into(), 10)];
        })
        .start();
    let chunked = "host: a\r\nx-user-id: a\r\ntransfer-encoding: chunked\r\n\r\n800\r\n";
    for (path, status) in [
        ("/v1/chat", 413),
        ("/v1/audiobooks", 413),
        ("/v1/audio", 200),
        ("/v1/audio/speech?x=1", 200),
        ("/v1/audio/tiny/x", 413),
    ] {
        let answer = proxy.client().await.post(path, "", &"x".repeat(2000)).await;
        assert_eq!(answer.status, status, "{path}");
        let mut client = proxy.client().await;
        client.send(format!("POST {path} HTTP/1.1\r\n{chunked}{}", "x".repeat(0x800))).await;
        let _ = client.try_send("\r\n0\r\n\r\n").await; // it may be refused by now
        assert_eq!(client.answer().await.status, status, "{path}, chunked");
    }
    assert!(upstream.bodies().iter().all(|body| (2000..=0x800).contains(&body.len())));
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_refused_connection_is_a_502_at_once() {
    let gone = Upstream::replying(200, "ok").await.address;
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![format!("http://{gone}").parse().unwrap()];
    blue.timeouts.connect = Duration::from_secs(3600); // far beyond the patience of a test
    let proxy = Builder::new(vec![blue]).start();
    let mut client = proxy.client().await;
    client.get("/", "").await;
    let answer = client.get("/", "").await;
    assert_eq!(answer.status, 502);
    let text = answer.text();
    assert!(text.contains("no upstream could be connected to"), "{text}");
    assert!(!text.contains("127.0.0.1"), "users are not told addresses: {text}");
    proxy.settles("blue", Verdict::ConnectError, 2).await;
}

#[tokio::test]
async fn no_answer_in_time_is_a_504() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.until_closed().await;
    })
    .await;
    let mut blue = environment("blue", &[&upstream]);
    blue.timeouts.response_head = Duration::from_millis(200);
    let proxy = Builder::new(vec![blue]).start();
    let asked = Instant::now();
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("did not answer within 200 ms"), "{}", answer.text());
    assert!(asked.elapsed() >= Duration::from_millis(200));
    proxy.settles("blue", Verdict::Timeout, 1).await;
}

#[tokio::test]
async fn an_environment_at_its_limit_sheds_with_retry_after() {
    let upstream = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.until_closed().await;
    })
    .await;
    let mut blue = environment("blue", &[&upstream]);
    blue.in_flight_max = Some(1);
    let proxy = Builder::new(vec![blue]).start();
    let mut first = proxy.client().await;
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    crate::support::eventually("one is in flight", || proxy.in_flight("blue") == 1).await;
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    drop(first);
    proxy.settles("blue", Verdict::Shed, 1).await;
    assert_eq!(proxy.verdicts("blue", Verdict::ClientGone), 1);
}
