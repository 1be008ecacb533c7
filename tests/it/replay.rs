//! `cyan replay`: a recorded rollout is judged again, and what is wrong with a record is named with its
//! line.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cyan::judge::record::{
    Arrivals, Both, ErrorAge, ErrorCounts, ErrorReading, Hit, HitKind, LimitReading, Measure,
    Quantile, Record, Score, Side, SlowCounts, SlowReading, Start, TickRecord,
};
use serde_json::Value;

use crate::support::client::Client;
use crate::support::program::{command, cyan};
use crate::support::served::{Served, call, write_config};
use crate::support::upstream::{Upstream, Visit};

const RECORD: &str = "examples/replay/total-failure.jsonl";
const PAGE: &str = include_str!("../../docs/reference/replay.md");

/// A record with these lines.
fn file(lines: &[&str]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    lines.iter().for_each(|line| writeln!(file, "{line}").unwrap());
    file
}

#[tokio::test]
async fn a_total_failure_is_rolled_back_as_the_page_shows() {
    let run = cyan(&["replay", RECORD]).await;
    assert_eq!(run.code, 10, "{run:?}");
    let shown = format!("\n$ cyan replay {RECORD}\n{}```\n", run.stdout);
    assert!(PAGE.contains(&shown), "the page shows something else than\n{shown}");
}

#[tokio::test]
async fn json_has_an_object_per_decision_and_one_at_the_end() {
    let input = File::open(RECORD).unwrap();
    let output = command(&["replay", "-", "--json"]).stdin(input).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [waits, holds, rolls_back, end] = objects.as_slice() else { panic!("{text}") };
    assert_eq!((&waits["decision"], &waits["why"]), (&"wait".into(), &"baking".into()));
    assert_eq!((&holds["tick"], &holds["decision"]), (&31.into(), &"hold".into()));
    assert_eq!((&rolls_back["tick"], &rolls_back["decision"]), (&34.into(), &"roll_back".into()));
    assert_eq!(rolls_back["why"]["metric"], "error_limit");
    let adds = rolls_back["parts"].as_array().unwrap().iter();
    let sum: f64 = adds.map(|part| part["adds"].as_f64().unwrap()).sum();
    assert!((sum / rolls_back["evidence"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    assert_eq!((&end["type"], &end["rolled_back_at_s"]), (&"end".into(), &8.5.into()));
    let keys = objects.iter().flat_map(keys).collect();
    assert_described(&keys);
}

#[tokio::test]
async fn other_rules_decide_otherwise() {
    let rules = file(&["[levels]", "roll_back = 1e6"]);
    let rules = rules.path().to_str().unwrap();
    for (flags, code, said) in [
        (
            vec!["--settings", rules],
            11,
            "not rolled back; at the end: hold evidence on error limit",
        ),
        (
            vec!["--settings", rules, "--set", "levels.notice=1e5"],
            0,
            "at the end: wait for its bake",
        ),
        (vec!["--judge", "window", "--set", "window.check_interval_s=5"], 0, "not rolled back"),
        (
            vec!["--judge=window", "--set=window.check_interval_s=7", "--set=window.samples_min=1"],
            10,
            "rolled back at 0:00:07",
        ),
        (vec!["--judge", "window"], 0, "too short for a check of the window judge"),
    ] {
        let run = cyan(&[&["replay", RECORD], flags.as_slice()].concat()).await;
        assert_eq!(run.code, code, "{flags:?}: {run:?}");
        assert!(run.stdout.contains(said), "{flags:?}: {}", run.stdout);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_line() {
    let change = r#"{"record":"change","at":0,"share":0.1,"planned":true}"#;
    let tick = r#"{"record":"tick","now":4}"#;
    let overlap = r#"{"record":"tick","now":8,"arrivals":[{"from":5,"until":9,"n":{"active":1,"candidate":0}}]}"#;
    let rules = r#"{"record":"start","settings":{"limits":{"error_rate_max":5}}}"#;
    for (lines, expected) in [
        (vec![change, tick, tick], ":3: tick 4 comes after tick 5; records stand in the order of"),
        (vec![change, overlap], ":2: `arrivals`: ticks 5 to 9 are not in the past; "),
        (vec![tick], ":1: the rollout has no share yet; a `change` must come first"),
        (vec!["", r#"{"record":"pause"}"#], ":2: unknown variant `pause`, expected one of "),
        (vec![rules, change], ":1: settings: `limits.error_rate_max` is 5; write a share above 0"),
        (vec![change], ": nothing to judge, it has no `tick`"),
    ] {
        let file = file(&lines);
        let run = cyan(&["replay", file.path().to_str().unwrap()]).await;
        let expected = format!("error: {}{expected}", file.path().display());
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.starts_with(&expected), "{expected}\n{}", run.stderr);
        assert!(
            run.stderr
                .ends_with("hint: docs/reference/replay.md describes every record and field\n")
        );
    }
    let run = cyan(&["replay", "no-such-record.jsonl"]).await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.starts_with("error: cannot read no-such-record.jsonl: "), "{run:?}");
}

/// Clients who ask for ever, each again and again as another user.
fn users(address: std::net::SocketAddr) -> tokio::task::JoinSet<()> {
    let mut users = tokio::task::JoinSet::new();
    for number in 0..4_u64 {
        users.spawn(async move {
            let mut client = Client::connect(address).await;
            let mut random = fastrand::Rng::with_seed(number);
            loop {
                client.get("/", &format!("x-user-id: user-{}\r\n", random.u64(0..400))).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        });
    }
    users
}

/// An upstream that answers until it is told to fail.
async fn failing(fails: Arc<AtomicBool>) -> Upstream {
    Upstream::scripted(move |visit| answer(visit, Arc::clone(&fails))).await
}

async fn answer(mut visit: Visit, fails: Arc<AtomicBool>) {
    while visit.request().await.is_some() {
        let answer = if fails.load(Ordering::SeqCst) {
            "HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno"
        } else {
            "HTTP/1.1 200 Yes\r\ncontent-length: 5\r\n\r\nhello"
        };
        visit.send(answer).await;
    }
}

/// Asks for the rollout until it is as wanted.
async fn rollout_until(cyan: &Served, is_so: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let rollout = cyan.ask("/v1/services/chat/rollout").await;
            if is_so(&rollout) {
                return rollout;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("not within 30 s")
}

/// Waits until the judge's first records are on the disk.
async fn until_kept(cyan: &Served) {
    let path = "/v1/services/chat/rollouts";
    let waiting = async {
        while cyan.ask(path).await["rollouts"][0]["has_records"] != true {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("not within 30 s");
}

/// A rollout is killed in the middle (`kill -9`) and goes on after a restart; then green fails, and all goes
/// back. What Cyan kept of it, judged again, decides the same at the same tick, whether Cyan is asked or
/// its state is read when it is gone.
#[tokio::test]
async fn a_kept_rollout_decides_again_what_it_decided_live() {
    let fails = Arc::new(AtomicBool::new(false));
    let (blue, green) = (Upstream::replying(200, "hello").await, failing(Arc::clone(&fails)).await);
    let dir = tempfile::tempdir().unwrap();
    let [to_blue, to_green] = [&blue, &green].map(|upstream| upstream.address);
    write_config(dir.path(), to_blue, to_green);
    let cyan = Served::start(dir.path()).await;
    let clients = users(cyan.address);
    let start = r#"{"candidate":"green","steps":["50% 10m","100%"]}"#;
    let mut admin = Client::connect(cyan.admin).await;
    let (code, answer) = call(&mut admin, "POST", "/v1/services/chat/rollout", start).await;
    assert_eq!(code, 200, "{answer}");
    until_kept(&cyan).await;
    drop(clients);
    cyan.kill().await;

    let cyan = Served::start(dir.path()).await;
    let _clients = users(cyan.address);
    fails.store(true, Ordering::SeqCst);
    let rollout = rollout_until(&cyan, |rollout| rollout["stage"] == "rolled_back").await;
    let live = rollout["cause"]["details"]["decided_tick"].clone();
    assert!(live.as_u64() > Some(10), "it went on where it was: {rollout}");

    let at = format!("http://{}", cyan.admin);
    until_the_end_is_kept(&at).await;
    let asked = replayed(&["--rollout", "1", "--admin", &at], &live).await;
    let list = cyan_list(&at).await;
    assert_eq!((&list["id"], &list["end"]), (&1.into(), &"rolled_back".into()), "{list}");
    assert_eq!(list["cause"]["code"], rollout["cause"]["code"]);
    assert!(list["ended"].as_str() > list["started"].as_str(), "{list}");
    let unknown = self::cyan(&["replay", "--rollout", "2", "--admin", &at]).await;
    assert_eq!(unknown.code, 5, "{unknown:?}");
    assert!(unknown.stderr.starts_with("error: `chat` has no rollout 2 that is remembered\n"));
    cyan.kill().await;
    let state = dir.path().join("state");
    let state = state.to_str().unwrap();
    let read = replayed(&["--rollout", "1", "--state-dir", state], &live).await;
    assert_eq!(asked, read);
    let unknown = self::cyan(&["replay", "--rollout", "2", "--state-dir", state]).await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
}

/// A rollback is first done and then written down, with the judge's last records.
async fn until_the_end_is_kept(at: &str) {
    let waiting = async {
        while cyan(&["replay", "--rollout", "1", "--admin", at]).await.code != 10 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("not within 30 s");
}

/// What a replay says; the rollback stands at the tick at which it was decided live.
async fn replayed(arguments: &[&str], live: &Value) -> String {
    let run = cyan(&[&["replay", "--json"], arguments].concat()).await;
    assert_eq!(run.code, 10, "{run:?}");
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let objects: Vec<Value> = objects.collect();
    let back = objects.iter().find(|object| object["decision"] == "roll_back");
    let back = back.unwrap_or_else(|| panic!("{objects:?}"));
    assert_eq!(&back["tick"], live, "{objects:?}");
    run.stdout
}

/// The only rollout in the list.
async fn cyan_list(at: &str) -> Value {
    let run = cyan(&["rollout", "list", "--json", "--admin", at]).await;
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(list["rollouts"].as_array().map(Vec::len), Some(1), "{list}");
    list["rollouts"][0].clone()
}

#[test]
fn the_page_describes_every_field_of_a_record() {
    let both = |n| Both { active: n, candidate: n };
    let hits = vec![Hit { side: Side::Active, key: Some(1), kind: HitKind::Slow }];
    let (from, until) = Default::default();
    let (measure, quantile) = (Measure::Ttft, Quantile::P50);
    let slow = Both { active: SlowCounts::default(), candidate: SlowCounts::default() };
    let counts = Both { active: ErrorCounts::default(), candidate: ErrorCounts::default() };
    let tick = TickRecord {
        arrivals: vec![Arrivals { from, until, n: both(0) }],
        errors: vec![ErrorReading {
            age: ErrorAge::Final,
            from,
            until,
            counts,
            hits: hits.clone(),
        }],
        slow: vec![SlowReading {
            measure,
            quantile,
            from,
            until,
            counts: slow,
            hits: hits.clone(),
        }],
        limit: vec![LimitReading { from, until, n: both(0), over: both(0), hits }],
        scores: vec![Score { side: Side::Active, key: Some(1), arrived: from, value: 0.5 }],
        new_keys: Some(both(0)),
        keys_of_hour: Some(1),
        final_age: Some(std::time::Duration::from_secs(15)),
        ..TickRecord::default()
    };
    let records = [Record::Start(Box::<Start>::default()), Record::Tick(tick)];
    let records = records.map(|record| serde_json::to_value(record).unwrap());
    assert_described(&records.iter().flat_map(keys).collect());
}

/// Every key of an object and of those within it.
fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let within = fields.iter().flat_map(|(_, value)| keys(value));
            fields.keys().cloned().chain(within).collect()
        }
        Value::Array(values) => values.iter().flat_map(keys).collect(),
        _ => vec![],
    }
}

fn assert_described(keys: &BTreeSet<String>) {
    let is_missing = |key: &&String| {
        let forms = [format!("`{key}`"), format!(".{key}`")];
        !forms.iter().any(|form| PAGE.contains(form.as_str()))
    };
    let missing: Vec<_> = keys.iter().filter(is_missing).collect();
    // Groups of settings stand before a dot.
    let missing: Vec<_> =
        missing.iter().filter(|key| !PAGE.contains(&format!("`{key}."))).collect();
    assert!(missing.is_empty(), "docs/reference/replay.md says nothing of {missing:?}");
}
