//! Warm-up against real servers: a candidate gets requests before users come, until it is as fast as it gets.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use cyan::demo::mock_llm::{Faults, MockLlm, MockOptions};
use serde_json::{Value, json};

use crate::support::admin::TestAdmin;
use crate::support::client::Client;
use crate::support::served::{Served, call};
use crate::support::upstream::{Upstream, Visit};
use crate::support::{DEADLINE, eventually};

const ROLLOUT: &str = "/v1/services/chat/rollout";

/// A service `chat` whose green environment has these upstreams, and its warm-up.
fn chat(upstreams: &[String], warm_up: &str) -> String {
    format!(
        "[service.chat.environment.blue]\nupstreams = 'http://127.0.0.1:1'\nweight = 100\n\
         [service.chat.environment.green]\nupstreams = {upstreams:?}\nversion = 'v42'\n\
         [service.chat.rollout]\nsteps = ['1% 1h', '100%']\n\
         [service.chat.rollout.warm_up]\nprompts = ['Hi', 'Ho']\nmax_tokens = 3\n\
         window = '300ms'\ndeadline = '1m'\nrequests_min = 10\nrequests_per_second = 200\n\
         concurrency = 8\n{warm_up}"
    )
}

async fn started(upstreams: &[String], warm_up: &str) -> TestAdmin {
    let admin = TestAdmin::configured(&chat(upstreams, warm_up)).await;
    let answer = admin.post(ROLLOUT, "{\"candidate\":\"green\"}").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    admin
}

/// Waits until the rollout is as wanted.
async fn until(admin: &TestAdmin, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let rollout = admin.get(ROLLOUT).await.json();
        if holds(&rollout) {
            return rollout;
        }
        assert!(Instant::now() < deadline, "still {rollout:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn waits_for(rollout: &Value) -> &str {
    rollout["waits_for"][0].as_str().unwrap_or_default()
}

fn is_over(rollout: &Value) -> bool {
    !["ready", "warm_up"].contains(&rollout["stage"].as_str().unwrap())
}

/// The journal's entry of this kind, once it is written.
async fn entry(admin: &TestAdmin, kind: &str) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let journal = admin.get("/v1/journal?service=chat&limit=50").await.json();
        let entries = journal["entries"].as_array().unwrap();
        if let Some(entry) = entries.iter().find(|entry| entry["kind"] == kind) {
            return entry.clone();
        }
        assert!(Instant::now() < deadline, "{journal:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Streams three words after `delay`.
async fn stream(visit: &mut Visit, delay: Duration) {
    tokio::time::sleep(delay).await;
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    visit.send(format!("{head}{event}data: [DONE]\n\n")).await;
}

/// Streams an answer to the n-th request after `delay(n)`.
async fn paced(delay: impl Fn(i32) -> Duration + Copy + Send + Sync + 'static) -> Upstream {
    let turn = Arc::new(AtomicI32::new(0));
    Upstream::scripted(move |mut visit| {
        let turn = Arc::clone(&turn);
        async move {
            if visit.request().await.is_some() {
                stream(&mut visit, delay(turn.fetch_add(1, Ordering::Relaxed))).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_cold_candidate_meets_users_when_it_is_warm_and_every_upstream_was_asked() {
    // From 1.5 s to 100 ms, by a fifth with each request.
    let thawing =
        |n| Duration::from_millis(100).max(Duration::from_millis(1_500).mul_f64(0.8_f64.powi(n)));
    let (one, two) = (paced(thawing).await, paced(thawing).await);
    let admin = started(&[one.url(), two.url()], "tolerance = 0.3").await;
    let shown = until(&admin, |rollout| waits_for(rollout).contains(", p99 TTFT 1.")).await;
    assert_eq!((&shown["stage"], &shown["place"]), (&json!("warm_up"), &json!("warm-up")));
    assert!(waits_for(&shown).starts_with("the warm-up: window 2, p99 TTFT 1."), "{shown:#}");
    assert_eq!(until(&admin, is_over).await["stage"], json!("ramp"));
    let passed = entry(&admin, "gate_passed").await;
    let (text, details) = (passed["text"].as_str().unwrap(), &passed["details"]);
    assert!(text.starts_with("warm-up: stable after ") && text.contains("p99 TTFT 1."), "{text}");
    let ms = |key: &str| details[key].as_f64().unwrap();
    assert!(ms("p99_before_ms") > 1_000.0 && ms("p99_after_ms") < 500.0, "{details:#}");
    assert_eq!(details["synthetic"]["failed"], json!(0));
    let asked = [&one, &two].map(|upstream| upstream.bodies().len());
    assert!(asked[0].abs_diff(asked[1]) <= 2 && asked[0] > 10, "{asked:?}");
}

#[tokio::test]
async fn one_that_never_settles_goes_on_at_the_deadline_or_fails_as_the_config_says() {
    for (key, stage, end) in
        [("go-on", "ramp", "all the same"), ("fail", "rolled_back", "requests")]
    {
        // Slower by a fiftieth with each request, up to a second.
        let slower = paced(|n| Duration::from_millis(20).mul_f64(1.02_f64.powi(n.min(200)))).await;
        let text = chat(&[slower.url()], &format!("at_deadline = '{key}'"))
            .replace("deadline = '1m'", "deadline = '1500ms'");
        let admin = TestAdmin::configured(&text).await;
        assert_eq!(admin.post(ROLLOUT, "{\"candidate\":\"green\"}").await.status, 200);
        assert_eq!(until(&admin, is_over).await["stage"], json!(stage));
        let kind = if stage == "ramp" { "gate_passed" } else { "rollout_failed" };
        let text = entry(&admin, kind).await["text"].as_str().unwrap().to_owned();
        assert!(
            text.starts_with("warm-up: not stable after 1 s, its deadline: p99 TTFT "),
            "{text}"
        );
        assert!(text.split("; ").any(|part| part.ends_with(end)), "{text}");
    }
}

#[tokio::test]
async fn a_candidate_that_only_fails_ends_the_rollout_and_is_quoted() {
    let faults = Faults { status: 1.0, status_code: 503, ..Faults::default() };
    let dead = MockLlm::start(MockOptions { faults, ..MockOptions::named("green") }).unwrap();
    let admin = started(&[dead.url()], "").await;
    let ended = until(&admin, is_over).await;
    let cause = &ended["cause"];
    assert_eq!((&ended["stage"], &cause["code"]), (&json!("rolled_back"), &json!("warm_up")));
    let text = cause["text"].as_str().unwrap();
    assert!(text.starts_with("warm-up: most requests fail: "), "{text}");
    assert!(text.contains(&format!(" times: {}: 503", dead.url())), "{text}");
    assert_eq!(cause["details"]["synthetic"]["answered"], json!(0));
}

#[tokio::test]
async fn one_that_hangs_fails_by_its_timeouts_or_at_the_deadline() {
    for (timeout, words) in [
        ("100ms", "warm-up: most requests fail: "),
        ("1m", "warm-up: nothing was answered within 1 s: 8 requests"),
    ] {
        let hanging = hanging().await;
        let text = chat(&[hanging.url()], &format!("timeout = '{timeout}'"))
            .replace("deadline = '1m'", "deadline = '1s'");
        let admin = TestAdmin::configured(&text).await;
        assert_eq!(admin.post(ROLLOUT, "{\"candidate\":\"green\"}").await.status, 200);
        let ended = until(&admin, is_over).await;
        let said = ended["cause"]["text"].as_str().unwrap();
        assert!(said.starts_with(words), "{said}");
        eventually("no connection is left", || hanging.closed() == hanging.connections()).await;
    }
}

async fn hanging() -> Upstream {
    Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.until_closed().await;
    })
    .await
}

#[tokio::test]
async fn a_rollback_and_a_promotion_end_every_request_at_once() {
    for (action, stage) in [("rollback", "rolled_back"), ("promote", "ramp")] {
        let hanging = hanging().await;
        let admin = started(&[hanging.url()], "").await;
        let asked = || hanging.heads().iter().filter(|head| head.starts_with("POST")).count();
        eventually("eight are under way", || asked() == 8).await;
        let began = Instant::now();
        let answer = admin.post(&format!("{ROLLOUT}/{action}"), "{}").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        eventually("all have ended", || hanging.closed() == hanging.connections()).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!((until(&admin, is_over).await["stage"].as_str(), asked()), (Some(stage), 8));
    }
}

/// A config in `dir` with blue (active) and green, which is warmed up by these keys.
fn write_config(dir: &Path, blue: &Upstream, green: &Upstream, warm_up: &str) {
    let text = format!(
        "state_dir = '{}'\nlisten.http = '127.0.0.1:0'\nadmin.address = '127.0.0.1:0'\n\
         [service.chat.environment.blue]\nupstreams = '{}'\nweight = 100\n\
         [service.chat.environment.green]\nupstreams = '{}'\nmodels = {{ small = 'small-2' }}\n\
         [service.chat.rollout.warm_up]\nwindow = '300ms'\ndeadline = '1m'\nrequests_min = 10\n{warm_up}",
        dir.join("state").display(),
        blue.url(),
        green.url(),
    );
    std::fs::write(dir.join("cyan.toml"), text).unwrap();
}

async fn act(served: &Served, path: &str, body: &str) {
    let (status, answer) = call(&mut Client::connect(served.admin).await, "POST", path, body).await;
    assert_eq!(status, 200, "{answer}");
}

async fn stage(served: &Served) -> String {
    served.ask(ROLLOUT).await["stage"].as_str().unwrap().to_owned()
}

/// What `/metrics` has below this name and these labels.
async fn metric(served: &Served, sample: &str) -> Option<usize> {
    let mut client = Client::connect(served.admin).await;
    client.send("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await;
    let page = client.answer().await.text();
    let line = page.lines().find(|line| line.starts_with(sample))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn copies_of_live_requests_warm_it_and_are_no_evidence() {
    let blue = Upstream::replying(200, "{\"by\":\"blue\"}").await;
    let green = paced(|_| Duration::from_millis(50)).await;
    let dir = tempfile::tempdir().unwrap();
    let mirror = "[service.chat.rollout.warm_up.mirror]\nshare = 1\nrequests_per_second = 1000\n";
    write_config(dir.path(), &blue, &green, &format!("tolerance = 1\n{mirror}"));
    let served = Served::start(dir.path()).await;
    act(&served, ROLLOUT, "{\"candidate\":\"green\"}").await;
    act(&served, &format!("{ROLLOUT}/pause"), "{}").await;
    let mut user = Client::connect(served.address).await;
    let body = "{\"model\":\"small\",\"stream\":true}";
    let deadline = Instant::now() + DEADLINE;
    while stage(&served).await != "ramp" {
        for path in ["/v1/chat/completions?a=b", "/v1/files"] {
            let answer = user.post(path, "x-own: 1\r\nauthorization: Bearer t\r\n", body).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "{\"by\":\"blue\"}"));
        }
        assert!(Instant::now() < deadline, "{}", served.ask(ROLLOUT).await);
    }
    let copies = green.heads();
    assert!(copies.len() >= 20, "{copies:?}");
    for copy in &copies {
        assert!(copy.starts_with("POST /v1/chat/completions?a=b HTTP/1.1\r\n"), "{copy}");
        for line in
            ["x-cyan-mirror: 1", "x-own: 1", "authorization: Bearer t", "x-deployment: green"]
        {
            assert!(copy.contains(&format!("\r\n{line}\r\n")), "{copy}");
        }
    }
    let renamed = body.replace("small", "small-2");
    assert!(green.bodies().iter().all(|sent| sent == renamed.as_bytes()));
    user.post("/v1/chat/completions", "", body).await;
    let sample =
        "cyan_mirrored_requests_total{service=\"chat\",environment=\"green\",verdict=\"complete\"}";
    let complete = metric(&served, sample).await.unwrap();
    assert!(complete >= 20 && complete <= copies.len(), "{complete}");
    assert_eq!(green.heads().len(), copies.len(), "nothing is copied once it is over");
    let stats = served.ask("/v1/services/chat/environments/green/stats?window=start").await;
    assert_eq!(stats["requests"], json!(0), "{stats:#}");
    let judged = &served.ask(ROLLOUT).await["judge"];
    assert_eq!(judged["requests"].as_u64().unwrap_or(0), 0);
}

#[tokio::test]
async fn after_a_crash_it_begins_again() {
    let blue = Upstream::replying(200, "ok").await;
    let green = hanging().await;
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), &blue, &green, "prompts = 'Hi'\nconcurrency = 3\n");
    let served = Served::start(dir.path()).await;
    act(&served, ROLLOUT, "{\"candidate\":\"green\"}").await;
    let asked = || green.heads().iter().filter(|head| head.starts_with("POST")).count();
    eventually("it is asked", || asked() == 3).await;
    served.kill().await;
    let served = Served::start(dir.path()).await;
    eventually("it is asked again", || asked() == 6).await;
    assert_eq!(stage(&served).await, "warm_up");
}
