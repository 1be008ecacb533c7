//! Observes a candidate while users meet it: what the cores note becomes records, and the judge decides.
//!
//! One task per rollout. Four times a second it asks every core for its notes, a moment after a quarter of
//! a second has ended, so that the judge hears of it at once. It changes nothing itself: whoever owns the
//! rollout watches what it says.
//!
//! A rollback or a step back, once decided, stays decided until the share changes or a human resumes: who
//! watches sees only the latest, and must not miss it because something else was said right after. From then
//! on nothing is said until the judge has looked again (`Wait(Check)`).

mod asking;
mod baseline;
mod session;
mod wall_clock;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use self::asking::Answer;
use self::session::Session;
pub use self::wall_clock::WallClock;
use super::clock::unix_ms;
use super::handle::{ControllerHandle, Shared};
use crate::judge::chosen_judge::ChosenJudge;
use crate::judge::decision::Decision;
use crate::judge::explanation::Explanation;
use crate::judge::record::{Both, Record, Side};
use crate::judge::recorder::{Baseline, Losses};
use crate::judge::settings::Settings;
use crate::judge::tick::Tick;
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::plan::LatencySignal;

/// How often thresholds are taken anew from the active environment's last minutes.
const BASELINE_EVERY: Duration = Duration::from_secs(60);
/// How often the judge is asked at least: a core that is stuck must not keep it from speaking.
const SPEAK_EVERY: Duration = Duration::from_millis(250);

/// What is observed, settled when the rollout starts.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The service.
    pub service: Name,
    /// The number of the rollout.
    pub rollout: u64,
    /// The active environment and its candidate. They keep their places over a switch.
    pub environments: Both<Party>,
    /// The judge's rules.
    pub settings: Settings,
    /// The absolute limit on the p99 of latency.
    pub latency_max: Duration,
    /// Which time is compared and limited.
    pub signal: LatencySignal,
    /// Draws samples: a number of this rollout's own.
    pub seed: u64,
}

/// One of the two environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Its number.
    pub id: EnvironmentId,
    /// Its name.
    pub name: Name,
}

/// What the judge says.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Until when everything was seen.
    pub tick: Tick,
    /// What should happen.
    pub decision: Decision,
    /// Until when, since the epoch, everything was seen when a decision to go back was made. `None` while
    /// there is none, and for one from before a restart.
    pub decided_at: Option<Duration>,
    /// When what it says now was first said.
    pub decided_tick: Tick,
    /// The numbers behind it.
    pub explanation: Explanation,
    /// When ticks were.
    pub clock: WallClock,
    /// The candidate's share.
    pub share: f64,
    /// The first tick under this share.
    pub since: Tick,
    /// Requests of the candidate since.
    pub requests: u64,
    /// Keys do not come back, so times are not compared.
    pub are_strangers: bool,
    /// What could not be told to the judge since the observation began.
    pub losses: Losses,
    /// Records that whoever keeps them had no room for.
    pub records_lost: u64,
}

/// What survives a restart: everything but the requests that were being read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    judge: ChosenJudge,
    now: Tick,
    share: f64,
    since: Tick,
    requests: u64,
    decision: Decision,
    decided: Option<Decision>,
    #[serde(default)]
    decided_tick: Tick,
    #[serde(default)]
    clock: WallClock,
    /// The candidate's users of the last hour.
    #[serde(default)]
    users: u32,
    /// Keys are known not to come back.
    #[serde(default)]
    are_strangers: bool,
    baseline: Baseline,
}

impl Kept {
    /// The candidate's share when this was kept.
    pub fn share(&self) -> f64 {
        self.share
    }
}

/// An observation under way. Dropping it ends it.
#[derive(Debug)]
pub struct Observation {
    shared: Arc<Shared>,
    session: Arc<Mutex<Session>>,
    told: watch::Sender<Observed>,
    task: AbortHandle,
}

impl ControllerHandle {
    /// Begins to observe, or goes on after a restart. The judge is asked from the first `change` on. What
    /// it is told goes to `records` as well, where there is room.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn observe(
        &self,
        subject: Subject,
        kept: Option<Kept>,
        records: Option<mpsc::Sender<Record>>,
    ) -> Observation {
        Observation::start(Arc::clone(&self.shared), subject, kept, records)
    }
}

impl Observation {
    pub(super) fn start(
        shared: Arc<Shared>,
        subject: Subject,
        kept: Option<Kept>,
        records: Option<mpsc::Sender<Record>>,
    ) -> Self {
        let now = shared.measurements.since_epoch(Instant::now());
        let mut session = Session::new(subject, shared.links.count(), now, kept, records);
        session.begin(unix_ms());
        session.measure(&shared.measurements, now);
        let (told, _) = watch::channel(session.observed());
        let session = Arc::new(Mutex::new(session));
        // One task per rollout, ended by whoever drops the observation.
        let task = tokio::spawn(run(Arc::clone(&shared), Arc::clone(&session), told.clone()));
        Self { shared, session, told, task: task.abort_handle() }
    }

    /// The candidate's share is about to change, on one core after the other. To be called before the first
    /// one has it, and to be followed by `change`.
    pub fn announce_change(&self, began: Instant) {
        locked(&self.session).announce_change(self.shared.measurements.since_epoch(began));
    }

    /// The candidate's share was changed; the change was begun at `began` and has reached every core. To be
    /// called at once: what arrived in between is left out.
    pub fn change(&self, share: f64, planned: bool, began: Instant) {
        let measurements = &self.shared.measurements;
        let during = measurements.since_epoch(began)..measurements.since_epoch(Instant::now());
        locked(&self.session).change(share, planned, during);
    }

    /// A human lifts the hold that is on. Whoever watches hears at once that it is said no more.
    pub fn resume(&self) {
        let mut session = locked(&self.session);
        session.resume();
        self.told.send_replace(session.observed());
    }

    /// What the judge says, as it changes: four times a second.
    pub fn watch(&self) -> watch::Receiver<Observed> {
        self.told.subscribe()
    }

    /// What is to be kept for a restart.
    pub fn keep(&self) -> Kept {
        locked(&self.session).keep()
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subject {
    /// Whose side an environment is on.
    fn side(&self, environment: EnvironmentId) -> Option<Side> {
        let Both { active, candidate } = &self.environments;
        match environment {
            id if id == active.id => Some(Side::Active),
            id if id == candidate.id => Some(Side::Candidate),
            _ => None,
        }
    }
}

async fn run(shared: Arc<Shared>, session: Arc<Mutex<Session>>, told: watch::Sender<Observed>) {
    let pair = locked(&session).pair();
    let cores = shared.links.count();
    // Each core is asked again only after its answer: one per core is under way, and one waits.
    let (answers, mut inbox) = mpsc::channel::<Answer>(2 * cores.max(1));
    let mut asking = JoinSet::new();
    for core in 0..cores {
        // A task per core, so that nobody waits for a slow one. All end with this one.
        asking.spawn(asking::ask(core, pair, shared.links.clone(), answers.clone()));
    }
    let mut scored = shared.scored();
    let mut speak = tokio::time::interval(SPEAK_EVERY);
    speak.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut measure = tokio::time::interval(BASELINE_EVERY);
    measure.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(answer) = inbox.recv() => {
                locked(&session).hear(&answer, &shared.measurements);
            }
            Ok(scored) = scored.recv() => {
                locked(&session).score(&scored);
                continue;
            }
            _ = speak.tick() => {}
            _ = measure.tick() => {
                let now = shared.measurements.since_epoch(Instant::now());
                locked(&session).measure(&shared.measurements, now);
                continue;
            }
        }
        let now = shared.measurements.since_epoch(Instant::now());
        let news = {
            let mut session = locked(&session);
            session.judge(now).then(|| session.observed())
        };
        if let Some(news) = news {
            told.send_replace(news);
        }
    }
}

/// The lock is only ever held for a moment on the control plane's one thread; what it holds stays usable
/// after a panic elsewhere.
fn locked(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
