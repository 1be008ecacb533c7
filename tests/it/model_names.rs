//! The model's name in a request, on its way to an environment that calls it something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cyan::model::environment::{EnvironmentSpec, Protocol};
use cyan::model::model_names::{ModelNames, OwnName};
use cyan::model::verdict::Verdict;

use crate::support::client::Client;
use crate::support::http2::{Http2Client, Http2Upstream, post};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

/// A request that is not plain: whoever sends it has hyper from then on.
const NOT_PLAIN: &str = "POST /chunked HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
    3\r\nabc\r\n0\r\n\r\n";

fn named(mut spec: EnvironmentSpec, model: &str) -> EnvironmentSpec {
    let otherwise = Some(OwnName::new(model).expect("a name"));
    spec.models = Arc::new(ModelNames { otherwise, list: Vec::new() });
    spec
}

fn before(upstream: &Upstream) -> Proxy {
    Builder::new(vec![named(environment("blue", &[upstream]), "own")]).start()
}

/// A client that the lean engine serves, and one that hyper does.
async fn both(proxy: &Proxy) -> [Client; 2] {
    let (lean, mut hyper) = (proxy.client().await, proxy.client().await);
    hyper.send(NOT_PLAIN).await;
    assert_eq!(hyper.answer().await.text(), "ok");
    [lean, hyper]
}

/// The last request that came, after its framing was checked: its length, if it has one, is that of the
/// body, and it never has both framings.
fn last(upstream: &Upstream) -> (String, String) {
    let head = upstream.heads().pop().expect("a request").to_ascii_lowercase();
    let body = String::from_utf8(upstream.bodies().pop().expect("a body")).expect("text");
    let length = format!("content-length: {}\r\n", body.len());
    assert_ne!(head.contains(&length), head.contains("transfer-encoding: chunked\r\n"), "{head}");
    assert_eq!(head.matches("content-length:").count(), usize::from(head.contains(&length)));
    (head, body)
}

#[tokio::test]
async fn the_name_at_the_top_is_replaced_and_the_length_is_right() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = before(&upstream);
    let mut answered = 1;
    for mut client in both(&proxy).await {
        for (body, expected) in [
            (r#"{"model":"x","messages":[]}"#, r#"{"model":"own","messages":[]}"#),
            (
                r#"{ "messages":[{"model":"n"}], "model" : "long name" }"#,
                r#"{ "messages":[{"model":"n"}], "model" : "own" }"#,
            ),
            (r#"{"mod\u0065l":"x","model":"y"}"#, r#"{"mod\u0065l":"own","model":"own"}"#),
            (r#"{"messages":[],"n":1.0}"#, r#"{"messages":[],"n":1.0}"#),
            (r#"{"model":null}"#, r#"{"model":null}"#),
            (r#"{"model":"x"#, r#"{"model":"x"#),
            ("not json", "not json"),
        ] {
            assert_eq!(client.post("/v1/chat/completions", "", body).await.text(), "ok");
            let (head, sent) = last(&upstream);
            assert_eq!(sent, expected);
            assert!(head.contains("content-length"), "a short body keeps a length: {head}");
            answered += 1;
        }
    }
    proxy.settles("blue", Verdict::Complete, answered).await;
}

#[tokio::test]
async fn the_type_of_a_body_says_little_and_its_encoding_much() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = before(&upstream);
    let body = r#"{"model":"x"}"#;
    for mut client in both(&proxy).await {
        for (headers, is_edited) in [
            ("content-type: application/json; charset=utf-8\r\n", true),
            ("content-type: application/vnd.api+json\r\n", true),
            ("", true),
            ("content-type: application/x-www-form-urlencoded\r\n", true), // what curl says
            ("content-type: text/plain;charset=UTF-8\r\n", true),          // what browsers say
            ("content-type: multipart/form-data; boundary=x\r\n", false),
            ("content-type: application/json\r\ncontent-encoding: gzip\r\n", false),
        ] {
            let length = body.len();
            let head = "POST / HTTP/1.1\r\nhost: test\r\n";
            client.send(format!("{head}{headers}content-length: {length}\r\n\r\n{body}")).await;
            assert_eq!(client.answer().await.text(), "ok");
            let expected = if is_edited { r#"{"model":"own"}"# } else { body };
            assert_eq!(last(&upstream).1, expected, "{headers}");
        }
    }
}

#[tokio::test]
async fn a_name_late_in_a_large_body_is_replaced_in_passing() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = before(&upstream);
    let text = "\\\"model\\\": x".repeat(200_000);
    let body = format!(r#"{{"messages":[{{"content":"{text}"}}],"model":"theirs"}}"#);
    let answer = proxy.client().await.post("/", "x-user-id: ana\r\n", &body).await;
    assert_eq!(answer.text(), "ok");
    let (head, sent) = last(&upstream);
    assert!(head.contains("transfer-encoding: chunked"), "its length shows at the end: {head}");
    assert!(sent == body.replace("theirs", "own"), "{} of {} bytes", sent.len(), body.len());
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn chunks_of_any_size_say_the_same() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = before(&upstream);
    let body = r#"{"messages":[{"role":"user"}],"model":"gpt-4o","stream":true}"#;
    let mut client = proxy.client().await;
    for size in 1..=body.len() {
        let chunks = body.as_bytes().chunks(size).map(|chunk| {
            let text = std::str::from_utf8(chunk).expect("ascii");
            format!("{:x}\r\n{text}\r\n", chunk.len())
        });
        let chunks: String = chunks.collect();
        client
            .send(format!(
                "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
            ))
            .await;
        assert_eq!(client.answer().await.text(), "ok");
        assert_eq!(last(&upstream).1, body.replace("gpt-4o", "own"), "chunks of {size}");
    }
}

#[tokio::test]
async fn a_short_body_that_comes_later_is_waited_for_and_has_a_length() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = before(&upstream);
    let mut client = proxy.client().await;
    client
        .send(
            "POST / HTTP/1.1\r\nhost: a\r\nx-user-id: ana\r\ncontent-length: 26\r\n\
             expect: 100-continue\r\n\r\n",
        )
        .await;
    client.read_until(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send(r#"{"model":"#).await;
    client.send(r#""x","stream":1  }"#).await;
    assert_eq!(client.answer().await.text(), "ok");
    let (head, sent) = last(&upstream);
    assert_eq!(sent, r#"{"model":"own","stream":1  }"#);
    assert!(head.contains("content-length: 28\r\n"), "{head}");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn names_that_are_not_listed_pass() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut blue = environment("blue", &[&upstream]);
    let list = vec![("gpt-4o".into(), OwnName::new("green-v2").expect("a name"))];
    blue.models = Arc::new(ModelNames { otherwise: None, list });
    let proxy = Builder::new(vec![blue]).start();
    for mut client in both(&proxy).await {
        for (asked, own) in [("gpt-4o", "green-v2"), ("gpt-4o-mini", "gpt-4o-mini")] {
            client.post("/", "", &format!(r#"{{"model":"{asked}"}}"#)).await;
            assert_eq!(last(&upstream).1, format!(r#"{{"model":"{own}"}}"#));
        }
    }
}

/// Each connection answers once and ends at the second request, as one that was closed at rest.
#[tokio::test]
async fn a_replay_sends_the_edited_body_again() {
    let visits = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::scripted(move |mut visit| {
        let number = visits.fetch_add(1, Ordering::Relaxed);
        async move {
            while visit.request().await.is_some() {
                visit.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                if number < 2 && visit.request().await.is_some() {
                    return;
                }
            }
        }
    })
    .await;
    let proxy = before(&upstream);
    for mut client in both(&proxy).await {
        for _ in 0..2 {
            assert_eq!(client.post("/", "", r#"{"model":"x"}"#).await.text(), "ok");
            assert_eq!(last(&upstream).1, r#"{"model":"own"}"#);
        }
    }
    let sent = upstream.bodies();
    let edited = sent.iter().filter(|body| *body == br#"{"model":"own"}"#).count();
    assert_eq!(edited, 4 + 2, "{} requests, two of them sent twice", sent.len());
    proxy.settles("blue", Verdict::Complete, 5).await;
}

#[tokio::test]
async fn whoever_serves_gets_the_name_that_it_knows() {
    let upstream = Upstream::replying(200, "ok").await;
    let blue = named(environment("blue", &[&upstream]), "blue-v1");
    let mut green = named(environment("green", &[]), "green-v2-with-a-longer-name");
    let gone = Upstream::replying(200, "ok").await.url();
    green.upstreams = vec![gone.parse().expect("a url")];
    let proxy = Builder::new(vec![blue, green]).start();
    proxy.set_weights(&[("blue", 0.0), ("green", 100.0)]).await;
    for mut client in both(&proxy).await {
        let answer = client.post("/", "", r#"{"model":"x","n":1}"#).await;
        assert_eq!((answer.text().as_str(), answer.header("x-deployment")), ("ok", Some("blue")));
        let (head, sent) = last(&upstream);
        assert_eq!(sent, r#"{"model":"blue-v1","n":1}"#);
        assert!(head.contains("content-length"), "{head}");
    }
    proxy.settles("green", Verdict::ConnectError, 3).await;
}

#[tokio::test]
async fn over_http2_the_length_is_right_or_absent() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Http2Upstream::scripted(move |mut visit| {
        let tell = tell.clone();
        async move {
            let body = visit.body().await.expect("a whole body").0;
            let length = visit.head.headers.get("content-length").cloned();
            let _ = tell.send((length, body));
            let _ = visit.answer(200).send_data("ok".into(), true);
        }
    })
    .await;
    let mut blue = named(environment("blue", &[]), "own");
    blue.upstreams = vec![upstream.url().parse().expect("a url")];
    blue.protocol = Protocol::Http2;
    let proxy = Builder::new(vec![blue]).start();
    let client = Http2Client::connect(proxy.address).await;
    let large = format!(r#"{{"a":"{}","model":"x"}}"#, "y".repeat(200_000));
    for (body, has_length) in
        [(r#"{"model":"x"}"#, true), (r#"{"model":"x"}"#, false), (&large, true)]
    {
        let mut request = post("/");
        if has_length {
            request.headers_mut().insert("content-length", body.len().into());
        }
        let mut call = client.open(request).await;
        call.upload.send_data(body.to_owned().into(), true).expect("an open stream");
        assert_eq!(call.answer().await.text(), "ok");
        let (length, sent) = crate::support::in_time(told.recv()).await.expect("a request");
        assert!(sent == body.replace(r#""x""#, r#""own""#).as_bytes());
        match length {
            Some(length) => assert_eq!(length, sent.len().to_string()),
            None => assert!(!has_length || body.len() > 64 * 1024),
        }
    }
    proxy.settles("blue", Verdict::Complete, 3).await;
}
