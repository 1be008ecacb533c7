//! One stage from beginning to end: traffic, a rollout, perhaps a fault, and what came of it.

use std::error::Error;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use cyan::demo::mock_llm::{Faults, MockLlm};
use cyan::demo::traffic::Tally;
use cyan::model::verdict::Verdict;
use serde_json::{Value, json};

use crate::admin::{Admin, Entry};
use crate::scenario::{Fault, Onset, Scenario};
use crate::stage::{NAMES, Stage};

/// How often it is asked how far a rollout is: times of rollbacks are too long by this at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Users go on for so long after a rollout has ended, to see whether all is well again.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What came of one rollout.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Outcome {
    /// Where it ended: `switched`, `rolled_back`, or where it stood when patience ended.
    pub(crate) stage: String,
    /// From its start to its end.
    pub(crate) lasted_s: f64,
    /// From the onset of the fault to the end of the way back, or to the last request that green got, if that
    /// was later.
    pub(crate) exposed_s: Option<f64>,
    /// Requests that arrived at green from the onset on, those after the way back included.
    pub(crate) green_requests: Option<u64>,
    /// Green's requests since the trouble began as the judge saw it, by the metric that decided.
    pub(crate) judged_requests: Option<u64>,
    /// From the new table in the store to the ack of the last core, as the API says.
    pub(crate) apply_s: Option<f64>,
    /// Failures that are not green's after the onset: nobody should see any.
    pub(crate) failed_besides: u64,
    /// Requests of all users.
    pub(crate) requests: u64,
    /// Requests that were not sent because the load could not keep its rate.
    pub(crate) skipped: u64,
    /// Why it went back, as the API says.
    pub(crate) cause: Option<String>,
    /// What the journal says of it.
    pub(crate) journal: Vec<Entry>,
}

/// Plays a scenario once; as many outcomes as it has rollouts in a row.
pub(crate) fn play(
    scenario: &Scenario,
    cyan: &Path,
    seed: u64,
) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let stage = Stage::open(scenario, cyan, seed, &[])?;
    let admin = stage.admin();
    sleep(scenario.warm_up);
    let mut rollouts = Vec::new();
    for turn in 0..scenario.in_a_row {
        let candidate = NAMES[usize::from(turn % 2 == 0)];
        rollouts.push(Played::rollout(scenario, &stage, candidate)?);
    }
    let journal = admin.journal()?;
    let arrivals = arrivals(&stage.mocks[1]);
    let Stage { traffic, cyan: proxy, mocks } = stage;
    let tally = traffic.finish();
    drop((proxy, mocks));
    let failed_besides = failed_besides(scenario, &tally);
    let outcomes = rollouts.into_iter().map(|played| Outcome {
        failed_besides,
        requests: tally.requests(),
        skipped: tally.skipped_total(),
        ..played.outcome(&journal, &arrivals)
    });
    Ok(outcomes.collect())
}

/// A rollout that has ended.
struct Played {
    began_ms: u64,
    ended_ms: u64,
    /// When the fault began. What is wrong from the start begins with green's first request.
    onset: Option<Began>,
    last: Value,
}

/// When a fault began.
#[derive(Debug, Clone, Copy)]
enum Began {
    At(u64),
    WithFirstRequest,
}

impl Played {
    fn rollout(
        scenario: &Scenario,
        stage: &Stage,
        candidate: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let admin = stage.admin();
        let at_start = scenario.fault.filter(|fault| fault.onset == Onset::StepStart);
        if let Some(fault) = at_start {
            begin_fault(stage, fault)?;
        }
        let began_ms = now_ms();
        let deadline = Instant::now() + scenario.patience;
        let start = json!({ "candidate": candidate }).to_string();
        admin.call("POST", "/v1/services/llm/rollout", &start)?;
        let mut onset = at_start.map(|_| Began::WithFirstRequest);
        if let Some(later @ Fault { onset: Onset::Later(after), .. }) = scenario.fault {
            wait(admin, deadline, |stage| stage == "ramp")?;
            sleep(after);
            onset = Some(Began::At(now_ms()));
            begin_fault(stage, later)?;
        }
        let mut last = wait(admin, deadline, is_over)?;
        let ended_ms = now_ms();
        sleep(AFTERWARDS);
        if last["stage"] == "switched" {
            admin.call("POST", "/v1/services/llm/rollout/release", "{}")?;
        } else {
            last = admin.rollout()?;
        }
        Ok(Self { began_ms, ended_ms, onset, last })
    }

    /// What this was, by the journal and by when green got its requests.
    fn outcome(self, journal: &[Entry], arrivals_ms: &[u64]) -> Outcome {
        let Self { began_ms, ended_ms, onset, last } = self;
        // Entries tell whole seconds.
        let during = began_ms / 1000 * 1000..=ended_ms + 1000;
        let onset_ms = onset.and_then(|began| match began {
            Began::At(ms) => Some(ms),
            Began::WithFirstRequest => arrivals_ms.iter().copied().find(|at| *at >= began_ms),
        });
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        let exposed = onset_ms.map(|onset| {
            let requests = arrivals_ms.iter().filter(|at| **at >= onset);
            let until = requests.clone().max().map_or(ended_ms, |last| ended_ms.max(*last));
            (seconds(until - onset), requests.count() as u64)
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Outcome {
            stage: text(&last["stage"]),
            lasted_s: seconds(ended_ms - began_ms),
            exposed_s: exposed.map(|(seconds, _)| seconds),
            green_requests: exposed.map(|(_, count)| count),
            judged_requests: judged_requests(&last["cause"]["details"]),
            apply_s: last["rollback"]["apply_seconds"].as_f64(),
            failed_besides: 0,
            requests: 0,
            skipped: 0,
            cause: last.get("cause").filter(|cause| !cause.is_null()).map(|c| text(&c["text"])),
            journal: journal.iter().filter(|e| during.contains(&e.at_ms)).cloned().collect(),
        }
    }
}

/// How many of the candidate's requests stood behind a decision, of the metric that decided.
fn judged_requests(details: &Value) -> Option<u64> {
    let metric = &details["decision"]["why"]["metric"];
    let parts = details["explanation"]["parts"].as_array()?;
    let part = parts.iter().find(|part| part["metric"] == *metric)?;
    part["onset"]["counted"]["candidate"]["n"].as_u64()
}

fn now_ms() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("the clock shows a time after 1970");
    u64::try_from(since.as_millis()).expect("584 million years fit")
}

/// From now on green fails, and requests after now are exposed.
fn begin_fault(stage: &Stage, fault: Fault) -> Result<(), Box<dyn Error>> {
    stage.traffic.begin_phase();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(stage.mocks[1].set_faults(Faults::from_pairs(fault.pairs)?))?;
    Ok(())
}

fn is_over(stage: &str) -> bool {
    !matches!(stage, "ready" | "smoke" | "quality" | "warm_up" | "ramp" | "rolling_back")
}

/// Waits for a stage of the rollout, or for the end of patience; tells where it stands then.
fn wait(
    admin: Admin,
    deadline: Instant,
    is_reached: impl Fn(&str) -> bool,
) -> std::io::Result<Value> {
    loop {
        let rollout = admin.rollout()?;
        let stage = rollout["stage"].as_str().unwrap_or_default();
        if is_reached(stage) || is_over(stage) || Instant::now() > deadline {
            return Ok(rollout);
        }
        sleep(LOOK_EVERY);
    }
}

/// When each request for an answer came to a server, in milliseconds, oldest first.
fn arrivals(mock: &MockLlm) -> Vec<u64> {
    let stats = mock.stats();
    let chats = stats.arrivals.iter().filter(|arrival| arrival.path.starts_with("/v1/chat"));
    chats.map(|arrival| arrival.first_byte_unix_ns / 1_000_000).collect()
}

/// What failed although nothing was to fail there.
fn failed_besides(scenario: &Scenario, tally: &Tally) -> u64 {
    let is_usual = !scenario.usual.is_empty();
    let phases = tally.phases.iter().enumerate();
    let counts = phases.flat_map(|(number, phase)| {
        let besides = move |name: &str| number == 0 || name != NAMES[1];
        phase.environments.iter().filter(move |(name, _)| besides(name)).map(|(_, counts)| counts)
    });
    let failed = counts.map(|counts| {
        let good = [Verdict::Complete, Verdict::Length].map(|v| counts.verdicts[v as usize]);
        let usual = if is_usual { counts.verdicts[Verdict::HttpError as usize] } else { 0 };
        counts.requests - good.iter().sum::<u64>() - usual
    });
    failed.sum()
}
