//! A new version on an environment without traffic: put there, waited for, and never under users.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use crate::support::eventually;
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

const GREEN: &str = "/v1/services/chat/environments/green";
const READY: &str = "/v1/services/chat/environments/green/ready";

/// A proxy between blue and green, both of which have a health path.
fn probed(blue: &Upstream, green: &Upstream) -> Proxy {
    let with_path = |name, upstream: &Upstream| {
        let mut environment = environment(name, &[upstream]);
        environment.health.path = Some("/health".into());
        environment
    };
    Builder::new(vec![with_path("blue", blue), with_path("green", green)]).start()
}

/// A server that loads its model while it is asked so often.
async fn loading(times: u32) -> Upstream {
    let asked = Arc::new(AtomicU32::new(0));
    Upstream::scripted(move |mut visit| {
        let asked = Arc::clone(&asked);
        async move {
            while visit.request().await.is_some() {
                // Relaxed: the count orders nothing.
                let (status, body) = match asked.fetch_add(1, Ordering::Relaxed) {
                    asked if asked < times => (503, "Loading model"),
                    _ => (200, "ok"),
                };
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n");
                visit.send(head + body).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_deployment_is_waited_for_until_every_upstream_answers() {
    let (blue, next) = (Upstream::replying(200, "ok").await, loading(4).await);
    let proxy = probed(&blue, &blue);
    let url = next.url();
    let line = ["deploy", "green", "--upstream", &url, "--version", "v42", "--wait", "--yes"];
    let run = proxy.cyan(&line).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout.starts_with("green (v42) is ready: its upstream answers, after "),
        "{run:?}"
    );
    assert!(run.stdout.ends_with(" s; next: cyan rollout start green\n"), "{run:?}");
    let waited = format!("green is not ready: {url}: 503 \"Loading model\" (0 s of 10 min)");
    assert!(run.stderr.lines().any(|line| line == waited), "{run:?}");
    let (code, ready) = proxy.admin("GET", READY, "").await;
    let expected = json!({
        "environment": "green", "version": "v42", "upstreams": 1, "ready": true, "problem": null,
    });
    assert_eq!((code, ready), (200, expected));
    let (_, green) = proxy.admin("GET", GREEN, "").await;
    assert_eq!(green["overridden"], json!(["upstreams", "version"]), "it is in the state file");
    let again = proxy.cyan(&[&line[..], &["--json"]].concat()).await;
    assert!(again.code == 0 && again.stdout.contains(r#""ready":true"#), "{again:?}");
}

#[tokio::test]
async fn what_does_not_come_up_in_time_says_what_it_answered_last() {
    let (blue, next) = (Upstream::replying(200, "ok").await, loading(u32::MAX).await);
    let proxy = probed(&blue, &blue);
    let url = next.url();
    let line = ["deploy", "green", "--upstream", &url, "--yes", "--wait", "--within", "10ms"];
    let run = proxy.cyan(&line).await;
    assert_eq!((run.code, run.stdout.as_str()), (12, ""), "{run:?}");
    let words =
        format!("error: green is not ready after 10 ms: {url}: 503 \"Loading model\"; asked ");
    assert!(run.stderr.contains(&words), "{run:?}");
    assert!(run.stderr.ends_with("wait on: cyan deploy green --wait\n"), "{run:?}");
    let waiting = proxy.cyan(&["deploy", "green", "--wait", "--within", "1ms"]).await;
    assert_eq!(waiting.code, 12, "what is there can be waited for: {waiting:?}");
    let nothing = proxy.cyan(&["deploy", "green"]).await;
    assert_eq!(nothing.code, 2, "{nothing:?}");
    let (code, unknown) = proxy.admin("GET", &READY.replace("green", "mauve"), "").await;
    let detail = "unknown environment `mauve`; configured: blue, green";
    assert_eq!((code, &unknown["detail"]), (404, &json!(detail)));
}

#[tokio::test]
async fn nothing_is_deployed_under_users() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::between(&upstream, &upstream);
    proxy.set_weights(&[("blue", 90.0), ("green", 10.0)]).await;
    for (name, share) in [("blue", 90), ("green", 10)] {
        let run = proxy.cyan(&["deploy", name, "--version", "v42", "--yes"]).await;
        let words = format!(
            "error: `{name}` has {share} % of the traffic; deploy to an environment without any, \
             or change it under its users: cyan environment put\n"
        );
        assert_eq!((run.code, run.stderr.lines().last()), (5, Some(words.trim_end())), "{run:?}");
    }
    let put = ["environment", "put", "green", "--version", "v42", "--yes"];
    assert_eq!(proxy.cyan(&put).await.code, 0);
    let same = proxy.cyan(&["deploy", "green", "--version", "v42", "--yes"]).await;
    assert_eq!(same.code, 0, "what holds already is no deployment: {same:?}");
    proxy.switch("green").await;
    let armed = proxy.cyan(&["deploy", "blue", "--version", "v43", "--yes"]).await;
    let note = "note: `blue` was what green goes back to; a rollback leads to what is there now";
    assert!(armed.code == 0 && armed.stdout.lines().any(|line| line == note), "{armed:?}");
}

#[tokio::test]
async fn what_a_rollout_judges_stays_what_it_is() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::between(&upstream, &upstream);
    let start = proxy.admin("POST", "/v1/services/chat/rollout", r#"{"candidate":"green"}"#).await;
    assert_eq!(start.0, 200, "{start:?}");
    let generation = || proxy.app().controller().service("chat").unwrap().generation;
    let running = || proxy.app().controller().release("chat").unwrap().release.rollout.unwrap();
    eventually("its first step is taken", || !running().planned_share().is_zero()).await;
    let before = generation();
    let other = json!({"upstreams": ["http://127.0.0.1:9"]}).to_string();
    for (name, body, what) in [
        ("green", r#"{"version":"v43"}"#, "version"),
        ("green", r#"{"model":"m2"}"#, "model"),
        ("green", &*other, "upstreams"),
        ("blue", r#"{"version":"v43"}"#, "version"),
    ] {
        let (code, problem) = proxy.admin("PUT", &GREEN.replace("green", name), body).await;
        let detail = format!(
            "`{name}` is part of rollout 1, so its {what} cannot change; \
             wait for its end, or roll it back first: cyan rollback"
        );
        assert_eq!((code, &problem["detail"]), (409, &json!(detail)));
        let flag = format!("--{}", what.trim_end_matches('s'));
        let put = ["environment", "put", name, &flag, "http://127.0.0.1:9", "--yes"];
        let run = proxy.cyan(&put).await;
        let words = format!("error: {detail}");
        assert_eq!((run.code, run.stderr.lines().last()), (5, Some(&*words)), "{run:?}");
    }
    assert_eq!(generation(), before);
    let same = json!({"upstreams": [upstream.url()]}).to_string();
    assert_eq!(proxy.admin("PUT", GREEN, &same).await.0, 200, "what holds already is no change");
    assert_eq!(proxy.admin("POST", "/v1/services/chat/rollback", "{}").await.0, 200);
    assert_eq!(proxy.admin("PUT", GREEN, &other).await.0, 200);
}
