//! The controller through thousands of lives: changes, reloads, looks of the judge and operators in random order, a
//! disk that fails now and then, and a death at any moment.
//!
//! A seed decides everything that is asked and everything that fails. What must hold whatever happens:
//! - weights sum to 100 %, on the cores and on the disk;
//! - what was answered as durable is what the next life begins with;
//! - what was not answered has happened as a whole or not at all;
//! - a rollback is undone by nothing that comes late: by no look, no gate and no restart, only by somebody
//!   who asks; and the one of a rollout leads to where that came from, whoever was active meanwhile.
//!
//! `CYAN_SIMULATION_SEEDS=5000 cargo test --lib controller::simulation` runs more of them, and
//! `CYAN_SIMULATION_FIRST=17` begins with another.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::super::boot::Boot;
use super::super::command::{Applied, Command, Refused};
use super::super::store::sqlite::SqliteStore;
use super::super::store::writer::Writer;
use super::super::store::{Store as _, StoreError, Write};
use super::super::test_rig::{PATIENCE, Rig, Tampered, chat, config, name, set, weights};
use crate::config::Config;
use crate::judge::comparison::Safety;
use crate::judge::decision::{Breach, Decision, HoldReason};
use crate::judge::metric::Metric;
use crate::model::assignment::Assignment;
use crate::model::environment::{EnvironmentSpec, Secret};
use crate::model::plan::rollback::RollbackProfile;
use crate::model::plan::{Pace, Plan, Step, WrittenStep};
use crate::model::reading::Reading;
use crate::model::service::ServiceSpec;
use crate::model::weight::Weight;
use crate::rollout::event::{Event, Judged, Look, Operator};
use crate::rollout::gate::GateReport;
use crate::rollout::release::Release;
use crate::rollout::stage::Gate;
use crate::rollout::start::{BaseMeasured, Start};

/// Seeds of a short run.
const SEEDS: u64 = 20;
/// Lives of one controller.
const LIVES: usize = 4;
/// Events of one life at most.
const EVENTS_MAX: usize = 14;

/// What is asked of a controller next.
#[derive(Debug, Clone, Copy)]
enum Action {
    Weights { green: u8, red: u8 },
    Switch(Option<&'static str>),
    Candidate(&'static str),
    RollBack,
    Start { staged: bool },
    Asked(u8),
    Looked(u8),
    GateEnded(bool),
    BaseProbed(bool),
    Reload { idle_s: u8, token: u8 },
}

impl Action {
    /// Most of what is asked makes sense only while a rollout runs.
    fn random(random: &mut fastrand::Rng, is_running: bool) -> Self {
        match random.u8(..if is_running { 28 } else { 10 }) {
            0 => {
                let green = random.u8(..=100);
                // Half of the time the third one keeps what it has, most often nothing.
                let red = if random.bool() { 0 } else { random.u8(..=100 - green) };
                Self::Weights { green, red }
            }
            1 => Self::Switch(None),
            2 => Self::RollBack,
            3 => Self::Switch(Some(["blue", "green", "red"][random.usize(..3)])),
            4 => Self::Candidate(["green", "red"][random.usize(..2)]),
            5..8 => Self::Start { staged: random.bool() },
            9 if !is_running => Self::Reload { idle_s: random.u8(60..64), token: random.u8(..4) },
            8..14 => Self::Asked(random.u8(..8)),
            14 => Self::GateEnded(random.bool()),
            15 => Self::BaseProbed(random.bool()),
            26.. => Self::Reload { idle_s: random.u8(60..64), token: random.u8(..4) },
            _ => Self::Looked(random.u8(..8)),
        }
    }

    /// Whether a human asks for it. Nothing else may raise what a rollback has lowered.
    fn is_asked(self) -> bool {
        matches!(
            self,
            Self::Weights { .. }
                | Self::Switch(_)
                | Self::Candidate(_)
                | Self::Start { .. }
                | Self::Asked(_)
        )
    }

    fn command(self, config: &Config) -> Command {
        match self {
            Self::Reload { idle_s, token } => {
                let mut next = config.clone();
                let blue = &mut next.services[0].environments[0];
                blue.timeouts.idle = Duration::from_secs(idle_s.into());
                next.admin.token = Some(Secret::new(&format!("token-{token}")));
                Command::Reload(Reading::begin(), Box::new(next))
            }
            Self::Weights { green, red } => {
                set(&format!("blue={} green={green} red={red}", 100 - green - red))
            }
            Self::Switch(to) => {
                Command::Switch { service: name("chat"), to: to.map(name), if_generation: None }
            }
            Self::Candidate(to) => Command::SetWeights {
                service: name("chat"),
                weights: vec![],
                candidate: Some(name(to)),
                if_generation: None,
            },
            Self::RollBack => Command::RollBack { service: name("chat"), instant: false },
            Self::Start { staged } => start(staged),
            Self::Asked(which) => told(Event::Asked(operator(which))),
            Self::Looked(which) => told(Event::Looked(Box::new(look(which)))),
            Self::GateEnded(true) => {
                told(Event::GateEnded(Gate::Smoke, GateReport::passed("", Value::Null)))
            }
            Self::GateEnded(false) => {
                told(Event::GateEnded(Gate::Smoke, GateReport::failed("", Value::Null)))
            }
            Self::BaseProbed(true) => told(Event::BaseProbed(Ok(()))),
            Self::BaseProbed(false) => told(Event::BaseProbed(Err("no answer".into()))),
        }
    }
}

/// Blue, green, and red that somebody uses by hand.
fn three() -> ServiceSpec {
    let mut service = chat();
    let red = "http://127.0.0.1:3".parse().unwrap();
    service.environments.push(EnvironmentSpec::new(name("red"), vec![red]));
    service.initial.weights = weights("blue=100 green=0 red=0");
    service
}

fn told(event: Event) -> Command {
    let event = Box::new(event);
    Command::Rollout { service: name("chat"), event, rollout: None, if_generation: None }
}

fn start(staged: bool) -> Command {
    let step = |text: &str| text.parse::<WrittenStep>().unwrap().complete(Pace::default());
    let steps: Vec<Step> = ["1%", "25%", "50%", "100%"].map(step).to_vec();
    let rollback = if staged {
        RollbackProfile::Staged { takes_back_per_second: Weight::FULL }
    } else {
        RollbackProfile::Instant
    };
    let plan =
        Plan { steps, rollback, cool_down: Duration::ZERO, attempts_max: 1000, ..Plan::default() };
    let start = Start {
        candidate: name("green"),
        version: Some("v42".into()),
        plan,
        plan_name: "default".into(),
        gates: vec![],
        without_broken_limits: false,
        again: true,
        actor: "test".into(),
        key: None,
    };
    let base = BaseMeasured::default();
    Command::StartRollout {
        service: name("chat"),
        start: Box::new(start),
        base,
        if_generation: None,
    }
}

fn operator(which: u8) -> Operator {
    match which {
        0 => Operator::Pause { reason: None },
        1 | 2 => Operator::Resume,
        3 => Operator::RollBack { reason: None, instant: true },
        4 => Operator::Promote { full: true },
        5 => Operator::Release,
        6 => Operator::PromoteTo { share: Weight::from_hundredths(2500).unwrap() },
        _ => Operator::Promote { full: false },
    }
}

fn look(which: u8) -> Look {
    let decision = match which {
        0 => Decision::RollBack(Breach::Metric(Metric::Errors)),
        1 => Decision::Hold(HoldReason::Evidence(Metric::Errors)),
        2 => Decision::StepBack(Metric::Errors),
        _ => Decision::Advance,
    };
    let judged = Judged {
        decision,
        text: "by chance".into(),
        details: Value::Null,
        requests: 1000,
        is_total_failure: which == 0,
    };
    Look { ready: Ok(()), judged: Some(judged), comparison: Some((Safety::Safe, String::new())) }
}

/// What is known of a service from outside.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own about the past")]
struct Known {
    /// What the last answered change left, and its generation.
    kept: Option<(u64, Assignment)>,
    /// A rollout was under way then, which the controller takes on by itself.
    is_running: bool,
    /// A change that was not answered may have happened since.
    is_open: bool,
    /// Everything went back, and nobody has asked for anything since.
    is_rolled_back: bool,
    /// What was answered last is on the disk, and survives a death.
    is_durable: bool,
}

fn sums_up(assignment: &Assignment) {
    let sum: u32 = assignment.members.iter().map(|m| u32::from(m.weight.hundredths())).sum();
    assert_eq!(sum, 10_000, "weights sum to 100 %: {assignment:?}");
}

impl Rig {
    fn release(&self) -> Release {
        self.handle.release("chat").unwrap().release
    }

    fn assignment(&self) -> Assignment {
        self.handle.snapshot().table("chat").unwrap().assignment.clone()
    }

    /// The share of whoever is not the environment that everything went back to.
    fn exposure(&self) -> Weight {
        self.assignment().weight(&name("green"))
    }
}

/// One controller, through its lives.
fn simulate(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![three()]);
    let mut known = Known {
        kept: None,
        is_running: false,
        is_open: false,
        is_rolled_back: false,
        is_durable: true,
    };
    for _ in 0..LIVES {
        let (gone, ended) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(&config, &mut random, &mut known, gone));
        // Every task dies where it stands; the disk may still do what it was handed.
        drop(runtime);
        assert!(
            ended.recv_timeout(PATIENCE).is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected)
        );
    }
}

async fn live(
    config: &Config,
    random: &mut fastrand::Rng,
    known: &mut Known,
    gone: mpsc::Sender<()>,
) {
    let mut boot = Boot::open(config).unwrap();
    let store = SqliteStore::open(&config.state_dir).unwrap();
    // One write in so many fails; 0 for none.
    let one_in = if random.bool() { 0 } else { random.u32(2..8) };
    let mut dice = random.fork();
    let commit = move |store: &mut SqliteStore, write: &Write, still_wanted: &dyn Fn() -> bool| {
        let _let_go_with_the_store = &gone;
        if one_in > 0 && dice.u32(..one_in) == 0 {
            return Err(StoreError::Busy);
        }
        store.commit(write, still_wanted)
    };
    boot.writer = Writer::start(Tampered { store, commit }).unwrap();
    let rig = Rig::run(boot, config);
    let begun = rig.assignment();
    sums_up(&begun);
    if let Some((generation, kept)) = &known.kept
        && !known.is_open
        && (!known.is_running || rig.generation() <= *generation)
    {
        assert_eq!(
            begun.weights(),
            kept.weights(),
            "a life begins with what the last was answered"
        );
        assert_eq!((&begun.active, &begun.partner), (&kept.active, &kept.partner));
        // What a rollout does by itself may be lost with the process.
        assert!(
            known.is_running || rig.generation() >= *generation,
            "an older record went over a newer one"
        );
        assert!(!known.is_rolled_back || rig.exposure().is_zero(), "a restart undid a rollback");
    }
    known.is_open = false;
    known.is_rolled_back &= known.is_durable && rig.exposure().is_zero();
    for _ in 0..random.usize(1..EVENTS_MAX) {
        known.is_running = rig.release().running().is_some();
        let action = Action::random(random, known.is_running);
        let before = rig.exposure();
        let answer = if random.u8(..12) == 0 {
            // The process dies in the middle of it.
            let patience = Duration::from_micros(random.u64(..3000));
            let answer = tokio::time::timeout(patience, rig.ask(action.command(config))).await;
            let Ok(answer) = answer else {
                known.is_open = true;
                known.kept = None;
                // What a human asked for may have been done all the same.
                known.is_rolled_back &= !action.is_asked();
                return;
            };
            answer
        } else {
            rig.ask(action.command(config)).await
        };
        judge(&rig, action, before, &answer, known);
    }
    known.is_running = rig.release().running().is_some();
}

/// What holds after an event that was answered.
fn judge(
    rig: &Rig,
    action: Action,
    exposure: Weight,
    answer: &Result<Applied, Refused>,
    known: &mut Known,
) {
    let now = rig.assignment();
    sums_up(&now);
    match answer {
        // A rollout may have taken a step by itself meanwhile.
        Err(_) if known.is_running => {}
        Err(_) => assert!(rig.exposure() <= exposure, "{action:?}: what is refused raises nothing"),
        Ok(applied) if applied.changed => known.is_open = !applied.durable,
        Ok(_) => {}
    }
    known.is_durable = answer.as_ref().map_or(known.is_durable, |applied| applied.durable);
    if known.is_rolled_back && !action.is_asked() {
        assert!(rig.exposure() <= exposure, "{action:?} undid a rollback: {now:?}");
    }
    if action.is_asked() {
        known.is_rolled_back = false;
    }
    let is_way_back = matches!(action, Action::RollBack | Action::Asked(3));
    let last = rig.release().rollout;
    if let Some(last) = last.filter(|last| last.stage.code() == "rolled_back")
        && known.is_running
    {
        assert!(now.weight(&last.candidate).is_zero(), "{action:?} left users: {now:?}");
        let is_done = answer.as_ref().is_ok_and(|applied| applied.changed);
        // By itself it leaves a third environment that is active what it has.
        if is_done && is_way_back {
            assert_eq!(now.active, last.base, "{action:?} leads to the base");
        }
    }
    // From another one that somebody made active, a way back may well lead to green.
    let is_back = rig.exposure().is_zero() && now.active == name("blue");
    if is_way_back && answer.is_ok() && is_back {
        known.is_rolled_back = true;
    }
    known.kept = Some((rig.generation(), now));
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn no_order_of_events_faults_and_deaths_breaks_what_was_promised() {
    let first = number("CYAN_SIMULATION_FIRST", 1);
    for seed in first..first + number("CYAN_SIMULATION_SEEDS", SEEDS) {
        let lived = std::panic::catch_unwind(|| simulate(seed));
        assert!(lived.is_ok(), "seed {seed}");
    }
}
