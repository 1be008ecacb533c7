//! `kill -9` in every stage of a rollout: the next process stands where the last one stood.
//!
//! Same stage, same weights, same users in the same places, and the judge knows what the state file had:
//! that is at most five seconds old, and without the requests that were being read. Then the rollout
//! goes on from there.

use std::path::Path;
use std::time::{Duration, Instant};

use cyan::control_plane::observation::Kept;
use cyan::judge::chosen_judge::ChosenJudge;
use cyan::judge::decision::Judge as _;
use serde_json::{Value, json};

use crate::support::release::{CHAT, Mood, Release, Users};

/// Nothing here goes on by itself within a test.
const SLOW: &str = "steps = ['10% 1h 1', '50% 1h 1', '100%']";
/// How often the evidence is written down, and a second for doing it.
const KEPT_WITHIN_S: u64 = 6;

/// What stays as it was when a process is killed and another one started.
#[derive(Debug, PartialEq)]
struct Stays {
    rollout: Value,
    weights: Value,
    places: Vec<String>,
}

impl Stays {
    async fn of(release: &Release) -> Self {
        let places = release.places().await;
        Self {
            rollout: standing(release.rollout().await),
            weights: release.weights().await,
            places,
        }
    }
}

/// A rollout without what goes on by itself: times, and what the judge says.
fn standing(mut rollout: Value) -> Value {
    let fields = rollout.as_object_mut().expect("an object");
    for moving in ["observed_s", "in_stage_s", "judge", "waits_for", "generation"] {
        assert!(fields.remove(moving).is_some(), "{moving} is gone");
    }
    rollout
}

/// What a state file has of a judge: what it would say, and the whole of it.
struct OnDisk {
    explanation: Value,
    snapshot: Value,
}

impl OnDisk {
    /// Reads a copy, since even a reader may change what a killed process has left.
    fn read(directory: &Path) -> Option<Self> {
        let copy = tempfile::tempdir().expect("a temporary folder");
        for file in ["state.db", "state.db-wal"] {
            let from = directory.join("state").join(file);
            std::fs::copy(from, copy.path().join(file)).expect("a killed process leaves both");
        }
        let connection = rusqlite::Connection::open(copy.path().join("state.db")).unwrap();
        let text = "SELECT snapshot FROM evidence WHERE service = 'chat'";
        let text: String = connection.query_row(text, [], |row| row.get(0)).ok()?;
        let kept: Kept = serde_json::from_str(&text).expect("what is kept can be read");
        assert_eq!(serde_json::to_string(&kept).unwrap(), text, "read and written it is the same");
        let snapshot: Value = serde_json::from_str(&text).unwrap();
        let judge: ChosenJudge = serde_json::from_value(snapshot["judge"].clone()).unwrap();
        Some(Self { explanation: json!(judge.explain()), snapshot })
    }

    fn observed_s(&self) -> u64 {
        self.snapshot["now"].as_u64().expect("a tick") / 4
    }
}

/// Kills and restarts: everything stays. Nobody comes meanwhile.
async fn survives(release: Release) -> Release {
    let before = Stays::of(&release).await;
    let release = release.crash(|_| {}).await;
    assert_eq!(Stays::of(&release).await, before);
    release
}

/// Waits until what the judge knows by now is on the disk.
async fn kept(release: &Release) {
    let observed = |rollout: &Value| rollout["judge"]["details"]["observed_s"].as_u64();
    let now = release.until("judged", |rollout| observed(rollout).is_some()).await;
    let later = observed(&now).map(|now| now + KEPT_WITHIN_S);
    release.until("judged for long enough to be kept", |rollout| observed(rollout) >= later).await;
}

/// The same under way, with a judge: users come until the kill, and it knows what the file had.
async fn survives_with_evidence(release: Release, users: Users) -> Release {
    kept(&release).await;
    let places = release.places().await;
    let (rollout, weights) = (release.rollout().await, release.weights().await);
    let mut on_disk = None;
    let release = release.crash(|directory| on_disk = OnDisk::read(directory)).await;
    drop(users);
    let on_disk = on_disk.expect("evidence");
    let after = release.until("judged", |rollout| rollout["judge"].is_object()).await;
    assert_eq!(after["judge"]["details"]["explanation"], on_disk.explanation);
    assert_eq!(after["judge"]["requests"], on_disk.snapshot["requests"]);
    assert_eq!(after["judge"]["details"]["share"], rollout["judge"]["details"]["share"]);
    let observed = |rollout: &Value| rollout["judge"]["details"]["observed_s"].as_u64().unwrap();
    assert!(observed(&rollout) <= on_disk.observed_s() + KEPT_WITHIN_S, "{rollout:#}");
    let in_stage = |rollout: &Value| rollout["in_stage_s"].as_u64().unwrap();
    assert!(in_stage(&rollout) <= in_stage(&after) + KEPT_WITHIN_S, "{rollout:#} {after:#}");
    assert_eq!(release.weights().await, weights);
    assert_eq!(standing(release.rollout().await), standing(rollout));
    assert_eq!(release.places().await, places);
    release
}

async fn on_the_first_step(plan: &str) -> Release {
    let release = Release::planned(plan, "").await;
    release.start().await;
    release.until("on the first step", |rollout| rollout["share_percent"] == 10.0).await;
    release
}

#[tokio::test]
async fn a_candidate_that_is_not_ready_is_waited_for() {
    let release = Release::planned(SLOW, "").await;
    release.green.set("/health", Mood::Fails);
    release.start().await;
    release.until_in("ready").await;
    let release = survives(release).await;
    release.green.set("/health", Mood::Answers);
    release.until_in("ramp").await;
}

#[tokio::test]
async fn smoke_tests_are_begun_again() {
    let plan = format!("{SLOW}\nsmoke.one = {{ path = '/smoke', timeout = '1m' }}");
    let release = Release::planned(&plan, "").await;
    release.green.set("/smoke", Mood::Hangs);
    release.start().await;
    release.until_in("smoke").await;
    let release = survives(release).await;
    release.green.set("/smoke", Mood::Answers);
    release.until_in("ramp").await;
}

#[tokio::test]
async fn an_evaluation_is_begun_again() {
    // The one of the process that was killed goes on until its directory has gone.
    let script =
        "while [ -d DIR ] && [ ! -e DIR/go ]; do sleep 0.05; done; echo {\\\"score\\\": 0.9}";
    let more = format!(
        "[service.chat.force]\ntrusted = '127.0.0.1'\n[service.chat.rollout.quality]\n\
         exec = ['/bin/sh', '-c', '''{script}''']\ntimeout = '1m'"
    );
    let release = Release::planned(SLOW, &more).await;
    release.start().await;
    release.until_in("quality").await;
    let release = survives(release).await;
    std::fs::write(release.directory.path().join("go"), "").unwrap();
    release.until_in("ramp").await;
}

#[tokio::test]
async fn a_step_goes_on_with_its_evidence_and_the_next_one_too() {
    let release = on_the_first_step(SLOW).await;
    let users = release.users();
    let release = survives_with_evidence(release, users).await;
    let users = release.users();
    release.post("/rollout/promote", &json!({})).await;
    release.until("judged at 50 %", |rollout| rollout["judge"]["details"]["share"] == 0.5).await;
    survives_with_evidence(release, users).await;
}

/// What the judge was last kept at is the share before.
#[tokio::test]
async fn a_step_taken_a_moment_before_is_judged_as_what_it_is() {
    let release = on_the_first_step(SLOW).await;
    let users = release.users();
    kept(&release).await;
    release.post("/rollout/promote", &json!({})).await;
    drop(users);
    let mut on_disk = None;
    let release = release.crash(|directory| on_disk = OnDisk::read(directory)).await;
    assert_eq!(
        on_disk.expect("evidence").snapshot["share"],
        0.1,
        "or there is nothing to see here"
    );
    assert_eq!(release.rollout().await["share_percent"], 50.0);
    release.until("judged at 50 %", |rollout| rollout["judge"]["details"]["share"] == 0.5).await;
}

#[tokio::test]
async fn paused_and_frozen_stay_so() {
    let release = on_the_first_step(SLOW).await;
    let users = release.users();
    release.post("/rollout/pause", &json!({ "reason": "lunch" })).await;
    release.call("PUT", "/freeze", &json!({ "reason": "before Monday" })).await;
    let release = survives_with_evidence(release, users).await;
    let rollout = release.rollout().await;
    assert_eq!(rollout["paused"]["reason"], "lunch");
    assert_eq!(rollout["frozen"], "before Monday (api)");
}

#[tokio::test]
async fn what_held_it_holds_it() {
    let release = on_the_first_step("steps = ['10% 1s 100000', '100%']\nwait_max = '2s'").await;
    let users = release.users();
    release.until("held", |rollout| rollout["held"].is_string()).await;
    let release = survives_with_evidence(release, users).await;
    assert_eq!(release.rollout().await["needs_somebody"], true);
}

#[tokio::test]
async fn after_the_switch_it_stays_armed() {
    let release = on_the_first_step(SLOW).await;
    let users = release.users();
    release.post("/rollout/promote", &json!({ "full": true })).await;
    release.until_in("switched").await;
    let release = survives_with_evidence(release, users).await;
    let users = release.users();
    release.green.set("/", Mood::Fails);
    release.until_in("rolled_back").await;
    drop(users);
}

#[tokio::test]
async fn a_rollback_that_waits_for_its_answer_asks_again() {
    let release = on_the_first_step(SLOW).await;
    let users = release.users();
    release.until("judged", |rollout| rollout["judge"]["requests"].as_u64() >= Some(20)).await;
    release.blue.set("/health", Mood::Hangs);
    release.green.set("/", Mood::Fails);
    release.until_in("rolling_back").await;
    let weights = release.weights().await;
    drop(users);
    let release = release.crash(|_| {}).await;
    let after = release.rollout().await;
    // Blue is asked again for a second; if that is over already, it is held for its silence.
    let is_waiting = after["stage"] == "rolling_back" || after["held"].is_string();
    assert!(is_waiting && after["share_percent"] == 10.0, "{after:#}");
    assert_eq!(release.weights().await, weights);
    release.blue.set("/health", Mood::Answers);
    let after = release.until_in("rolled_back").await;
    assert_eq!(after["share_percent"], 0.0);
}

/// Users return by a hundredth each second: there is time to look.
#[tokio::test]
async fn users_who_return_in_stages_go_on_returning() {
    let rollback = "rollback = { profile = 'staged', takes_back_per_second = 1 }";
    let release = on_the_first_step(&format!("{SLOW}\n{rollback}")).await;
    release.post("/rollout/promote", &json!({})).await;
    release.post("/rollout/rollback", &json!({})).await;
    let before = release.until_in("returning").await;
    let release = release.crash(|_| {}).await;
    let share = |rollout: &Value| rollout["share_percent"].as_f64().expect("a share");
    let after = release.rollout().await;
    assert_eq!(after["stage"], "returning");
    assert!(share(&after) <= share(&before), "{after:#}");
    release.until("further back", |rollout| share(rollout) < share(&after)).await;
    release.post("/rollout/rollback", &json!({ "instant": true })).await;
    let after = release.until_in("rolled_back").await;
    assert_eq!(after["share_percent"], 0.0);
}

#[tokio::test]
async fn what_is_over_stays_over() {
    let release = on_the_first_step(SLOW).await;
    release.post("/rollout/rollback", &json!({ "reason": "enough" })).await;
    let release = survives(release).await;
    assert_eq!(release.rollout().await["stage"], "rolled_back");
    release.post("/rollout", &json!({ "candidate": "green", "again": true })).await;
    release.until_in("ramp").await;
    release.post("/rollout/promote", &json!({ "full": true })).await;
    release.post("/rollout/release", &json!({})).await;
    let release = survives(release).await;
    assert_eq!(release.rollout().await["stage"], "done");
}

/// The state file is written with each change, so the moment of the kill does not matter.
#[tokio::test]
async fn a_kill_right_after_the_answer_forgets_nothing() {
    let mut release = Release::planned(SLOW, "").await;
    release.start().await;
    release.until("stepped", |rollout| rollout["share_percent"] == 10.0).await;
    for (action, body) in [
        ("pause", json!({ "reason": "first" })),
        ("resume", json!({})),
        ("promote", json!({})),
        ("pause", json!({})),
        ("promote", json!({ "full": true })),
        ("release", json!({})),
    ] {
        release.post(&format!("/rollout/{action}"), &body).await;
        let before = (standing(release.rollout().await), release.weights().await);
        release = release.crash(|_| {}).await;
        let after = (standing(release.rollout().await), release.weights().await);
        assert_eq!(after, before, "{action}");
    }
}

/// Nothing listens where green was: its users are served by blue, and the rollout finds out by itself.
#[tokio::test]
async fn a_candidate_that_died_meanwhile_is_found_out_before_it_gets_users() {
    let release = on_the_first_step(SLOW).await;
    release.post("/rollout/promote", &json!({})).await;
    let weights = release.weights().await;
    release.green.die();
    let release = release.crash(|_| {}).await;
    assert_eq!(release.weights().await, weights, "the plan stands");
    let users = release.users();
    release.until_in("rolled_back").await;
    assert_eq!(users.failed(), 0);
    assert!(users.answered() > 0);
}

/// It accepts connections and says nothing: the start waits a second for it, and not longer.
#[tokio::test]
async fn a_start_does_not_hang_on_a_candidate_that_does() {
    let release = on_the_first_step(SLOW).await;
    let before = release.places().await;
    assert!(before.iter().any(|place| place == "green"));
    release.green.set("/health", Mood::Hangs);
    let began = Instant::now();
    let release = release.crash(|_| {}).await;
    let took = began.elapsed();
    println!("back after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(release.places().await.iter().all(|place| place == "blue"));
    release.green.set("/health", Mood::Answers);
    let is_up = |service: &Value| service["environments"][1]["upstreams"][0]["probe"] == "up";
    release.until_of(CHAT, "up", is_up).await;
    assert_eq!(release.places().await, before, "whoever was there is there again");
}
