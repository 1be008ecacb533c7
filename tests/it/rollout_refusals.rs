//! What a rollout refuses: each with its reason and a remedy, in the same words over the API and on the
//! command line, and nothing is changed by it.

use cyan::model::verdict::Verdict;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::program::Run;
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

const ROLLOUT: &str = "/v1/services/chat/rollout";
const FREEZE: &str = "/v1/services/chat/freeze";
/// Exit code of what the present state, or a rule, refuses.
const REFUSED: i32 = 5;

/// Blue is active with 90 %, red has 10 %, green has nothing; all of them answer with this status.
async fn three(status: u16) -> (Proxy, Upstream) {
    let upstream = Upstream::replying(status, "said").await;
    let of = |name| environment(name, &[&upstream]);
    let proxy = Builder::new(vec![of("blue"), of("green"), of("red")]).start();
    proxy.set_weights(&[("blue", 90.0), ("green", 0.0), ("red", 10.0)]).await;
    (proxy, upstream)
}

fn generation(proxy: &Proxy) -> u64 {
    proxy.app().controller().service("chat").unwrap().generation
}

/// A call that is refused, changing nothing: the problem.
async fn refused(proxy: &Proxy, call: (&str, &str, &str), status: u16) -> Value {
    let before = generation(proxy);
    let (method, path, body) = call;
    let (code, problem) = proxy.admin(method, path, body).await;
    assert_eq!(code, status, "{method} {path} {body}: {problem}");
    assert_eq!(problem["status"], json!(status), "{problem}");
    assert_eq!(generation(proxy), before, "{method} {path} {body} has changed something");
    problem
}

/// A command that is refused with these words, changing nothing.
async fn refused_by_command(proxy: &Proxy, line: &[&str], words: &str) {
    let before = generation(proxy);
    let run = proxy.cyan(line).await;
    let said = run.stderr.lines().find_map(|line| line.strip_prefix("error: "));
    assert!(said.is_some_and(|said| said.starts_with(words)), "{line:?}: {words}\n{run:?}");
    assert_eq!((run.code, run.stdout.as_str()), (REFUSED, ""), "{line:?}: {run:?}");
    assert_eq!(generation(proxy), before, "{line:?} has changed something");
}

/// `cyan rollout start` that agrees to everything.
async fn start(proxy: &Proxy, arguments: &[&str]) -> Run {
    proxy.cyan(&[&["rollout", "start", "--yes"], arguments].concat()).await
}

#[tokio::test]
async fn what_cannot_be_released_is_refused_in_the_same_words_everywhere() {
    let (proxy, _upstream) = three(200).await;
    for (body, flags, status, words) in [
        (
            json!({"candidate": "mauve"}),
            &["mauve"][..],
            404,
            "unknown environment `mauve`; configured: blue, green, red",
        ),
        (
            json!({"candidate": "blue"}),
            &["blue"],
            409,
            "`blue` is the active environment; switch to another one first",
        ),
        (
            json!({"candidate": "red"}),
            &["red"],
            409,
            "`red` has 10 % of the traffic; set it to 0 before it becomes the candidate",
        ),
        (
            json!({"candidate": "green", "plan": "fast"}),
            &["green", "--plan", "fast"],
            422,
            "unknown plan `fast`; configured: default",
        ),
        (
            json!({"candidate": "green", "steps": ["5%", "5%", "100%"]}),
            &["green", "--steps", "5%,5%,100%"],
            422,
            "steps: step 2 is 5 %, not above the 5 % before it; steps must rise",
        ),
        (
            json!({"candidate": "green", "steps": ["50", "25", "100"]}),
            &["green", "--steps", "50,25,100"],
            422,
            "steps: step 2 is 25 %, not above the 50 % before it; steps must rise",
        ),
        (
            json!({"candidate": "green", "steps": ["5%", "101%"]}),
            &["green", "--steps", "5%,101%"],
            422,
            "steps: `101%` is no step; write a percentage, and if need be time and requests: ",
        ),
        (
            json!({"candidate": "green", "steps": ["5% soon", "100%"]}),
            &["green", "--steps", "5% soon,100%"],
            422,
            "steps: `5% soon` is no step; write a percentage, and if need be time and requests: ",
        ),
        (
            json!({"candidate": "green", "steps": ["5%", "50%"]}),
            &["green", "--steps", "5%,50%"],
            422,
            "steps: the last step is 50 %, must be 100; to stay there, pause it",
        ),
        (
            json!({"candidate": "green", "overrides": {"limits": {"error_rate": 8.0}}}),
            &["green", "--error-rate", "800%"],
            422,
            "limits.error_rate: 8 is no share; write 0 to 1, e.g. 0.1 for every tenth",
        ),
        (
            json!({"candidate": "green", "overrides": {"bake": "soon"}}),
            &["green", "--bake", "soon"],
            422,
            "bake: `soon` is not a duration; write a number and a unit, e.g. 250ms, 5s, 2m, 1h30m, 7d",
        ),
        (
            json!({"candidate": "green", "overrides": {"judge": "me"}}),
            &["green", "--judge", "me"],
            422,
            "judge: `me` is not known; write evidence or window",
        ),
        (
            json!({"candidate": "green", "overrides": {"requests_min": 0}}),
            &["green", "--requests-min", "0"],
            422,
            "requests_min: 0 is out of range; write 1 to 100000000",
        ),
    ] {
        let problem = refused(&proxy, ("POST", ROLLOUT, &body.to_string()), status).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(words), "{body}: {detail}");
        // A dry run that agreed to what cannot be would let a job go on to no rollout at all.
        let dry = format!("{ROLLOUT}?dry_run=true");
        let problem = refused(&proxy, ("POST", &dry, &body.to_string()), status).await;
        assert_eq!(problem["detail"], detail);
        for flag in ["--yes", "--dry-run"] {
            let line = [&["rollout", "start", flag], flags].concat();
            refused_by_command(&proxy, &line, detail).await;
        }
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_field() {
    let (proxy, _upstream) = three(200).await;
    let of = |service: &str, what: &str| format!("/v1/services/{service}/{what}");
    for (method, path, body, status, words) in [
        ("POST", ROLLOUT, "{\"candidate\":", 400, "body: EOF while parsing"),
        ("POST", ROLLOUT, "[1]", 422, "body: must be a JSON object"),
        ("POST", ROLLOUT, r#"{"candidates":"green"}"#, 422, "body: unknown field `candidates`"),
        ("POST", ROLLOUT, r#"{"candidate":"GREEN "}"#, 422, "body: `GREEN ` is not a name"),
        ("POST", ROLLOUT, r#"{"steps":"5%"}"#, 422, "body: invalid type: string"),
        ("POST", ROLLOUT, r#"{"candidate":"green","generation":1}"#, 409, "generation is "),
        ("GET", &of("embed", "rollout"), "", 404, "unknown service `embed`; configured: chat"),
        ("POST", &of("embed", "rollout"), "{}", 404, "unknown service `embed`; configured: chat"),
        ("PUT", &of("embed", "freeze"), r#"{"reason":"x"}"#, 404, "unknown service `embed`"),
        ("GET", ROLLOUT, "", 404, "`chat` has had no rollout; start one with POST"),
        ("POST", &of("chat", "rollout/pause"), "{}", 409, "`chat` has no rollout; start one: "),
        ("POST", &of("chat", "rollout/stop"), "{}", 404, "no action `stop`; there are: pause, "),
        ("POST", &of("chat", "rollout/pause"), r#"{"full":true}"#, 422, "`full` is for promote"),
        (
            "POST",
            ROLLOUT,
            r#"{"candidate":"green","overrides":{"limit":{}}}"#,
            422,
            "unknown key `limit`, did you mean `limits`?",
        ),
        ("POST", ROLLOUT, r#"{"overrides":[]}"#, 422, "body: invalid type: sequence"),
        ("PUT", FREEZE, "{}", 422, "body: missing field `reason`"),
        ("PUT", FREEZE, r#"{"reason":" "}"#, 422, "reason: is empty; say why"),
        ("PUT", FREEZE, r#"{"reason":"x","until":"soon"}"#, 422, "until: `soon` is no time; "),
        (
            "PUT",
            FREEZE,
            r#"{"reason":"x","until":"2020-02-29T08:00:00Z"}"#,
            422,
            "until: 2020-02-29T08:00:00.000Z is over, it is ",
        ),
    ] {
        let problem = refused(&proxy, (method, path, body), status).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(words), "{method} {path} {body}: {detail}");
    }
    let run = start(&proxy, &["embed", "green"]).await;
    let words = "error: unknown service `embed`; configured: chat\n";
    assert_eq!((run.code, run.stderr.as_str()), (2, words), "a wrong command line");
}

#[tokio::test]
async fn one_rollout_at_a_time() {
    let (proxy, _upstream) = three(200).await;
    let run = start(&proxy, &["green"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let ramp = || proxy.app().controller().release("chat").unwrap().release.rollout.unwrap();
    eventually("green has its first step", || !ramp().planned_share().is_zero()).await;
    let words =
        "a rollout is running: green, 1 %, step 1 of 5; end it first: cyan rollback, or wait";
    for candidate in ["green", "red"] {
        let body = json!({ "candidate": candidate }).to_string();
        let problem = refused(&proxy, ("POST", ROLLOUT, &body), 409).await;
        assert_eq!(problem["detail"], words);
        let line = ["rollout", "start", candidate, "--yes"];
        refused_by_command(&proxy, &line, words).await;
    }
    let other = ("POST", "/v1/services/chat/rollout/pause", r#"{"rollout":7}"#);
    let words = "rollout 7 is not the last one, which is 1; look at the state again";
    assert_eq!(refused(&proxy, other, 409).await["detail"], words);
}

/// So many requests to blue, all of them collected.
async fn requests(proxy: &Proxy, count: u64, verdict: Verdict) {
    let mut client: Client = proxy.client().await;
    for _ in 0..count {
        in_time(client.post("/v1/chat/completions", "", "{}")).await;
    }
    let ended = || proxy.verdicts("blue", verdict) + proxy.verdicts("red", verdict);
    eventually("everything is collected", || ended() == count).await;
}

#[tokio::test]
async fn a_limit_that_the_active_environment_breaks_is_told_at_the_start() {
    let upstream = Upstream::replying(500, "no").await;
    let proxy = Proxy::between(&upstream, &upstream);
    requests(&proxy, 240, Verdict::HttpError).await;
    let words = "blue itself breaks the limit of 5 % failures: 100 % of 240 requests in ";
    let problem = refused(&proxy, ("POST", ROLLOUT, r#"{"candidate":"green"}"#), 409).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with(words), "{detail}");
    let remedy = "; raise the limit, or start with --without-broken-limits";
    assert!(detail.ends_with(remedy), "{detail}");
    refused_by_command(&proxy, &["rollout", "start", "green", "--yes"], words).await;
    let run = start(&proxy, &["green", "--without-broken-limits"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let (_, rollout) = proxy.admin("GET", ROLLOUT, "").await;
    let unarmed = rollout["unarmed"][0].as_str().unwrap();
    assert!(unarmed.starts_with("5 % failures (100 % of 240 requests"), "{rollout}");
}

#[tokio::test]
async fn steps_that_would_wait_too_long_are_told_with_an_estimate() {
    let upstream = Upstream::replying(200, "yes").await;
    let proxy = Proxy::between(&upstream, &upstream);
    requests(&proxy, 40, Verdict::Complete).await;
    let run = start(&proxy, &["green", "--steps", "5% 1s 100000000,100%"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let note = run.stdout.lines().find_map(|line| line.strip_prefix("note: the step to 5 % "));
    let note = note.unwrap_or_else(|| panic!("{run:?}"));
    assert!(note.starts_with("needs 100000000 requests, about "), "{note}");
    assert!(note.contains(" requests/s, and may wait 2 h"), "{note}");
}

#[tokio::test]
async fn a_start_may_bring_its_own_rules() {
    let (proxy, _upstream) = three(200).await;
    let rules = ["green", "--error-rate", "8%", "--bake", "1m", "--steps", "10%,50% 2m,100%"];
    let run = start(&proxy, &rules).await;
    assert_eq!(run.code, 0, "{run:?}");
    let change =
        "chat: green is released by 10%, 50% 2m, 100%, with bake 1m, limits.error_rate 0.08";
    assert_eq!(run.stderr.lines().next(), Some(change));
    let (_, shown) = proxy.admin("GET", ROLLOUT, "").await;
    assert_eq!(shown["steps"], json!(["10% 1m 200", "50% 2m 200", "100% 1m 200"]));
    let kept = proxy.app().controller().release("chat").unwrap().release.rollout.unwrap();
    let limits = (kept.plan.limits.error_rate_max, kept.judging.limits.error_rate_max);
    assert_eq!(limits, (0.08, 0.08), "the judge goes by it");
}
