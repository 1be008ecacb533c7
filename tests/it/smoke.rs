//! Smoke tests against real servers: what they send, what passes, what is said of what does not.

use std::time::Duration;

use cyan::demo::mock_llm::{Faults, Health, MockLlm, MockOptions};
use serde_json::{Value, json};

use crate::support::admin::TestAdmin;
use crate::support::program::cyan_at;
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time, journalled};

const SMOKE: &str = "/v1/services/chat/environments/green/smoke";

/// A service `chat` whose green environment has these upstreams and keys.
fn chat(upstreams: &[String], green: &str, rollout: &str) -> String {
    format!(
        "[service.chat.environment.blue]\nupstreams = 'http://127.0.0.1:1'\nweight = 100\n\
         [service.chat.environment.green]\nupstreams = {upstreams:?}\nversion = 'v42'\n{green}\n\
         {rollout}"
    )
}

fn mock(faults: Faults) -> MockLlm {
    MockLlm::start(MockOptions { faults, ..MockOptions::named("green").instant() }).unwrap()
}

/// What was said of each check, as `check upstream-number passed saw`.
fn results(report: &Value) -> Vec<(&str, bool, &str)> {
    let results = report["results"].as_array().unwrap().iter();
    let text = |value: &'_ Value| value.as_str().unwrap().to_owned().leak() as &str;
    results.map(|r| (text(&r["check"]), r["passed"].as_bool().unwrap(), text(&r["saw"]))).collect()
}

const ALL_KINDS: &str = "
[service.chat.rollout.smoke.health]
path = '/health'
timeout = '10s'
[service.chat.rollout.smoke.model]
path = '/v1/models'
timeout = '10s'
expect.json = ['/object = list', '/data/0/id = mock-llm']
expect.headers = 'content-type: ^application/json'
[service.chat.rollout.smoke.short]
path = '/v1/chat/completions'
timeout = '10s'
body = '{\"model\":\"m\",\"max_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}'
expect = { text = '\"role\":\"assistant\"', tokens_min = 4, finish_reason = 'length', total_max = '10s' }
[service.chat.rollout.probes]
apis = ['chat', 'completions', 'responses', 'messages']
model = 'm'
tokens = 4
";

#[tokio::test]
async fn every_check_passes_on_every_upstream_of_a_healthy_environment() {
    let (one, two) = (mock(Faults::default()), mock(Faults::default()));
    let admin = TestAdmin::configured(&chat(&[one.url(), two.url()], "", ALL_KINDS)).await;
    let report = admin.post(SMOKE, "").await.json();
    assert_eq!(report["passed"], json!(true), "{report:#}");
    let explanation = report["explanation"].as_str().unwrap();
    assert!(explanation.starts_with("smoke: 14 of 14 passed, 7 checks on 2 upstreams in "));
    assert_eq!((&report["version"], &report["environment"]), (&json!("v42"), &json!("green")));
    let probe = &report["results"][6];
    assert_eq!((&probe["check"], &probe["kind"]), (&json!("chat"), &json!("probe")));
    assert_eq!((&probe["tokens"], &probe["finish_reason"]), (&json!(4), &json!("length")));
    assert_eq!(probe["upstream"], json!(one.url()));
    assert_eq!(report["results"][7]["upstream"], json!(two.url()));

    let run = cyan_at(&admin, "smoke green --quiet").await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 15);
    assert!(run.stdout.starts_with(&format!("pass  health       request  {}  200", one.url())));
}

#[tokio::test]
async fn one_bad_upstream_fails_the_environment_and_is_named() {
    let good = mock(Faults::default());
    let loading = mock(Faults { health: Health::Loading, ..Faults::default() });
    let rollout =
        "rollout.smoke.health.path = '/health'".replace("rollout", "service.chat.rollout");
    let text = rollout + "\n" + &chat(&[good.url(), loading.url()], "", "");
    let admin = TestAdmin::configured(&text).await;
    let run = cyan_at(&admin, "smoke chat green --quiet").await;
    let saw = "503 \"Loading model\", expected 2xx";
    assert!(run.stdout.contains(&format!("FAIL  health  request  {}  {saw}\n", loading.url())));
    assert!(run.stdout.contains("\nsmoke: 1 of 2 failed, 1 check on 2 upstreams in "), "{run:?}");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (10, "error: green did not pass its smoke tests\n")
    );
    let json = cyan_at(&admin, "smoke green --json").await;
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &report["passed"]), (10, &json!(false)));
    assert_eq!(report["results"][1]["status"], json!(503));
}

#[tokio::test]
async fn probes_see_what_a_status_does_not_show() {
    for (faults, saw) in [
        (Faults { error_first: 1.0, ..Faults::default() }, "an error inside a 2xx"),
        (Faults { error_midway: 1.0, ..Faults::default() }, "an error inside a 2xx"),
        (Faults { truncate: 1.0, ..Faults::default() }, "the answer ended without its end"),
        (Faults { cut: 1.0, ..Faults::default() }, "the answer broke off: "),
        (Faults { empty: 1.0, ..Faults::default() }, "the answer has no content"),
        (Faults { no_answer: 1.0, ..Faults::default() }, "broken answer: "),
        (Faults { stall: 1.0, ..Faults::default() }, "not whole within 500ms"),
    ] {
        let green = mock(faults.clone());
        let timeout = if faults.stall > 0.0 { "500ms" } else { "10s" };
        let probes =
            format!("[service.chat.rollout.probes]\napis = ['chat']\ntimeout = '{timeout}'");
        let admin = TestAdmin::configured(&chat(&[green.url()], "", &probes)).await;
        let report = in_time(admin.post(SMOKE, "")).await.json();
        let (_, passed, said) = results(&report)[0];
        assert!(!passed && said.starts_with(saw), "{faults:?}: {said}");
    }
}

#[tokio::test]
async fn an_upstream_is_spoken_to_as_for_users() {
    let upstream = Upstream::scripted(|mut visit| async move {
        while let Some(head) = visit.request().await {
            // A server that repeats in its errors what it was sent.
            let body = head.replace("\r\n", " ");
            let length = body.len();
            visit.send(format!("HTTP/1.1 401 No\r\ncontent-length: {length}\r\n\r\n{body}")).await;
        }
    })
    .await;
    let green = "host = 'llm.test'\npath_prefix = '/prod'\nmodel = 'green-v2'\n\
                 credentials = 'sk-of-the-environment'\nremove_headers = 'x-internal'";
    let rollout = "[service.chat.rollout.smoke.ask]\npath = '/v1/x?a=b'\nmethod = 'PUT'\n\
                   body = '{\"model\":\"m\",\"n\":1}'\n\
                   headers = { x-own = 'sk-of-the-check', x-internal = 'seen by nobody' }";
    let admin = TestAdmin::configured(&chat(&[upstream.url()], green, rollout)).await;
    let answer = admin.post(SMOKE, "").await;
    let head = upstream.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("put /prod/v1/x?a=b http/1.1\r\n"), "{head}");
    for line in [
        "host: llm.test",
        "authorization: bearer sk-of-the-environment",
        "x-own: sk-of-the-check",
        "x-deployment: green",
        "content-type: application/json",
        "accept-encoding: identity",
        "x-request-id: smoke-",
    ] {
        assert!(head.contains(&format!("\r\n{line}")), "{line}: {head}");
    }
    assert!(!head.contains("x-internal"), "{head}");
    assert_eq!(upstream.bodies()[0], br#"{"model":"green-v2","n":1}"#);
    let report = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(report.contains("401 ") && !report.contains("sk-of"), "{report}");
}

#[tokio::test]
async fn a_program_or_a_web_service_may_decide() {
    let green = mock(Faults::default());
    let judge = Upstream::replying(422, "too slow for us").await;
    let script = "echo \"$CYAN_SERVICE $CYAN_ENVIRONMENT $CYAN_VERSION $CYAN_BASE_URL\"; \
                  test -z \"$CARGO\" || exit 9";
    let rollout = format!(
        "[service.chat.rollout.smoke_hooks.own]\nexec = ['/bin/sh', '-c', '''{script}''']\n\
         [service.chat.rollout.smoke_hooks.bad]\nexec = ['/bin/sh', '-c', 'echo no >&2; exit 3']\n\
         [service.chat.rollout.smoke_hooks.late]\nexec = ['/bin/sleep', '60']\ntimeout = '100ms'\n\
         [service.chat.rollout.smoke_hooks.web]\nurl = '{}/secret-path'\n",
        judge.url()
    );
    let admin = TestAdmin::configured(&chat(&[green.url()], "path_prefix = '/p'", &rollout)).await;
    let report = in_time(admin.post(SMOKE, "")).await.json();
    let own = format!("exit code 0: chat green v42 {}/p", green.url());
    let expected = [
        ("own", true, own.as_str()),
        ("bad", false, "exit code 3: no"),
        ("late", false, "`/bin/sleep` was killed after 0.1 s"),
        ("web", false, "422 \"too slow for us\""),
    ];
    assert_eq!(results(&report), expected);
    let told: Value = serde_json::from_slice(&judge.bodies()[0]).unwrap();
    assert_eq!(
        told,
        json!({"base_url": format!("{}/p", green.url()), "service": "chat", "environment": "green",
               "rollout": null, "version": "v42"})
    );
    assert!(!report.to_string().contains("secret-path"));
}

#[tokio::test]
async fn an_environment_is_tested_by_one_at_a_time_and_a_caller_that_leaves_ends_it() {
    let silent = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.until_closed().await;
    })
    .await;
    let rollout = "[service.chat.rollout.smoke.health]\npath = '/health'\ntimeout = '1h'";
    let admin = TestAdmin::configured(&chat(&[silent.url()], "", rollout)).await;
    let controller = admin.controller.clone();
    let (chat, green) = (name("chat"), name("green"));
    let first = tokio::spawn(async move { controller.smoke(&chat, &green, somebody()).await });
    eventually("the first run asks", || !silent.heads().is_empty()).await;
    let second = admin.post(SMOKE, "").await;
    assert_eq!(second.status.as_u16(), 409);
    let detail = "the smoke tests of `green` are being run already; wait for their end";
    assert_eq!(second.json()["detail"], json!(detail));
    first.abort();
    eventually("the connection is closed", || silent.closed() == 1).await;
    let controller = admin.controller.clone();
    let third =
        tokio::spawn(
            async move { controller.smoke(&name("chat"), &name("green"), somebody()).await },
        );
    eventually("another run asks", || silent.heads().len() == 2).await;
    third.abort();
}

#[tokio::test]
async fn what_cannot_be_tested_says_so() {
    let admin = TestAdmin::configured(&chat(&[], "", ALL_KINDS)).await;
    let report = admin.post(SMOKE, "").await.json();
    let said = (&report["passed"], &report["explanation"]);
    assert_eq!(said, (&json!(false), &json!("smoke: green has no upstream to be tested")));
    let unknown = admin.post("/v1/services/chat/environments/red/smoke", "").await;
    assert_eq!(unknown.status.as_u16(), 404);

    let admin = TestAdmin::configured(&chat(&[], "", "")).await;
    let run = cyan_at(&admin, "smoke green").await;
    assert_eq!((run.code, run.stdout.as_str()), (0, "smoke: no checks are configured\n"));
    assert!(run.stderr.starts_with("hint: write [service.chat.rollout.smoke.NAME]"), "{run:?}");
}

#[tokio::test]
async fn a_run_is_told_as_an_event() {
    let refused = MockLlm::start(MockOptions::named("gone")).unwrap();
    let url = refused.url();
    drop(refused);
    let rollout = "[service.chat.rollout.smoke.health]\npath = '/health'";
    let admin = TestAdmin::configured(&chat(&[url], "", rollout)).await;
    let mut events = admin.controller.events();
    admin.post(SMOKE, r#"{"reason":"looks slow"}"#).await;
    let event = loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
        let event = event.expect("an event in time").unwrap();
        if event.kind.starts_with("smoke") {
            break event;
        }
    };
    assert_eq!(event.kind, "smoke_failed");
    assert_eq!(event.details["failed"][0]["saw"], json!("connection refused"));
    let entry = journalled(&admin.controller, "smoke_failed").await;
    assert_eq!((entry.actor.as_str(), entry.reason.as_deref()), ("api", Some("looks slow")));
    assert_eq!((&entry.text, &entry.details), (&event.text, &event.details));
}

fn somebody() -> cyan::control_plane::journal::Asker {
    cyan::control_plane::journal::Asker { actor: "test".into(), reason: None }
}

fn name(text: &str) -> cyan::model::name::Name {
    cyan::model::name::Name::new(text).unwrap()
}
