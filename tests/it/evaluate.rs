//! The quality gate: real programs, a real proxy, and what becomes of what they print.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cyan::model::argv::Argv;
use cyan::model::environment::Secret;
use cyan::model::header_id::HeaderId;
use cyan::model::listener::ListenAddress;
use cyan::model::plan::quality::{EvaluationSpec, QualitySpec, ResultFormat, ScoresSpec};
use cyan::model::score::{Score, quality};
use cyan::model::service::ForceRule;
use cyan::model::verdict::Verdict;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::program::{self, Run};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::served::call;
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time, journalled};

const EVALUATE: &str = "/v1/services/chat/environments/green/evaluate";
const SECRET: &str = "a secret of thirty-two characters";

/// A gate that runs a script of the shell.
fn gate(script: &str) -> QualitySpec {
    let exec = Argv::try_from(["/bin/sh", "-c", script].map(str::to_owned).to_vec()).unwrap();
    let evaluation = EvaluationSpec {
        exec,
        timeout: Duration::from_secs(20),
        format: ResultFormat::Auto,
        result_file: None,
        cases_min: 20,
    };
    let threshold = Score::new(0.85).unwrap();
    QualitySpec { threshold, evaluation: Some(evaluation), scores: None }
}

fn with_file(script: &str, path: &std::path::Path) -> QualitySpec {
    let mut spec = gate(script);
    spec.evaluation.as_mut().unwrap().result_file = Some(path.to_owned());
    spec
}

/// A proxy between blue and green whose service has this gate.
fn proxy(blue: &Upstream, green: &Upstream, gate: QualitySpec) -> Proxy {
    let force = ForceRule {
        header: HeaderId::X_CYAN_ENVIRONMENT,
        cookie: None,
        trusted: vec![],
        secret: Some(Secret::new(SECRET)),
    };
    Builder::new(vec![environment("blue", &[blue]), environment("green", &[green])])
        .service(|service| {
            service.force = Some(force);
            service.quality = Some(Arc::new(gate));
        })
        .start()
}

async fn admin(proxy: &Proxy) -> Client {
    let ListenAddress::Tcp(address) = proxy.app().admin_address() else { panic!("it is TCP") };
    Client::connect(*address).await
}

async fn evaluate(proxy: &Proxy) -> (u16, Value) {
    call(&mut admin(proxy).await, "POST", EVALUATE, "{}").await
}

/// How a gate ended that runs this script, and what it says.
async fn outcome(gate: QualitySpec) -> (String, String) {
    let upstream = Upstream::replying(200, "ok").await;
    let (code, report) = evaluate(&proxy(&upstream, &upstream, gate)).await;
    assert_eq!(code, 200, "{report}");
    let text = |field: &str| report[field].as_str().unwrap().to_owned();
    (text("outcome"), text("explanation"))
}

#[tokio::test]
async fn an_evaluation_reaches_the_candidate_and_stays_out_of_the_evidence() {
    let (blue, green) =
        (Upstream::replying(200, "blue").await, Upstream::replying(200, "green").await);
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("told");
    let script = format!("env > {}; echo '{{\"score\": 0.91, \"n\": 40}}'", told.display());
    let proxy = proxy(&blue, &green, gate(&script));
    let mut events = proxy.app().controller().events();
    let (code, report) = evaluate(&proxy).await;
    assert_eq!(code, 200, "{report}");
    assert_eq!(report["explanation"], "0.91 over 40 cases, 0.85 needed");
    assert_eq!((&report["outcome"], &report["threshold"]), (&json!("passed"), &json!(0.85)));
    assert_eq!(report["evaluation"]["result"]["score"], 0.91);
    let event = in_time(events.recv()).await.unwrap();
    let event =
        if event.kind == "evaluated" { event } else { in_time(events.recv()).await.unwrap() };
    assert_eq!(event.text, "green: quality: 0.91 over 40 cases, 0.85 needed");
    let entry = journalled(proxy.app().controller(), "evaluated").await;
    assert_eq!(
        (entry.actor.as_str(), &entry.text, &entry.details),
        ("api", &event.text, &event.details)
    );

    let told = std::fs::read_to_string(told).unwrap();
    let told = |name: &str| {
        let found = told.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("{name} is not in {told}")).to_owned()
    };
    assert_eq!((told("CYAN_SERVICE"), told("CYAN_ENVIRONMENT")), ("chat".into(), "green".into()));
    assert_eq!((told("CYAN_ROLLOUT"), told("CYAN_VERSION")), (String::new(), String::new()));
    assert_eq!(told("CYAN_BASE_URL"), format!("http://{}", proxy.address));
    // What it was told leads to green, which has no traffic, and leaves no mark in the cohorts.
    let named = format!("{}: {}\r\n", told("CYAN_FORCE_HEADER"), told("CYAN_FORCE_VALUE"));
    for _ in 0..3 {
        let answer = proxy.client().await.post("/v1/chat/completions", &named, "{}").await;
        assert_eq!(answer.text(), "green");
    }
    assert_eq!(proxy.client().await.get("/", "").await.text(), "blue");
    eventually("green is counted", || proxy.verdicts("green", Verdict::Complete) == 3).await;
    eventually("blue is counted", || proxy.verdicts("blue", Verdict::Complete) == 1).await;
    for (name, began) in [("green", 0), ("blue", 1)] {
        let path = format!("/v1/services/chat/environments/{name}/cohorts?seconds=60");
        let (_, cohorts) = call(&mut admin(&proxy).await, "GET", &path, "").await;
        let cohorts = cohorts["cohorts"].as_array().unwrap();
        let sum: u64 = cohorts.iter().map(|cohort| cohort["began"].as_u64().unwrap()).sum();
        assert_eq!(sum, began, "{name}");
    }
}

#[tokio::test]
async fn what_a_program_leaves_is_judged() {
    let junit = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evaluations/junit.xml");
    let pytest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evaluations/pytest-report.json");
    for (script, expected, explanation) in [
        (
            "echo '{\"score\": 0.6, \"n\": 40}'".to_owned(),
            "too_low",
            "0.60 over 40 cases, 0.85 needed",
        ),
        (
            "echo '{\"score\": 0.9}'".to_owned(),
            "too_few",
            "0.90 over 1 case, at least 20 cases needed",
        ),
        (
            format!("cat {junit}; exit 1"),
            "too_few",
            "0.80, 8 of 10 cases passed, at least 20 cases needed",
        ),
        (
            format!("cat {pytest}; exit 1"),
            "too_few",
            "0.80, 8 of 10 cases passed, at least 20 cases needed",
        ),
        (
            "echo Traceback; echo 'no such model' >&2; exit 1".to_owned(),
            "no_result",
            "the evaluation has no result: `/bin/sh` ended with exit code 1: no such model; the result is neither JSON nor JUnit XML: `Traceback`",
        ),
        (
            "echo '{\"score\": 0.9, \"n\": 40}'; exit 3".to_owned(),
            "no_result",
            "the evaluation has no result: `/bin/sh` ended with exit code 3",
        ),
        (
            format!("cat {junit}; exit 2"),
            "no_result",
            "the evaluation has no result: `/bin/sh` ended with exit code 2",
        ),
        (
            "echo 0.9".to_owned(),
            "no_result",
            "the evaluation has no result: the result is neither JSON nor JUnit XML: `0.9`",
        ),
        (
            "true".to_owned(),
            "no_result",
            "the evaluation has no result: the result is empty; print {\"score\": 0.87}, or name the file that holds it",
        ),
        (
            "kill -9 $$".to_owned(),
            "no_result",
            "the evaluation has no result: `/bin/sh` ended with signal 9; the result is empty; print {\"score\": 0.87}, or name the file that holds it",
        ),
    ] {
        let found = outcome(gate(&script)).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (expected, explanation), "{script}");
    }
}

#[tokio::test]
async fn a_result_file_must_be_written_by_this_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    let write = "echo '{\"score\": 0.9, \"n\": 40}' > \"$CYAN_RESULT_FILE\"";
    let not_there = outcome(with_file("true", &path)).await;
    assert!(
        not_there.1.ends_with(
            "cannot be read: No such file or directory (os error 2); the program has to write it"
        ),
        "{not_there:?}"
    );
    assert_eq!(outcome(with_file(write, &path)).await.0, "passed");
    let stale = outcome(with_file("true", &path)).await;
    assert!(stale.1.ends_with("is as old as before; the program has not written it"), "{stale:?}");
    assert_eq!(outcome(with_file(&format!("{write}; echo noise"), &path)).await.0, "passed");
    let folder = outcome(with_file("true", dir.path())).await;
    assert!(folder.1.ends_with("is no plain file; let the program write one"), "{folder:?}");
}

#[tokio::test]
async fn a_program_that_hangs_or_floods_is_ended() {
    let mut hangs = gate("echo still loading >&2; sleep 1000");
    hangs.evaluation.as_mut().unwrap().timeout = Duration::from_millis(300);
    let began = Instant::now();
    let (outcome_, words) = outcome(hangs).await;
    assert_eq!(outcome_, "no_result");
    assert_eq!(
        words,
        "the evaluation has no result: `/bin/sh` was killed after 0.3 s: still loading"
    );
    assert!(began.elapsed() < Duration::from_secs(15));
    let (_, words) = outcome(gate("head -c 40000000 /dev/zero")).await;
    assert!(words.ends_with("it printed more than 32 MiB; print only the result"), "{words}");
}

#[tokio::test]
async fn one_evaluation_of_a_service_runs_at_a_time() {
    let upstream = Upstream::replying(200, "ok").await;
    let dir = tempfile::tempdir().unwrap();
    let (begun, end) = (dir.path().join("begun"), dir.path().join("end"));
    let script = format!(
        "touch {}; until [ -e {} ]; do sleep 0.02; done; echo '{{\"score\": 1, \"n\": 40}}'",
        begun.display(),
        end.display()
    );
    let proxy = proxy(&upstream, &upstream, gate(&script));
    let mut first = admin(&proxy).await;
    let length = "{}".len();
    first
        .send(format!(
            "POST {EVALUATE} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n\r\n{{}}"
        ))
        .await;
    eventually("the first one runs", || begun.exists()).await;
    let (code, problem) = evaluate(&proxy).await;
    assert_eq!(code, 409);
    assert_eq!(
        problem["detail"],
        "service `chat` is being evaluated already; wait for its end; `cyan events` tells of it"
    );
    // Whoever asked may leave; it goes on and its place is given back.
    drop(first);
    let mut events = proxy.app().controller().events();
    std::fs::write(&end, "").unwrap();
    let ended = async { while events.recv().await.unwrap().kind != "evaluated" {} };
    in_time(ended).await;
    assert_eq!(evaluate(&proxy).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_refused() {
    let upstream = Upstream::replying(200, "ok").await;
    let without = Proxy::between(&upstream, &upstream);
    let (code, problem) = evaluate(&without).await;
    assert_eq!(
        (code, problem["detail"].as_str()),
        (
            409,
            Some(
                "service `chat` has no quality gate; write [service.chat.rollout.quality] into the config"
            )
        )
    );
    let proxy = proxy(&upstream, &upstream, gate("true"));
    for (path, detail) in [
        (
            "/v1/services/chat/environments/red/evaluate",
            "unknown environment `red`; configured: blue, green",
        ),
        (
            "/v1/services/embed/environments/green/evaluate",
            "unknown service `embed`; configured: chat",
        ),
    ] {
        let (code, problem) = call(&mut admin(&proxy).await, "POST", path, "{}").await;
        assert_eq!((code, problem["detail"].as_str()), (404, Some(detail)));
    }
}

#[tokio::test]
async fn requests_that_may_not_name_an_environment_are_not_sent_to_the_wrong_one() {
    let upstream = Upstream::replying(200, "ok").await;
    let force = |trusted: &str| ForceRule {
        header: HeaderId::X_CYAN_ENVIRONMENT,
        cookie: None,
        trusted: vec![trusted.parse().unwrap()],
        secret: None,
    };
    for (trusted, outcome, words) in [
        (
            "10.0.0.0/8",
            "no_result",
            "the evaluation has no result: its requests come from 127.0.0.1 and may not name an environment; add that to force.trusted, or write force.secret",
        ),
        ("127.0.0.0/8", "passed", "0.90 over 20 cases, 0.85 needed"),
    ] {
        let script = "test \"$CYAN_FORCE_VALUE\" = green && echo '{\"score\": 0.9, \"n\": 20}'";
        let environments =
            vec![environment("blue", &[&upstream]), environment("green", &[&upstream])];
        let proxy = Builder::new(environments)
            .service(|service| {
                service.force = Some(force(trusted));
                service.quality = Some(Arc::new(gate(script)));
            })
            .start();
        let (_, report) = evaluate(&proxy).await;
        assert_eq!((&report["outcome"], &report["explanation"]), (&json!(outcome), &json!(words)));
    }
}

/// `cyan` with this command line, at the admin API of a proxy.
async fn cyan(proxy: &Proxy, arguments: &[&str]) -> Run {
    let ListenAddress::Tcp(address) = proxy.app().admin_address() else { panic!("it is TCP") };
    let url = format!("http://{address}");
    program::cyan(&[arguments, &["--admin", &url]].concat()).await
}

#[tokio::test]
async fn the_command_line_says_by_its_exit_code_how_a_gate_ended() {
    let upstream = Upstream::replying(200, "ok").await;
    for (script, code, stdout, stderr) in [
        (
            "echo '{\"score\": 0.9, \"n\": 40}'",
            0,
            "green passed: 0.90 over 40 cases, 0.85 needed; it took ",
            "",
        ),
        (
            "echo '{\"score\": 0.6, \"n\": 40}'",
            10,
            "",
            "error: green has not passed: 0.60 over 40 cases, 0.85 needed; it took ",
        ),
        (
            "echo '{\"score\": 0.9}'",
            11,
            "",
            "error: green has not passed: 0.90 over 1 case, at least 20 cases needed; it took ",
        ),
        ("echo oh no", 1, "", "error: green has not passed: the evaluation has no result: "),
    ] {
        let proxy = proxy(&upstream, &upstream, gate(script));
        let run = cyan(&proxy, &["evaluate", "green"]).await;
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stdout.starts_with(stdout) && run.stderr.starts_with(stderr), "{run:?}");
        let run = cyan(&proxy, &["evaluate", "chat", "green", "--json"]).await;
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &report["environment"]), (code, &json!("green")));
    }
}

#[tokio::test]
async fn results_are_sent_from_the_command_line_and_pass_the_gate_of_scores() {
    let upstream = Upstream::replying(200, "ok").await;
    let asked = ScoresSpec { name: quality(), count_min: 40 };
    let threshold = Score::new(0.85).unwrap();
    let spec = QualitySpec { threshold, evaluation: None, scores: Some(asked) };
    let proxy = proxy(&upstream, &upstream, spec);
    let mut scored = proxy.app().controller().scored();
    let junit = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evaluations/junit.xml");
    let run = cyan(&proxy, &["score", "--from", junit, "--environment", "green"]).await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "green: 0.80 over 10 cases was counted\n"),
        "{run:?}"
    );
    let first = scored.try_recv().unwrap();
    assert_eq!((first.score, first.count, first.is_evaluation), (Score::ONE, 8, true));
    let second = scored.try_recv().unwrap();
    assert_eq!((second.score, second.count), (Score::ZERO, 2));
    let report = evaluate(&proxy).await.1;
    assert_eq!(
        report["explanation"],
        "0.80 over 10 scores within the last hour, at least 40 needed"
    );

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("eval_result.json");
    std::fs::write(&file, r#"{"score": 0.9, "n": 90}"#).unwrap();
    let file = file.to_str().unwrap();
    let dry = cyan(&proxy, &["score", "--from", file, "--environment", "green", "--dry-run"]).await;
    assert_eq!(
        (dry.code, dry.stdout.as_str()),
        (0, "green: 0.90 over 90 cases would be counted\n")
    );
    let run = cyan(&proxy, &["score", "--from", file, "--environment", "green", "--json"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, "{\"schema\":1,\"counted\":90}\n"));
    let report = evaluate(&proxy).await.1;
    assert_eq!(report["explanation"], "0.89 over 100 scores of the last hour, 0.85 needed");
    assert_eq!(report["scores"], json!({"name":"quality","count":100,"count_min":40,"mean":0.89}));
}

#[tokio::test]
async fn wrong_scores_on_the_command_line_say_what_to_do() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = proxy(&upstream, &upstream, gate("true"));
    let id = "chat.green.0.00f3a1c2d4e5f607";
    let run = cyan(&proxy, &["score", "--value", "0.9", "--exchange", id]).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, "that answer: 0.90 was counted\n"), "{run:?}");
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage");
    std::fs::write(&garbage, "Traceback (most recent call last):").unwrap();
    let garbage = garbage.to_str().unwrap();
    for (arguments, code, words) in [
        (
            &["--value", "1.2", "--environment", "green"][..],
            2,
            "error: 1.2 is no score; send a number from 0 to 1, higher is better",
        ),
        (&["--value", "-1", "--environment", "green"], 2, "error: -1 is no score"),
        (
            &["--value", "1", "--environment", "red"],
            5,
            "error: unknown environment `red` of service `chat`; configured: blue, green",
        ),
        (&["--value", "1", "--exchange", "green"], 5, "error: `green` is no id of an exchange"),
        (&["--value", "1"], 2, "error: the following required arguments were not provided"),
        (
            &["--from", garbage, "--exchange", id],
            2,
            "error: the argument '--from <FILE>' cannot be used with '--exchange <ID>'",
        ),
        (
            &["--from", "/no/such/file", "--environment", "green"],
            2,
            "error: cannot read /no/such/file: No such file",
        ),
        (
            &["--from", garbage, "--environment", "green"],
            3,
            &format!("error: {garbage}: the result is neither JSON nor JUnit XML: `Traceback"),
        ),
    ] {
        let run = cyan(&proxy, &[&["score"], arguments].concat()).await;
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.stderr.starts_with(words), "{arguments:?}: {run:?}");
    }
}
