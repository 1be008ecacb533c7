//! gRPC: HTTP/2 on both sides, and trailers in both directions.

use cyan::model::environment::Protocol;
use cyan::model::verdict::Verdict;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Request, Response};

use crate::support::http2::{Http2Client, Http2Upstream, Visit, post};
use crate::support::proxy::{Builder, Proxy, environment};

fn before(upstream: &Http2Upstream) -> Proxy {
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![upstream.url().parse().expect("a url")];
    blue.protocol = Protocol::Http2;
    Builder::new(vec![blue]).start()
}

fn call(path: &str) -> Request<()> {
    let mut request = post(path);
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    headers.insert("grpc-timeout", HeaderValue::from_static("5S"));
    request
}

fn trailers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (name.parse().expect("a name"), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

/// A message of gRPC: not compressed, its length, itself.
fn message(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short text").to_be_bytes();
    [&[0], &length[..], text.as_bytes()].concat()
}

/// Answers each message with itself, then with `grpc-status: 0`.
async fn echo() -> Http2Upstream {
    Http2Upstream::scripted(|mut visit| async move {
        let mut sending = visit.answer(200);
        while let Some(piece) = visit.piece().await {
            let _ = sending.send_data(piece, false);
        }
        let _ = sending.send_trailers(trailers(&[("grpc-status", "0"), ("x-usage", "7")]));
    })
    .await
}

#[tokio::test]
async fn a_unary_call_ends_with_its_status() {
    let upstream = echo().await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut call = client.open(call("/llm.Chat/Ask")).await;
    call.upload.send_data(message("hello").into(), true).unwrap();
    let answer = call.answer().await;
    assert!(answer.end.is_ok(), "{answer:?}");
    assert_eq!(answer.body, message("hello"));
    assert_eq!((answer.trailer("grpc-status"), answer.trailer("x-usage")), (Some("0"), Some("7")));
    let head = &upstream.heads()[0];
    assert_eq!(head.headers["te"], "trailers");
    assert_eq!(head.headers["grpc-timeout"], "5S");
    assert_eq!(head.headers["x-deployment"], "blue");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn messages_of_a_bidirectional_call_pass_one_by_one() {
    let upstream = echo().await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.open(call("/llm.Chat/Talk")).await.reading().await;
    for turn in 0..5 {
        let turn = message(&format!("turn {turn}"));
        reading.upload.send_data(turn.clone().into(), false).unwrap();
        assert_eq!(reading.next().await.unwrap().unwrap(), turn);
    }
    reading.upload.send_data(Vec::new().into(), true).unwrap();
    let answer = reading.rest().await;
    assert_eq!(answer.trailer("grpc-status"), Some("0"), "{answer:?}");
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn an_answer_of_trailers_alone_passes() {
    let upstream = Http2Upstream::scripted(|mut visit| async move {
        let refused = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "14")
            .header("grpc-message", "overloaded");
        visit.answer_only(refused.body(()).expect("a head"));
    })
    .await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    for _ in 0..10 {
        // Refused while the client is still sending, as gRPC servers do.
        let mut call = client.open(call("/llm.Chat/Ask")).await;
        call.send(message("hel"));
        let answer = call.answer().await;
        assert!(answer.end.is_ok() && answer.body.is_empty(), "{answer:?}");
        assert_eq!(answer.header("grpc-status"), Some("14"));
        assert_eq!(answer.header("grpc-message"), Some("overloaded"));
    }
    proxy.settles("blue", Verdict::HttpError, 10).await;
}

#[tokio::test]
async fn the_status_in_the_trailers_decides() {
    for (status, verdict) in [
        (Some("0"), Verdict::Complete),
        (Some("1"), Verdict::ClientGone),
        (Some("3"), Verdict::HttpError),
        (Some("4"), Verdict::Timeout),
        (Some("13"), Verdict::HttpError),
        (None, Verdict::Truncated),
    ] {
        let upstream = Http2Upstream::scripted(move |mut visit| async move {
            let answer = Response::builder().header("content-type", "application/grpc+proto");
            let mut sending = visit.answer_with(answer.body(()).expect("a head"));
            let _ = sending.send_data(message("hello").into(), false);
            let fields = status.map(|status| ("grpc-status", status));
            let _ = sending.send_trailers(trailers(fields.as_slice()));
        })
        .await;
        let proxy = before(&upstream);
        let client = Http2Client::connect(proxy.address).await;
        let answer = client.open(call("/llm.Chat/Ask")).await.answer().await;
        assert_eq!(answer.trailer("grpc-status"), status, "passed on as it is");
        proxy.settles("blue", verdict, 1).await;
    }
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_upstream() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let upstream = Http2Upstream::scripted(move |mut visit| {
        let tell = tell.clone();
        async move {
            let (body, trailers) = visit.body().await.expect("a whole body");
            tell.send((body, trailers)).await.expect("the test waits");
            let mut sending = visit.answer(200);
            let _ = sending.send_trailers(HeaderMap::new());
        }
    })
    .await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    for announced in [None, Some("4")] {
        let mut request = call("/llm.Chat/Ask");
        let length = announced.map(|length| (CONTENT_LENGTH, HeaderValue::from_static(length)));
        request.headers_mut().extend(length);
        let mut call = client.open(request).await;
        call.send("body");
        let sent = trailers(&[("x-checksum", "abc"), ("x-deployment", "green"), ("host", "other")]);
        call.upload.send_trailers(sent).unwrap();
        assert_eq!(call.answer().await.status(), 200);
        let (body, trailers) = told.recv().await.unwrap();
        let trailers = trailers.expect("trailers");
        assert_eq!(body, b"body");
        assert_eq!(trailers["x-checksum"], "abc");
        assert_eq!(
            trailers.len(),
            1,
            "who sends trailers cannot set what a head may not: {trailers:?}"
        );
    }
    proxy.settles("blue", Verdict::Complete, 2).await;
}

#[tokio::test]
async fn a_call_taken_back_is_reset_at_the_upstream() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let upstream = Http2Upstream::scripted(move |mut visit| {
        let tell = tell.clone();
        async move {
            let mut sending = visit.answer(200);
            let _ = sending.send_data(message("first").into(), false);
            let reason = Visit::until_reset(&mut sending).await;
            tell.send(reason).await.expect("the test waits");
        }
    })
    .await;
    let proxy = before(&upstream);
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.open(call("/llm.Chat/Talk")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), message("first"));
    reading.upload.send_reset(h2::Reason::CANCEL);
    assert!(crate::support::in_time(told.recv()).await.is_some());
    proxy.settles("blue", Verdict::ClientGone, 1).await;
}
