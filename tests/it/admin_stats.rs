//! What was measured, as the admin API and `/metrics` tell it: of real exchanges, through real sockets.

use std::collections::BTreeSet;

use cyan::model::listener::ListenAddress;
use cyan::model::verdict::Verdict;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::proxy::Proxy;
use crate::support::served::call;
use crate::support::upstream::Upstream;

const BLUE: &str = "/v1/services/chat/environments/blue";
const CHUNK: &str = r#"{"choices":[{"index":0,"delta":{"content":"word "}}]}"#;
const LAST: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}"#;

/// An upstream that answers every request with a stream of three words.
async fn speaking() -> Upstream {
    let events =
        [CHUNK, CHUNK, CHUNK, LAST, USAGE, "[DONE]"].map(|data| format!("data: {data}\n\n"));
    let body = events.concat();
    let length = body.len();
    Upstream::sending(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
    .await
}

/// `count` chats through a proxy, all of them recorded and collected.
async fn after_chats(upstream: &Upstream, count: u64) -> Proxy {
    let proxy = Proxy::before(upstream);
    for _ in 0..count {
        let answer = proxy.client().await.post("/v1/chat/completions", "", "{}").await;
        assert_eq!(answer.status, 200);
    }
    proxy.settles("blue", Verdict::Complete, count).await;
    proxy
}

async fn admin(proxy: &Proxy) -> Client {
    let ListenAddress::Tcp(address) = proxy.app().admin_address() else { panic!("it is TCP") };
    Client::connect(*address).await
}

async fn get(proxy: &Proxy, path: &str) -> (u16, Value) {
    call(&mut admin(proxy).await, "GET", path, "").await
}

async fn page(proxy: &Proxy, accept: &str) -> (String, String) {
    let mut client = admin(proxy).await;
    let head = format!("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: {accept}\r\n\r\n");
    client.send(head).await;
    let answer = client.answer().await;
    let kind = answer.header("content-type").unwrap_or_default().to_owned();
    (kind, answer.text())
}

/// It was computed anew for each page, and differed by some microseconds: Prometheus saw restarts.
#[tokio::test]
async fn the_start_of_the_process_is_the_same_on_every_page() {
    let proxy = Proxy::before(&Upstream::replying(200, "ok").await);
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        let (_, page) = page(&proxy, "text/plain").await;
        let line = page.lines().find(|line| line.starts_with("process_start_time_seconds "));
        seen.insert(line.expect("it is on the page").to_owned());
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn stats_tell_what_was_measured_in_every_window() {
    let upstream = speaking().await;
    let proxy = after_chats(&upstream, 4).await;
    for window in ["10s", "1m", "5m", "15m", "step", "start"] {
        let (code, stats) = get(&proxy, &format!("{BLUE}/stats?window={window}")).await;
        assert_eq!((code, &stats["window"]), (200, &json!(window)));
        assert_eq!((&stats["requests"], &stats["failed_percent"]), (&json!(4), &json!(0.0)));
        assert_eq!(
            (&stats["verdicts"]["complete"], &stats["verdicts"]["stalled"]),
            (&json!(4), &json!(0))
        );
        assert_eq!((&stats["standings"]["good"], &stats["in_flight"]), (&json!(4), &json!(0)));
        assert_eq!(stats["total"]["count"], json!(4));
        assert!(stats["total"]["p50_ms"].as_f64() <= stats["total"]["p99_ms"].as_f64());
        assert_eq!(stats["tunnel"], json!(null), "no data is null, not 0");
        let covers = stats["covers_s"].as_f64().unwrap();
        assert!(covers > 0.0 && covers < 20.0, "it has not run for longer: {covers}");
    }
    let (_, whole) = get(&proxy, &format!("{BLUE}/stats")).await;
    assert_eq!(whole["window"], json!("5m"));
}

#[tokio::test]
async fn stats_of_streams_have_tokens_and_times_between_words() {
    let upstream = speaking().await;
    let proxy = after_chats(&upstream, 3).await;
    let (_, stats) = get(&proxy, &format!("{BLUE}/stats?window=1m")).await;
    assert_eq!(stats["ttft"]["count"], json!(3));
    assert_eq!(stats["gap"]["count"], json!(6), "three words have two gaps");
    assert_eq!(stats["tokens"]["input"], json!(36));
    assert_eq!(stats["tokens"]["output"], json!(9));
    assert_eq!(stats["tokens"]["outputs_estimated"], json!(0));
    assert_eq!((&stats["finish"]["stop"], &stats["inspection"]["read"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn a_histogram_is_told_as_buckets_and_as_others_read_it() {
    let upstream = speaking().await;
    let proxy = after_chats(&upstream, 5).await;
    let path = format!("{BLUE}/histogram?metric=total&window=step");
    let (status, buckets) = get(&proxy, &path).await;
    assert_eq!((status, &buckets["unit"], &buckets["count"]), (200, &json!("us"), &json!(5)));
    let counted = buckets["buckets"].as_array().unwrap().iter();
    assert_eq!(counted.map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), 5);
    for encoding in ["hdr-v2", "hdr-v2-deflate"] {
        let (_, encoded) = get(&proxy, &format!("{path}&encoding={encoding}")).await;
        assert_eq!(encoded["encoding"], json!(encoding));
        let bytes = unbase64(encoded["base64"].as_str().unwrap());
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(read.len(), 5);
    }
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[tokio::test]
async fn cohorts_tell_what_became_of_each_second() {
    let upstream = speaking().await;
    let proxy = after_chats(&upstream, 4).await;
    let (status, cohorts) = get(&proxy, &format!("{BLUE}/cohorts?seconds=60")).await;
    assert_eq!((status, &cohorts["lost"]), (200, &json!(0)));
    let began = cohorts["cohorts"].as_array().unwrap().iter();
    assert_eq!(began.map(|cohort| cohort["began"].as_u64().unwrap()).sum::<u64>(), 4);
}

#[tokio::test]
async fn names_that_are_none_are_refused_with_those_there_are() {
    let upstream = speaking().await;
    let proxy = Proxy::before(&upstream);
    let chat = "/v1/services/chat/environments";
    for (path, status, detail) in [
        ("/blue/stats?window=7m", 422, "window: `7m` is none of 10s, 1m, 5m, 15m, step, start"),
        ("/blue/stats?windov=5m", 422, "unknown field `windov`"),
        ("/blue/histogram", 422, "metric: `` is none of total, tunnel, response_head, ttft, gap"),
        ("/blue/histogram?metric=ttft&encoding=v3", 422, "`v3` is none of buckets, hdr-v2"),
        ("/blue/cohorts?seconds=many", 422, "invalid digit"),
        ("/red/stats", 404, "unknown environment `red`; configured: blue"),
        ("/red/cohorts", 404, "unknown environment `red`"),
    ] {
        let (found, problem) = get(&proxy, &format!("{chat}{path}")).await;
        let said = problem["detail"].as_str().unwrap();
        assert!(found == status && said.contains(detail), "{path}: {found} {said}");
    }
    let (status, _) = get(&proxy, "/v1/services/embed/environments/blue/stats").await;
    assert_eq!(status, 404);
}

/// The names in the first column of the documentation.
fn documented() -> BTreeSet<String> {
    let text = include_str!("../../docs/metrics.md");
    let names = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).filter(|name| !name.contains(['(', ' '])).collect()
}

#[tokio::test]
async fn what_is_documented_is_exported_and_the_other_way_round() {
    let upstream = speaking().await;
    let proxy = after_chats(&upstream, 2).await;
    let (kind, text) = page(&proxy, "text/plain").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let announced = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let announced: BTreeSet<_> = announced.map(str::to_owned).collect();
    assert_eq!(announced, documented());
    for line in [
        "cyan_requests_total{service=\"chat\",environment=\"blue\",verdict=\"complete\"} 2",
        "cyan_requests_total{service=\"chat\",environment=\"blue\",verdict=\"stalled\"} 0",
        "cyan_requests_by_standing_total{service=\"chat\",environment=\"blue\",standing=\"good\"} 2",
        "gen_ai_server_request_duration_seconds_count{service=\"chat\",environment=\"blue\"} 2",
        "cyan_requests_received_total 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
    }
    let upstream = format!("upstream=\"{}\",standing=\"good\"}} 2", upstream.url());
    assert!(text.contains(&upstream), "{upstream} not in\n{text}");
}

#[tokio::test]
async fn a_step_begins_with_its_weights_and_says_how_fast_it_was_everywhere() {
    let (blue, green) = (speaking().await, speaking().await);
    let proxy = Proxy::between(&blue, &green);
    proxy.client().await.post("/v1/chat/completions", "", "{}").await;
    proxy.settles("blue", Verdict::Complete, 1).await;
    proxy.set_weights(&[("blue", 95.0), ("green", 5.0)]).await;
    let mut stats = json!(null);
    for _ in 0..200 {
        // The collector hears of the change by message; there is no state to wait for but this one.
        stats = get(&proxy, &format!("{BLUE}/stats?window=step")).await.1;
        if stats["requests"] == json!(0) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(stats["requests"], json!(0), "{stats}");
    let (_, start) = get(&proxy, &format!("{BLUE}/stats?window=start")).await;
    assert_eq!(start["requests"], json!(1));
    let (_, text) = page(&proxy, "text/plain").await;
    assert!(text.contains("\ncyan_swap_duration_seconds_count 1\n"), "{text}");
}

#[tokio::test]
async fn every_sample_stands_under_its_type_and_open_metrics_ends() {
    let upstream = speaking().await;
    let proxy = after_chats(&upstream, 1).await;
    proxy.set_weights(&[("blue", 100.0)]).await;
    let (kind, text) = page(&proxy, "application/openmetrics-text; version=1.0.0").await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(
        text.ends_with("\n# EOF\n") && text.contains("\n# UNIT cyan_connect_seconds seconds\n")
    );
    let mut family = "";
    for line in text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(head) => family = head.split(' ').next().unwrap(),
            None if line.starts_with("# EOF") => {}
            None if line.starts_with('#') => assert_eq!(line.split(' ').nth(2), Some(family)),
            None => assert!(line.starts_with(family), "{line} under {family}"),
        }
    }
}
