//! Traces and metrics, pushed to a real HTTP receiver that decodes them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cyan::config::resolved::OtlpSpec;
use cyan::model::environment::Secret;
use cyan::model::header_id::HeaderId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn proxy(upstream: &Upstream, collector: SocketAddr, interval: Duration) -> Proxy {
    let mut builder = Builder::new(vec![environment("blue", &[upstream])]);
    builder.config.otlp = Some(OtlpSpec {
        upstream: format!("http://{collector}").parse().unwrap(),
        path: "/otlp".to_owned(),
        headers: vec![(HeaderId::X_API_KEY, Secret::new("a-key"))],
        interval,
        sample: 1.0,
    });
    builder.start()
}

/// A collector that refuses the first pushes with this status.
async fn collector(refusals: usize, status: u16) -> Upstream {
    let left = Arc::new(AtomicUsize::new(refusals));
    Upstream::scripted(move |mut visit| {
        let left = Arc::clone(&left);
        async move {
            while visit.request().await.is_some() {
                let refuses = left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                let status = if refuses.is_ok() { status } else { 200 };
                visit.send(format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n")).await;
            }
        }
    })
    .await
}

/// The spans of every push that came so far.
fn spans(collector: &Upstream) -> Vec<Vec<Span>> {
    let heads = collector.heads();
    let pushes = heads.iter().zip(collector.bodies());
    let traces = pushes.filter(|(head, _)| head.starts_with("POST /otlp/v1/traces HTTP/1.1\r\n"));
    traces
        .map(|(_, body)| {
            let request = ExportTraceServiceRequest::decode(&*body).expect("OTLP");
            let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
            scopes.flat_map(|scope| scope.spans).collect()
        })
        .collect()
}

fn text(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[tokio::test]
async fn an_exchange_is_a_span_between_the_client_and_the_upstream() {
    let collector = collector(0, 200).await;
    let upstream = Upstream::replying(503, "no slot").await;
    let proxy = proxy(&upstream, collector.address, Duration::from_millis(20));
    let before = now();
    let headers = format!("traceparent: {SAMPLED}\r\nx-request-id: r-9\r\n");
    proxy.client().await.post("/v1/chat/completions?key=secret", &headers, "{}").await;
    eventually("a push", || !spans(&collector).is_empty()).await;
    let span = &spans(&collector)[0][0];
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    let seen = upstream.heads().pop().unwrap();
    let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", hex(&span.span_id));
    assert!(seen.contains(&expected), "{seen} has not {expected}");
    assert_eq!(span.name, "POST /v1/chat/completions");
    assert!(before <= span.start_time_unix_nano && span.end_time_unix_nano <= now());
    assert!(span.start_time_unix_nano < span.end_time_unix_nano);
    for (key, expected) in [
        ("http.request.method", "POST"),
        ("url.path", "/v1/chat/completions"),
        ("http.response.status_code", "503"),
        ("error.type", "http_error"),
        ("gen_ai.operation.name", "chat"),
        ("cyan.service", "chat"),
        ("cyan.environment", "blue"),
        ("cyan.request_id", "r-9"),
    ] {
        assert_eq!(text(span, key).as_deref(), Some(expected), "{key}");
    }
    let head = &collector.heads()[0];
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    assert!(head.contains("x-api-key: a-key\r\n"), "{head}");
    assert!(!format!("{span:?}").contains("secret"), "{span:?}");
}

#[tokio::test]
async fn only_what_is_to_be_recorded_is_pushed() {
    let collector = collector(0, 200).await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.address, Duration::from_millis(20));
    let mut client = proxy.client().await;
    client.get("/unsampled", &format!("traceparent: {UNSAMPLED}\r\n")).await;
    client.get("/begun", "").await;
    eventually("a push", || !spans(&collector).is_empty()).await;
    let spans: Vec<_> = spans(&collector).into_iter().flatten().collect();
    assert_eq!(spans.len(), 1);
    assert_eq!(text(&spans[0], "url.path").as_deref(), Some("/begun"));
    assert!(spans[0].parent_span_id.is_empty());
}

#[tokio::test]
async fn the_last_spans_are_pushed_before_the_end() {
    let collector = collector(0, 200).await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.address, Duration::from_secs(3600));
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.get("/", "").await;
    }
    proxy.shut_down().await.unwrap();
    assert_eq!(spans(&collector).concat().len(), 3);
}

#[tokio::test]
async fn what_a_collector_cannot_take_now_it_gets_later_and_nobody_waits() {
    let collector = collector(3, 503).await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.address, Duration::from_millis(20));
    let mut client = proxy.client().await;
    client.get("/kept", "").await;
    eventually("it is pushed again", || spans(&collector).len() == 4).await;
    let pushes = spans(&collector);
    assert!(pushes.iter().all(|spans| spans[0].span_id == pushes[0][0].span_id));
    client.get("/next", "").await;
    eventually("the next one", || spans(&collector).len() == 5).await;
    assert_eq!(text(&spans(&collector)[4][0], "url.path").as_deref(), Some("/next"));
}

#[tokio::test]
async fn what_a_collector_will_never_take_is_not_pushed_again() {
    let collector = collector(1, 400).await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.address, Duration::from_millis(20));
    let mut client = proxy.client().await;
    client.get("/bad", "").await;
    eventually("a push", || spans(&collector).len() == 1).await;
    client.get("/good", "").await;
    eventually("another", || spans(&collector).len() == 2).await;
    let paths = spans(&collector).concat();
    let paths: Vec<_> = paths.iter().filter_map(|span| text(span, "url.path")).collect();
    assert_eq!(paths, ["/bad", "/good"]);
}

/// Nothing listens: the port was given back.
#[tokio::test]
async fn without_a_collector_requests_are_served_and_the_end_comes_in_time() {
    let address = collector(0, 200).await.address;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, address, Duration::from_millis(1));
    let mut client = proxy.client().await;
    for _ in 0..100 {
        assert_eq!(client.get("/", "").await.status, 200);
    }
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(8), proxy.shut_down()).await;
    ended.expect("in time").unwrap();
}
