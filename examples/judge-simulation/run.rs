//! One simulated rollout: the evidence judge leads, the window judge sits beside it.

use std::time::Duration;

use cyan::judge::decision::{Decision, Judge};
use cyan::judge::evidence_judge::EvidenceJudge;
use cyan::judge::metric::{Metric, Metrics};
use cyan::judge::record::{Change, Score, Side, TickRecord};
use cyan::judge::settings::{Bake, Settings};
use cyan::judge::tick::Tick;
use cyan::judge::window::{WindowJudge, WindowRules};

use crate::recorder::Recorder;
use crate::request::{Source, Usual};
use crate::scores;
use crate::world::{FaultKind, World};

/// How it went.
pub struct Outcome {
    pub rolled_back: Option<RolledBack>,
    /// What the window judge would have done.
    pub window_rolled_back: Option<RolledBack>,
    /// Whether the last step was reached in its planned time plus a quarter.
    pub got_through: bool,
    /// Whether it was ever held.
    pub was_held: bool,
    /// Whether it ever went back a step.
    pub stepped_back: bool,
    /// For how much of the time the blame gate of some limit was shut, 0 to 1.
    pub gate_shut: f64,
}

#[derive(Clone, Copy)]
pub struct RolledBack {
    /// Since the fault began: requests of the candidate that had arrived by the decision, and seconds.
    pub requests: u32,
    pub seconds: f64,
    /// The same since the beginning.
    pub at: f64,
    /// Before any fault of the candidate.
    pub is_false: bool,
}

/// What a run tells whoever records it.
pub enum Told<'a> {
    /// The rules.
    Start(&'a Settings),
    /// A step.
    Change(&'a Change),
    /// What became known.
    Tick(&'a TickRecord),
    /// What the evidence judge said of it.
    Decision(Decision),
}

/// Any number other than 0.
const SCORES_SEED: u64 = 0x5C0E_5C0E;
/// Share of the answers that are scored.
const SCORED: f64 = 0.1;

/// How long the window judge is given after the other has decided, in seconds.
const WINDOW_PATIENCE: f64 = 600.0;

impl Outcome {
    fn is_settled(&self, now: Tick) -> bool {
        let Some(rolled_back) = &self.rolled_back else { return false };
        self.window_rolled_back.is_some() || seconds(now) > rolled_back.at + WINDOW_PATIENCE
    }
}

struct Rollout<'a> {
    world: &'a World,
    source: Source<'a>,
    recorder: Recorder,
    /// Draws scores, so that they change nothing else.
    scores: fastrand::Rng,
    judge: EvidenceJudge,
    beside: WindowJudge,
    now: Tick,
    step: usize,
    step_since: Tick,
    /// When the candidate's fault begins, in seconds.
    onset: f64,
    requests: u32,
    /// Rolled back: what follows is for the window judge alone.
    is_over: bool,
    tell: &'a mut dyn FnMut(Told<'_>),
}

pub fn run(world: &World, seed: u64) -> Outcome {
    run_telling(world, seed, &mut |_| ())
}

/// The same; tells everything until the rollback.
pub fn run_telling(world: &World, seed: u64, tell: &mut dyn FnMut(Told<'_>)) -> Outcome {
    let mut rollout = Rollout::new(world, seed, tell);
    let planned = world.planned_seconds();
    let last_seconds = world.step_seconds(world.steps.len() - 1);
    let until = Tick::of_second(planned + (planned - last_seconds) / 4);
    let mut outcome = Outcome {
        rolled_back: None,
        window_rolled_back: None,
        got_through: false,
        was_held: false,
        stepped_back: false,
        gate_shut: 0.0,
    };
    let (mut looks, mut shut) = (0_u32, 0_u32);
    rollout.take_step(0);
    while rollout.now < until && !outcome.is_settled(rollout.now) {
        rollout.hear();
        if outcome.window_rolled_back.is_none() {
            outcome.window_rolled_back = rollout.ask_beside();
        }
        if outcome.rolled_back.is_some() {
            continue; // its figures are taken; the window judge may still need some time
        }
        looks += 1;
        shut += u32::from(rollout.is_gate_shut());
        match rollout.decide() {
            Decision::RollBack(_) => {
                outcome.rolled_back = Some(rollout.rolled_back());
                rollout.is_over = true;
            }
            Decision::Hold(_) => outcome.was_held = true,
            Decision::StepBack(_) => {
                outcome.stepped_back = true;
                rollout.take_step(rollout.step.saturating_sub(1));
            }
            Decision::Advance if rollout.step + 1 < world.steps.len() => {
                rollout.take_step(rollout.step + 1);
            }
            // The last step has been taken and lasted as long as planned.
            Decision::Advance if rollout.onset.is_infinite() => break,
            Decision::Advance | Decision::Wait(_) => {}
        }
    }
    outcome.gate_shut = f64::from(shut) / f64::from(looks.max(1));
    outcome.got_through = outcome.rolled_back.is_none()
        && rollout.step + 1 == world.steps.len()
        && seconds(rollout.step_since) <= f64::from(planned - last_seconds) * 1.25;
    outcome
}

impl<'a> Rollout<'a> {
    fn new(world: &'a World, seed: u64, tell: &'a mut dyn FnMut(Told<'_>)) -> Self {
        let usual = Source::measure(world, seed);
        let settings = settings(world, &usual);
        tell(Told::Start(&settings));
        let fault = world.fault.filter(|fault| !fault.on_both);
        Self {
            world,
            source: Source::new(world, seed),
            recorder: Recorder::new(
                world.ticks_per_record,
                world.final_age(),
                usual.thresholds,
                world.gap.map(|_| usual.gaps),
            ),
            scores: fastrand::Rng::with_seed(seed ^ SCORES_SEED),
            judge: EvidenceJudge::new(settings.clone()),
            beside: WindowJudge::new(settings, WindowRules::default()),
            now: Tick(0),
            step: 0,
            step_since: Tick(0),
            onset: fault.map_or(f64::INFINITY, |fault| fault.from),
            requests: 0,
            is_over: false,
            tell,
        }
    }

    fn take_step(&mut self, step: usize) {
        let share = self.world.steps[step].0;
        let change =
            Change { at: self.now, share, planned: step > self.step || self.now == Tick(0) };
        (self.step, self.step_since) = (step, self.now);
        self.source.change(share);
        (self.tell)(Told::Change(&change));
        self.judge.change(&change);
        self.beside.change(&change);
    }

    fn hear(&mut self) {
        let record = self.next_record();
        self.now = record.now;
        if seconds(self.now) > self.onset {
            let arrivals = record.arrivals.iter().map(|arrivals| arrivals.n.candidate);
            self.requests += arrivals.sum::<u32>();
        }
        if !self.is_over {
            (self.tell)(Told::Tick(&record));
        }
        self.judge.observe(&record);
        self.beside.observe(&record);
    }

    fn decide(&mut self) -> Decision {
        let decision = self.judge.decide();
        (self.tell)(Told::Decision(decision));
        decision
    }

    fn next_record(&mut self) -> TickRecord {
        let ticks = self.world.ticks_per_record;
        let (from, at) = (self.now, seconds(self.now));
        let arrivals = self.source.arrivals(f64::from(ticks) / 4.0);
        let source = &mut self.source;
        let mut record = self.recorder.record(from, (0..arrivals).map(|_| source.next(at)));
        if let Some(mean) = self.world.scores {
            record.scores = self.scores(&record, mean);
        }
        record
    }

    /// Scores of some of those that have just arrived.
    fn scores(&mut self, record: &TickRecord, usual: f64) -> Vec<Score> {
        let mut scores = vec![];
        for arrivals in &record.arrivals {
            let n = arrivals.n;
            for (side, n) in [(Side::Active, n.active), (Side::Candidate, n.candidate)] {
                let fault = self.source.fault(seconds(arrivals.from), side);
                let mean = match fault.map(|fault| fault.kind) {
                    Some(FaultKind::Scores(mean)) => mean,
                    _ => usual,
                };
                let count = (0..n).filter(|_| self.scores.f64() < SCORED).count();
                for _ in 0..count {
                    let value = scores::beta(&mut self.scores, mean);
                    scores.push(Score { side, key: None, arrived: arrivals.from, value });
                }
            }
        }
        scores
    }

    fn is_gate_shut(&self) -> bool {
        self.judge.evidence().armed_limits().any(|(_, limit)| limit.is_shut())
    }

    fn ask_beside(&mut self) -> Option<RolledBack> {
        match self.beside.decide() {
            Decision::RollBack(_) => Some(self.rolled_back()),
            _ => None,
        }
    }

    fn rolled_back(&self) -> RolledBack {
        let now = seconds(self.now);
        let onset = if self.onset.is_finite() { self.onset } else { 0.0 };
        RolledBack {
            requests: self.requests,
            seconds: now - onset,
            at: now,
            is_false: now <= self.onset,
        }
    }
}

fn settings(world: &World, usual: &Usual) -> Settings {
    let mut metrics = vec![Metric::Errors, Metric::Refused, Metric::ErrorLimit];
    if world.judges_ttft {
        metrics.push(Metric::Ttft);
    }
    metrics.extend(world.gap.map(|_| Metric::Latency));
    metrics.extend(world.scores.map(|_| Metric::Quality));
    if world.judges_ttft && !usual.breaks_latency_limit {
        metrics.push(Metric::LatencyLimit);
    }
    let step_seconds = world.steps.first().map_or(300, |step| step.1);
    let time_min = Duration::from_secs(u64::from(step_seconds));
    Settings {
        planned_steps: 5,
        metrics: Metrics::new(metrics),
        bake: Bake { time_min, ..Bake::default() },
        ..Settings::default()
    }
}

fn seconds(tick: Tick) -> f64 {
    f64::from(tick.0) / 4.0
}
