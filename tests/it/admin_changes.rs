//! Changes over the admin API: what is answered, what is refused, and that a refusal changes nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Method;
use serde_json::json;

use crate::support::admin::TestAdmin;

const CHAT: &str = "/v1/services/chat";
const WEIGHTS: &str = "/v1/services/chat/weights";

#[tokio::test]
async fn weights_are_set_shown_and_guarded_by_their_generation() {
    let admin = TestAdmin::start().await;
    let before = admin.get(CHAT).await;
    let generation = before.json()["generation"].as_u64().unwrap();
    assert_eq!(before.header("etag"), format!("\"{generation}\""));
    let body = json!({"weights": {"blue": 97.5, "green": 2.5}, "generation": generation});
    let set = admin.put(WEIGHTS, &body.to_string()).await;
    assert_eq!((set.status.as_u16(), &set.json()["changed"]), (200, &json!(true)));
    assert_eq!(set.json()["lagging_cores"], json!([]));
    let after = admin.get(CHAT).await.json();
    assert_eq!(after["environments"][1]["weight_percent"], json!(2.5));
    let explanation = "97.5 % goes to blue and 2.5 % to green, the candidate.";
    assert_eq!(after["explanation"], explanation);

    let late = admin.put(WEIGHTS, &body.to_string()).await;
    let problem = late.json();
    assert_eq!(
        (late.status.as_u16(), &problem["type"]),
        (409, &json!("/problems/generation-mismatch"))
    );
    assert_eq!(late.header("content-type"), "application/problem+json");
    assert_eq!(problem["current"]["generation"], json!(generation + 1));
    assert_eq!(problem["instance"], late.header("x-request-id"));
    let tag = format!("\"{generation}\"");
    let late = admin.call(Method::PUT, WEIGHTS, &[("if-match", &tag)], r#"{"weights":{}}"#).await;
    assert_eq!(late.status.as_u16(), 412);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_by_name_and_changes_nothing() {
    let admin = TestAdmin::start().await;
    let before = admin.get(CHAT).await.json();
    let path = "/v1/services/chat";
    for (method, at, body, status, detail) in [
        ("PUT", "/weights", r#"{"weights":{"blue":75,"green":35}}"#, 422, "weights sum to 110 %"),
        ("PUT", "/weights", r#"{"weights":{"blue":101}}"#, 422, "write percent from 0 to 100"),
        ("PUT", "/weights", r#"{"weigths":{"blue":100}}"#, 422, "unknown field `weigths`"),
        ("PUT", "/weights", r#"{"weights":"#, 400, "EOF while parsing"),
        ("PUT", "/weights", r#"{"weights":{"red":0}}"#, 404, "unknown environment `red`"),
        (
            "POST",
            "/switch",
            r#"{"to":"red"}"#,
            404,
            "unknown environment `red`; configured: blue, green",
        ),
        ("POST", "/rollback", "", 409, "nothing to roll back"),
        ("GET", "/environments/red", "", 404, "unknown environment `red`"),
        ("DELETE", "/environments/blue", "", 409, "`blue` is the active environment"),
        (
            "PUT",
            "/environments/red",
            r#"{"upstreams":["nowhere"]}"#,
            422,
            "`nowhere` is not an upstream",
        ),
        ("POST", "/environments/blue/drain", r#"{"deadline":"30"}"#, 422, "`30` is not a duration"),
        ("POST", "/environments/green/reset", r#"{"field":"weight"}"#, 422, "field"),
        ("DELETE", "", "", 405, "DELETE is not for `/v1/services/chat`"),
        ("GET", "/nowhere", "", 404, "there is no `/v1/services/chat/nowhere`"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = admin.call(method.clone(), &format!("{path}{at}"), &[], body).await;
        let problem = answer.json();
        let said = problem["detail"].as_str().unwrap();
        assert_eq!(answer.status.as_u16(), status, "{method} {at} {body}: {said}");
        assert!(said.contains(detail), "{method} {at} {body}: {said}");
        assert_eq!(problem["status"], json!(status));
    }
    let unknown = admin.get("/v1/services/embed").await;
    assert_eq!(unknown.json()["detail"], "unknown service `embed`; configured: chat");
    assert_eq!(admin.get(CHAT).await.json(), before);
}

#[tokio::test]
async fn a_core_that_lags_is_named_in_a_202() {
    let admin = TestAdmin::start().await;
    admin.stuck.store(true, Ordering::Relaxed); // it orders nothing
    let set = admin.put(WEIGHTS, r#"{"weights":{"blue":50,"green":50}}"#).await;
    assert_eq!((set.status.as_u16(), &set.json()["lagging_cores"]), (202, &json!([0])));
}

#[tokio::test]
async fn a_dry_run_shows_the_change_and_makes_none() {
    let admin = TestAdmin::start().await;
    let before = admin.get(CHAT).await.json();
    let preview = admin.post("/v1/services/chat/switch?dry_run=true", "").await.json();
    assert_eq!(preview["active"], json!({"before": "blue", "after": "green"}));
    assert_eq!(
        preview["weights_percent"],
        json!([
            {"environment": "blue", "before": 100.0, "after": 0.0},
            {"environment": "green", "before": 0.0, "after": 100.0},
        ])
    );
    assert_eq!(admin.get(CHAT).await.json(), before);
}

/// Dry runs were answered without the controller, and called possible what it refuses.
#[tokio::test]
async fn a_dry_run_is_what_the_change_would_be() {
    let admin = TestAdmin::configured(
        "[service.chat]\nactive = 'blue'\n[service.chat.environment.blue]\n\
         upstreams = 'http://127.0.0.1:1'\n[service.chat.environment.red]\nupstreams = []\n",
    )
    .await;
    for (method, path, body, status) in [
        ("PUT", "/weights", r#"{"weights":{"blue":90,"red":10}}"#, 409),
        ("PUT", "/weights", "{}", 422),
        ("POST", "/switch", r#"{"to":"red"}"#, 409),
        ("POST", "/switch", "{}", 409),
        ("POST", "/rollback", "{}", 409),
        ("POST", "/rollout", r#"{"candidate":"red"}"#, 409),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = async |query: &str| {
            let path = format!("{CHAT}{path}{query}");
            admin.call(method.clone(), &path, &[], body).await
        };
        let (dry, real) = (answer("?dry_run=true").await, answer("").await);
        assert_eq!(dry.status.as_u16(), status, "{method} {path} {body}: {dry:?}");
        assert_eq!(dry.json()["detail"], real.json()["detail"], "{method} {path} {body}");
    }
}

/// Who pressed twice gets no error, in a dry run neither.
#[tokio::test]
async fn a_dry_run_of_a_second_rollback_is_no_error() {
    let admin = TestAdmin::start().await;
    admin.post("/v1/services/chat/switch", "").await;
    admin.post("/v1/services/chat/rollback", "").await;
    let dry = admin.post("/v1/services/chat/rollback?dry_run=true", "").await;
    assert_eq!((dry.status.as_u16(), &dry.json()["weights_percent"]), (200, &json!([])));
}

/// Passed over in silence, either would change what was only to be looked at, or what somebody else changed.
#[tokio::test]
async fn what_a_call_does_not_take_is_refused() {
    let admin = TestAdmin::start().await;
    let before = admin.get("/v1/journal").await.json();
    let environment = format!("{CHAT}/environments/green");
    for (method, path, body) in [
        ("POST", format!("{environment}/smoke"), ""),
        ("POST", format!("{environment}/evaluate"), ""),
        ("POST", "/v1/reload".to_owned(), ""),
        ("POST", "/v1/scores".to_owned(), r#"{"environment":"blue","value":1}"#),
        ("PUT", "/v1/log-level".to_owned(), r#"{"level":"warn"}"#),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let dry = format!("{path}?dry_run=true");
        let problem = admin.call(method.clone(), &dry, &[], body).await.json();
        assert_eq!(problem["status"], json!(422), "{method} {path}: {problem}");
        assert_eq!(problem["detail"], "unknown parameter `dry_run`; this call takes none");
        let problem =
            admin.call(method.clone(), &path, &[("if-match", "\"1\"")], body).await.json();
        assert_eq!(problem["status"], json!(400), "{method} {path}: {problem}");
    }
    for (method, path, body) in [
        ("PUT", environment.clone(), r#"{"version":"v2"}"#),
        ("DELETE", environment.clone(), ""),
        ("POST", format!("{environment}/reset"), r#"{"field":"version"}"#),
        ("PUT", format!("{CHAT}/freeze"), r#"{"reason":"weekend"}"#),
        ("DELETE", format!("{CHAT}/freeze"), ""),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let dry = format!("{path}?dry_run=true");
        let answer = admin.call(method.clone(), &dry, &[], body).await;
        assert_eq!(answer.status.as_u16(), 422, "{method} {path}: {answer:?}");
        let late = admin.call(method.clone(), &path, &[("if-match", "\"99\"")], body).await;
        assert_eq!(late.status.as_u16(), 412, "{method} {path}: {late:?}");
    }
    assert_eq!(admin.get("/v1/journal").await.json(), before);
    for path in ["/livez?verbose", "/readyz?verbose", "/metrics?target=cyan", "/v1/status?"] {
        assert_eq!(admin.get(path).await.status.as_u16(), 200, "{path}");
    }
}

#[tokio::test]
async fn an_environment_comes_drains_and_goes() {
    let admin = TestAdmin::start().await;
    let red = "/v1/services/chat/environments/red";
    let put = admin.put(red, r#"{"upstreams":["http://127.0.0.1:3"],"version":"v3"}"#).await;
    assert_eq!(put.status.as_u16(), 200, "{put:?}");
    let shown = admin.get(red).await.json();
    assert_eq!((&shown["version"], &shown["weight_percent"]), (&json!("v3"), &json!(0.0)));
    let drained = admin.post(&format!("{red}/drain"), r#"{"deadline":"5s"}"#).await;
    assert_eq!((drained.status.as_u16(), &drained.json()["in_flight"]), (200, &json!(0)));
    let gone = admin.call(Method::DELETE, red, &[], "").await;
    assert_eq!(gone.status.as_u16(), 200, "{gone:?}");
    assert_eq!(admin.get(red).await.status.as_u16(), 404);
}

#[tokio::test]
async fn the_journal_names_who_asked_and_why() {
    let admin = TestAdmin::start().await;
    let body = r#"{"weights":{"blue":90,"green":10},"reason":"first users"}"#;
    admin.call(Method::PUT, WEIGHTS, &[("x-cyan-actor", "cli:ana")], body).await;
    admin.post("/v1/services/chat/rollback", "").await;
    let mut journal = admin.get("/v1/journal?service=chat").await.json();
    // How long the rollback took is written when the cores have it: before or after this was read.
    let entries = journal["entries"].as_array_mut().unwrap();
    entries.retain(|entry| entry["kind"] != "rollback_complete");
    entries.truncate(2);
    let of = |index: usize, field: &str| journal["entries"][index][field].clone();
    assert_eq!((of(0, "kind"), of(0, "actor")), (json!("rolled_back"), json!("api")));
    assert_eq!((of(1, "actor"), of(1, "reason")), (json!("cli:ana"), json!("first users")));
    assert!(of(1, "at").as_str().unwrap().ends_with('Z'));
    let before = of(1, "id").as_i64().unwrap();
    let older = admin.get(&format!("/v1/journal?service=chat&before={before}")).await.json();
    assert_eq!(older["entries"][0]["kind"], "service_began");
}

/// What one caller writes stands on the terminals of others, who read the journal.
#[tokio::test]
async fn a_reason_is_kept_as_one_line_that_no_terminal_obeys() {
    let admin = TestAdmin::start().await;
    let reason = format!("\u{1b}[2Jall\r\n is \u{9b}31mwell {}", "x".repeat(600));
    let body = json!({"weights": {"blue": 90, "green": 10}, "reason": reason}).to_string();
    let set = admin.call(Method::PUT, WEIGHTS, &[("x-cyan-actor", "cli:\tana")], &body).await;
    assert_eq!(set.status.as_u16(), 200, "{set:?}");
    let frozen = json!({"reason": "a\nb"}).to_string();
    admin.put("/v1/services/chat/freeze", &frozen).await;
    let journal = admin.get("/v1/journal?service=chat&limit=2").await.json();
    let [freeze, weights] = [0, 1].map(|index| &journal["entries"][index]);
    assert_eq!(freeze["reason"], "a b");
    let kept = weights["reason"].as_str().unwrap();
    assert!(kept.starts_with("[2Jall is 31mwell xxx") && kept.len() == 500, "{kept}");
    assert_eq!(weights["actor"], "cli: ana");
    let version = |text: &str| json!({ "version": text }).to_string();
    let green = "/v1/services/chat/environments/green";
    let label = "v".repeat(200); // what a file may say
    assert_eq!(admin.put(green, &version(&label)).await.status.as_u16(), 200);
    for text in [format!("{label}v"), "v\u{1b}[2J".to_owned()] {
        assert_eq!(admin.put(green, &version(&text)).await.status.as_u16(), 422);
    }
}

#[tokio::test]
async fn a_config_that_cannot_be_read_is_shown_until_one_can() {
    let broken: cyan::admin::ReadConfig =
        Arc::new(|| Err("cyan.toml:7: workers: `x` is no number; write 1 to 64".to_owned()));
    let admin = TestAdmin::with(None, Some(broken)).await;
    let refused = admin.post("/v1/reload", "").await;
    assert_eq!(refused.status.as_u16(), 422);
    let status = admin.get("/v1/status").await.json();
    let warning = status["warnings"][0].as_str().unwrap();
    assert!(warning.contains("cyan.toml:7: workers: `x` is no number"), "{warning}");
    assert_eq!(status["schema"], json!(1));

    let without_file = TestAdmin::start().await;
    assert_eq!(without_file.post("/v1/reload", "").await.status.as_u16(), 409);
}

#[tokio::test]
async fn probes_and_metrics_are_answered() {
    let admin = TestAdmin::start().await;
    assert_eq!(admin.get("/livez").await.status.as_u16(), 200);
    assert_eq!(admin.get("/readyz").await.body, "ready\n");
    let metrics = admin.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "cyan_environment_weight_ratio{service=\"chat\",environment=\"blue\"} 1",
        "cyan_in_flight{service=\"chat\",environment=\"green\"} 0",
        "cyan_state_durable 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
    }
    admin.controller.announce_shutdown();
    assert_eq!(admin.get("/readyz").await.status.as_u16(), 503);
    assert_eq!(admin.get("/livez").await.status.as_u16(), 200);
}
