//! `traceparent` and `tracestate` on their way to the upstream.

use std::time::Duration;

use cyan::config::resolved::OtlpSpec;

use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn proxy(upstream: &Upstream, share: Option<f64>) -> Proxy {
    let mut builder = Builder::new(vec![environment("blue", &[upstream])]);
    builder.config.otlp = share.map(|sample| OtlpSpec {
        // Nothing listens there; what is pushed does not matter here.
        upstream: "http://127.0.0.1:9".parse().unwrap(),
        path: String::new(),
        headers: Vec::new(),
        interval: Duration::from_secs(3600),
        sample,
    });
    builder.start()
}

/// What the upstream saw of these headers, and the exchange's number.
async fn forwarded(proxy: &Proxy, upstream: &Upstream, headers: &str) -> (Vec<String>, String) {
    let answer = proxy.client().await.get("/", headers).await;
    let head = upstream.heads().pop().unwrap();
    let traced = head.lines().filter(|line| line.to_ascii_lowercase().starts_with("trace"));
    let traced = traced.map(str::to_ascii_lowercase).collect();
    let exchange = answer.header("x-cyan-exchange").unwrap();
    (traced, exchange[exchange.len() - 16..].to_owned())
}

#[tokio::test]
async fn without_an_export_they_pass_as_they_are() {
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, None);
    for headers in [
        format!("traceparent: {SAMPLED}\r\ntracestate: a=1,b=2\r\n"),
        format!("traceparent: {UNSAMPLED}\r\n"),
        "traceparent: malformed\r\ntracestate: a=1\r\n".to_owned(),
        String::new(),
    ] {
        let (seen, _) = forwarded(&proxy, &upstream, &headers).await;
        assert_eq!(seen.join("\r\n"), headers.trim_end());
    }
}

#[tokio::test]
async fn with_an_export_the_upstream_is_called_by_our_span() {
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, Some(0.0)); // a share of what begins here, and no other
    let headers = format!("traceparent: {SAMPLED}\r\ntracestate: a=1,b=2\r\n");
    let (mut seen, exchange) = forwarded(&proxy, &upstream, &headers).await;
    seen.sort_unstable();
    let expected =
        [format!("traceparent: 00-{TRACE}-{exchange}-01"), "tracestate: a=1,b=2".to_owned()];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_trace_that_is_not_recorded_is_not_touched() {
    let upstream = Upstream::replying(200, "hello").await;
    let proxy = proxy(&upstream, Some(1.0));
    let headers = format!("traceparent: {UNSAMPLED}\r\ntracestate: a=1\r\n");
    let (seen, _) = forwarded(&proxy, &upstream, &headers).await;
    assert_eq!(seen.join("\r\n"), headers.trim_end());
}

#[tokio::test]
async fn where_there_is_none_in_order_a_trace_begins() {
    let upstream = Upstream::replying(200, "hello").await;
    for (share, flags) in [(1.0, "01"), (0.0, "00")] {
        let proxy = proxy(&upstream, Some(share));
        let mut traces = Vec::new();
        for headers in [
            String::new(),
            "tracestate: a=1\r\n".to_owned(),
            format!("traceparent: {}\r\ntracestate: a=1\r\n", SAMPLED.replace("0af7", "0AF7")),
            format!("traceparent: {SAMPLED}\r\ntraceparent: {SAMPLED}\r\n"),
        ] {
            let (seen, exchange) = forwarded(&proxy, &upstream, &headers).await;
            assert_eq!(seen.len(), 1, "{headers}: {seen:?}");
            let trace = seen[0].strip_prefix("traceparent: 00-").unwrap();
            let trace = trace.strip_suffix(&format!("-{exchange}-{flags}")).unwrap();
            assert_eq!(trace.len(), 32, "{trace}");
            traces.push(trace.to_owned());
        }
        traces.push(TRACE.to_owned());
        traces.sort_unstable();
        traces.dedup();
        assert_eq!(traces.len(), 5, "every trace has an id of its own");
    }
}
