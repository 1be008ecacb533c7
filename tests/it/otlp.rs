//! Traces and metrics, pushed to a real HTTP receiver that decodes them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cyan::config::resolved::OtlpSpec;
use cyan::control_plane::command::Command;
use cyan::model::environment::Secret;
use cyan::model::header_id::HeaderId;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment, name};
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

/// Head and body of a request.
type Push = (String, Vec<u8>);

/// A collector, and what was pushed to it.
struct Collector {
    upstream: Upstream,
    pushes: Arc<Mutex<Vec<Push>>>,
}

impl Collector {
    /// Takes everything.
    async fn taking() -> Self {
        Self::refusing(0, 200).await
    }

    /// Refuses the first pushes of spans with this status.
    async fn refusing(refusals: usize, status: u16) -> Self {
        let left = Arc::new(AtomicUsize::new(refusals));
        let pushes = Arc::<Mutex<Vec<Push>>>::default();
        let taken = Arc::clone(&pushes);
        let upstream = Upstream::scripted(move |mut visit| {
            let (left, taken) = (Arc::clone(&left), Arc::clone(&taken));
            async move {
                let Some(head) = visit.head().await else { return };
                let length = head.split("content-length: ").nth(1).unwrap();
                let length = length.lines().next().unwrap().parse().unwrap();
                let body = visit.rest_of_body(length).await;
                let is_of_spans = head.contains("/v1/traces");
                let refuses = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1).filter(|_| is_of_spans)
                });
                let status = if refuses.is_ok() { status } else { 200 };
                taken.lock().unwrap().push((head, body));
                visit.send(format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n")).await;
            }
        })
        .await;
        Self { upstream, pushes }
    }

    /// What came to a page so far.
    fn pushes(&self, page: &str) -> Vec<Push> {
        let page = format!("POST /otlp/v1/{page} HTTP/1.1\r\n");
        let pushes = self.pushes.lock().unwrap();
        pushes.iter().filter(|(head, _)| head.starts_with(&page)).cloned().collect()
    }

    /// The spans of every push that came so far.
    fn spans(&self) -> Vec<Vec<Span>> {
        let decoded = |(_, body): Push| {
            let request = ExportTraceServiceRequest::decode(&*body).expect("OTLP");
            let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
            scopes.flat_map(|scope| scope.spans).collect()
        };
        self.pushes("traces").into_iter().map(decoded).collect()
    }

    /// The metrics that were pushed last.
    fn metrics(&self) -> Vec<Metric> {
        let Some((_, body)) = self.pushes("metrics").pop() else { return Vec::new() };
        let request = ExportMetricsServiceRequest::decode(&*body).expect("OTLP");
        let scopes = request.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }
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
    let collector = Collector::taking().await;
    let upstream = Upstream::replying(503, "no slot").await;
    let proxy = proxy(&upstream, collector.upstream.address, Duration::from_millis(20));
    let before = now();
    let headers = format!("traceparent: {SAMPLED}\r\nx-request-id: r-9\r\n");
    proxy.client().await.post("/v1/chat/completions?key=secret", &headers, "{}").await;
    eventually("a push", || !collector.spans().is_empty()).await;
    let span = &collector.spans()[0][0];
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
    let (head, _) = &collector.pushes("traces")[0];
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    assert!(head.contains("x-api-key: a-key\r\n"), "{head}");
    assert!(!format!("{span:?}").contains("secret"), "{span:?}");
}

#[tokio::test]
async fn only_what_is_to_be_recorded_is_pushed() {
    let collector = Collector::taking().await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.upstream.address, Duration::from_millis(20));
    let mut client = proxy.client().await;
    client.get("/unsampled", &format!("traceparent: {UNSAMPLED}\r\n")).await;
    client.get("/begun", "").await;
    eventually("a push", || !collector.spans().is_empty()).await;
    let spans: Vec<_> = collector.spans().into_iter().flatten().collect();
    assert_eq!(spans.len(), 1);
    assert_eq!(text(&spans[0], "url.path").as_deref(), Some("/begun"));
    assert!(spans[0].parent_span_id.is_empty());
}

#[tokio::test]
async fn the_last_spans_are_pushed_before_the_end() {
    let collector = Collector::taking().await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.upstream.address, Duration::from_secs(3600));
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.get("/", "").await;
    }
    proxy.shut_down().await.unwrap();
    assert_eq!(collector.spans().concat().len(), 3);
}

#[tokio::test]
async fn what_a_collector_cannot_take_now_it_gets_later_and_nobody_waits() {
    let collector = Collector::refusing(3, 503).await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.upstream.address, Duration::from_millis(20));
    let mut client = proxy.client().await;
    client.get("/kept", "").await;
    eventually("it is pushed again", || collector.spans().len() == 4).await;
    let pushes = collector.spans();
    assert!(pushes.iter().all(|spans| spans[0].span_id == pushes[0][0].span_id));
    client.get("/next", "").await;
    eventually("the next one", || collector.spans().len() == 5).await;
    assert_eq!(text(&collector.spans()[4][0], "url.path").as_deref(), Some("/next"));
}

#[tokio::test]
async fn what_a_collector_will_never_take_is_not_pushed_again() {
    let collector = Collector::refusing(1, 400).await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.upstream.address, Duration::from_millis(20));
    let mut client = proxy.client().await;
    client.get("/bad", "").await;
    eventually("a push", || collector.spans().len() == 1).await;
    client.get("/good", "").await;
    eventually("another", || collector.spans().len() == 2).await;
    let paths = collector.spans().concat();
    let paths: Vec<_> = paths.iter().filter_map(|span| text(span, "url.path")).collect();
    assert_eq!(paths, ["/bad", "/good"]);
}

#[tokio::test]
async fn counts_are_pushed_by_their_names() {
    let collector = Collector::taking().await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.upstream.address, Duration::from_millis(20));
    let mut client = proxy.client().await;
    for _ in 0..5 {
        client.get("/", "").await;
    }
    let mut complete = Vec::new();
    eventually("five exchanges are told", || {
        complete = collector.metrics();
        complete.iter().any(|metric| count_of(metric) == Some(5))
    })
    .await;
    let duration = complete.iter().find(|m| m.name == "gen_ai.server.request.duration").unwrap();
    let Some(Data::ExponentialHistogram(histogram)) = &duration.data else {
        panic!("{duration:?}")
    };
    let point = &histogram.data_points[0];
    assert_eq!((duration.unit.as_str(), point.count), ("s", 5));
    assert!(point.sum.is_some_and(|sum| sum > 0.0 && sum < 10.0), "{point:?}");
    let labels: Vec<_> = point.attributes.iter().map(|label| label.key.as_str()).collect();
    assert_eq!(labels, ["cyan.service", "cyan.environment"]);
    assert!(point.start_time_unix_nano < point.time_unix_nano && point.time_unix_nano <= now());
}

/// A rate since the start of the process would be too low for an environment that is younger.
#[tokio::test]
async fn counts_of_an_environment_begin_when_it_was_made() {
    let collector = Collector::taking().await;
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, collector.upstream.address, Duration::from_millis(20));
    eventually("a push", || start_of(&collector.metrics(), "blue").is_some()).await;
    let before = now();
    let command = Command::PutEnvironment {
        service: name("chat"),
        environment: name("green"),
        upstreams: Some(vec![format!("http://{}", upstream.address)]),
        version: None,
        model: None,
        only_idle: false,
        if_generation: None,
    };
    proxy.ask(command).await.expect("it is made");
    let mut pushed = Vec::new();
    eventually("green is pushed", || {
        pushed = collector.metrics();
        start_of(&pushed, "green").is_some()
    })
    .await;
    assert!(start_of(&pushed, "blue").unwrap() < before);
    assert!((before..now()).contains(&start_of(&pushed, "green").unwrap()));
}

/// Since when the exchanges of an environment are counted, if it is among these metrics.
fn start_of(metrics: &[Metric], environment: &str) -> Option<u64> {
    let requests = metrics.iter().find(|metric| metric.name == "cyan.requests")?;
    let Some(Data::Sum(sum)) = &requests.data else { return None };
    let wanted = Some(Value::StringValue(environment.to_owned()));
    let point = sum.data_points.iter().find(|point| {
        let mut labels = point.attributes.iter().filter_map(|label| label.value.as_ref());
        labels.any(|label| label.value == wanted)
    })?;
    Some(point.start_time_unix_nano)
}

/// How many exchanges were complete, if this metric says so.
fn count_of(metric: &Metric) -> Option<i64> {
    let Some(Data::Sum(sum)) = metric.data.as_ref().filter(|_| metric.name == "cyan.requests")
    else {
        return None;
    };
    let complete = Some(Value::StringValue("complete".to_owned()));
    let point = sum.data_points.iter().find(|point| {
        let labels = point.attributes.iter().filter_map(|label| label.value.as_ref());
        labels.into_iter().any(|label| label.value == complete)
    })?;
    match point.value? {
        number_data_point::Value::AsInt(count) => Some(count),
        number_data_point::Value::AsDouble(_) => None,
    }
}

/// Nothing listens: the port was given back.
#[tokio::test]
async fn without_a_collector_requests_are_served_and_the_end_comes_in_time() {
    let address = Collector::taking().await.upstream.address;
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
