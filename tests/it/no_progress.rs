//! A server that answers its health path and takes requests, and whose streams stand still: vLLM with a
//! hung engine. Probes do not see it.

use std::time::Duration;

use cyan::control_plane::command::UpstreamView;
use cyan::demo::mock_llm::{Faults, MockLlm, MockOptions};
use cyan::model::environment::EnvironmentSpec;
use cyan::model::upstream::Probe;
use cyan::model::verdict::Verdict;

use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment};

const STREAM: &str = r#"{"messages":[],"stream":true,"max_tokens":100000}"#;
const WHOLE: &str = r#"{"messages":[],"max_tokens":3}"#;

fn engine(name: &str) -> MockLlm {
    let options = MockOptions {
        ttft: "1ms".parse().expect("a delay"),
        gap: "5ms".parse().expect("a delay"),
        tokens: "100000".parse().expect("a count"),
        ..MockOptions::named(name)
    };
    MockLlm::start(options).expect("the mock starts")
}

async fn freeze(engine: &MockLlm, freeze: bool) {
    engine.set_faults(Faults { freeze, ..Faults::default() }).await.expect("a fault");
}

fn before(name: &str, engines: &[&MockLlm]) -> EnvironmentSpec {
    let mut spec = environment(name, &[]);
    spec.upstreams = engines.iter().map(|engine| engine.url().parse().expect("a url")).collect();
    spec.health.path = Some("/health".into());
    spec.health.interval = Duration::from_millis(100);
    spec.health.no_progress = Some(Duration::from_millis(500));
    spec.ejection.backoff_max = Duration::from_secs(1);
    spec.slow_start = Duration::ZERO;
    spec
}

fn seen(proxy: &Proxy, environment: usize, upstream: usize) -> UpstreamView {
    let service = proxy.app().controller().service("chat").expect("the service exists");
    service.environments[environment].upstreams[upstream].clone()
}

async fn send(client: &mut Client, body: &str) {
    let length = body.len();
    client
        .send(format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await;
}

/// Opens a stream that has begun.
async fn stream(proxy: &Proxy) -> Client {
    let mut client = proxy.client().await;
    send(&mut client, STREAM).await;
    for _ in 0..3 {
        client.read_until(b"data: ").await;
    }
    client
}

async fn ask(client: &mut Client) -> Answer {
    send(client, WHOLE).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

async fn is_suspect(proxy: &Proxy, environment: usize, upstream: usize) {
    let suspect = || seen(proxy, environment, upstream).suspect.is_some();
    eventually("the hung one is suspect", suspect).await;
}

#[tokio::test]
async fn a_hung_engine_is_left_though_it_says_that_it_is_well_and_is_used_again_when_it_goes_on() {
    let (one, two) = (engine("one"), engine("two"));
    let proxy = Builder::new(vec![before("blue", &[&one, &two])]).start();
    eventually("probed", || (0..2).all(|n| seen(&proxy, 0, n).probe == Probe::Up)).await;
    let streams = [stream(&proxy).await, stream(&proxy).await];
    assert_eq!((seen(&proxy, 0, 0).in_flight, seen(&proxy, 0, 1).in_flight), (1, 1));
    let mut reader = proxy.client().await;

    freeze(&one, true).await;
    is_suspect(&proxy, 0, 0).await;
    let shown = seen(&proxy, 0, 0);
    let reason = shown.suspect.expect("it is suspect");
    assert!(reason.starts_with("1 stream open, no content for "), "{reason}");
    assert!(reason.ends_with(" s, though /health says 200"), "{reason}");
    assert_eq!((shown.probe, shown.ejected, seen(&proxy, 0, 1).suspect), (Probe::Up, false, None));
    for _ in 0..20 {
        assert_eq!(ask(&mut reader).await.header("x-mock-upstream"), Some("two"));
    }

    freeze(&one, false).await;
    eventually("trusted again", || seen(&proxy, 0, 0).suspect.is_none()).await;
    let mut answers = Vec::new();
    while !answers.contains(&Some("one".to_owned())) {
        let answer = ask(&mut reader).await;
        answers.push(answer.header("x-mock-upstream").map(str::to_owned));
        assert!(answers.len() < 100, "{answers:?}");
    }
    drop((streams, reader));
    proxy.adds_up().await;
}

#[tokio::test]
async fn without_a_stream_left_one_request_finds_out() {
    let (one, two) = (engine("one"), engine("two"));
    let proxy = Builder::new(vec![before("blue", &[&one, &two])]).start();
    let streams = [stream(&proxy).await, stream(&proxy).await];
    freeze(&one, true).await;
    is_suspect(&proxy, 0, 0).await;
    drop(streams);
    freeze(&one, false).await;
    let mut client = proxy.client().await;
    while ask(&mut client).await.header("x-mock-upstream") != Some("one") {
        tokio::task::yield_now().await;
    }
    eventually("trusted again", || seen(&proxy, 0, 0).suspect.is_none()).await;
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_hung_candidate_is_served_by_the_active_one_which_itself_is_never_left_for_a_suspicion() {
    let (one, two) = (engine("one"), engine("two"));
    let specs = vec![before("blue", &[&one]), before("green", &[&two])];
    let proxy = Builder::new(specs).start();
    proxy.set_weights(&[("blue", 0.0), ("green", 100.0)]).await;
    let of_green = stream(&proxy).await;
    freeze(&two, true).await;
    is_suspect(&proxy, 1, 0).await;
    let mut client = proxy.client().await;
    assert_eq!(ask(&mut client).await.header("x-deployment"), Some("blue"));
    assert_eq!(proxy.verdicts("blue", Verdict::Complete), 0, "it counts for green");

    let of_blue = stream(&proxy).await;
    freeze(&one, true).await;
    is_suspect(&proxy, 0, 0).await;
    // Nothing is above suspicion: everybody is served by their own.
    send(&mut client, WHOLE).await;
    eventually("green has it", || proxy.in_flight("green") == 2).await;
    assert_eq!(proxy.in_flight("blue"), 1);
    drop((of_green, of_blue, client));
    proxy.adds_up().await;
}

#[tokio::test]
async fn silence_is_nothing_where_it_is_not_looked_at() {
    let one = engine("one");
    let mut blue = before("blue", &[&one]);
    blue.health.no_progress = None;
    let mut green = before("green", &[&one]);
    green.health.no_progress = Some(Duration::from_millis(1));
    let proxy = Builder::new(vec![blue, green]).start();
    let of_blue = stream(&proxy).await;
    proxy.set_weights(&[("blue", 0.0), ("green", 100.0)]).await;
    let of_green = stream(&proxy).await;
    freeze(&one, true).await;
    is_suspect(&proxy, 1, 0).await;
    assert_eq!(seen(&proxy, 0, 0).suspect, None, "as long ago, and off");
    drop((of_blue, of_green));
    proxy.adds_up().await;
}
