//! May a rollout start? Everything that speaks against it is said before anything has changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::judging::{self, Unarmed};
use super::sentence;
use super::stage::{Gate, Stage};
use super::value::Rollout;
use crate::judge::settings::SettingsError;
use crate::model::assignment::{Assignment, AssignmentError};
use crate::model::duration;
use crate::model::name::Name;
use crate::model::plan::{Plan, PlanError};
use crate::model::weight::Weight;

/// Versions whose attempts are remembered.
const VERSIONS_MAX: usize = 64;
/// Requests of the active environment without which its own rates say nothing.
const REQUESTS_TO_KNOW: u32 = 200;

/// A wish to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The environment that shall be released.
    pub candidate: Name,
    /// Its version label.
    pub version: Option<String>,
    /// The rules.
    pub plan: Plan,
    /// Their name.
    pub plan_name: String,
    /// What has to be passed.
    pub gates: Vec<Gate>,
    /// Start although the active environment breaks a limit: that limit is not armed then.
    pub without_broken_limits: bool,
    /// Start although a version was rolled back lately or too often.
    pub again: bool,
    /// Who.
    pub actor: String,
}

/// How the service is at this moment.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// Weights and roles.
    pub assignment: &'a Assignment,
    /// The last rollout, over or not.
    pub last: Option<&'a Rollout>,
    /// Earlier attempts.
    pub attempts: &'a Attempts,
    /// What the active environment did in the last 15 minutes.
    pub base: BaseMeasured,
    /// Milliseconds of Unix time.
    pub unix_ms: u64,
}

/// What the active environment did lately.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BaseMeasured {
    /// Requests.
    pub requests: u32,
    /// In this time.
    pub time: Duration,
    /// Share of failures, 0 to 1.
    pub error_rate: f64,
    /// Share of requests slower than the limit on the p99, 0 to 1.
    pub slow_share: f64,
    /// p99 of latency.
    pub latency_p99: Option<Duration>,
    /// Some were streamed.
    pub has_streams: bool,
    /// Some were not.
    pub has_others: bool,
    /// Quality scores came in.
    pub has_scores: bool,
}

/// Rollouts of versions that were rolled back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempts(Vec<Attempt>);

/// Of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Attempt {
    version: String,
    rolled_back: u32,
    last_ms: u64,
}

/// Why a rollout does not start. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StartRefused {
    /// Unknown, active, or with traffic.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// The plan is none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan has limits that no judge can work with.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// One is under way.
    #[error("a rollout is running: {0}; end it first: cyan rollback, or wait")]
    Running(String),
    /// Rolled back a moment ago.
    #[error(
        "{version} was rolled back a moment ago; wait {} (its cool-down), or start with --again",
        duration::print(*.left)
    )]
    CoolingDown {
        /// The version.
        version: String,
        /// How much longer.
        left: Duration,
    },
    /// Rolled back too often.
    #[error(
        "{version} was rolled back {times} times, at most {max} attempts; release another version, or start with --again"
    )]
    TooManyAttempts {
        /// The version.
        version: String,
        /// How often.
        times: u32,
        /// The limit.
        max: u32,
    },
    /// The active environment does not keep a limit that the candidate shall keep.
    #[error(
        "{base} itself breaks the limit of {limit}: {seen}; raise the limit, or start with --without-broken-limits"
    )]
    LimitBroken {
        /// The active environment.
        base: Name,
        /// `5 % failures`
        limit: String,
        /// `7.1 % of 8210 requests in 15m`
        seen: String,
    },
}

/// A rollout that may start.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The rollout in its first stage.
    pub rollout: Rollout,
    /// The assignment with the candidate in the slot; it moves nobody.
    pub assignment: Assignment,
    /// What somebody should know all the same.
    pub warnings: Vec<String>,
}

/// Starts a rollout, if nothing speaks against it.
///
/// # Errors
/// When something does.
pub fn start(
    wish: Start,
    situation: &Situation<'_>,
    random: impl FnOnce() -> u64,
) -> Result<Started, StartRefused> {
    if let Some(running) = situation.last.filter(|last| !last.stage.is_over()) {
        let place = format!("{} at {}", running.candidate, sentence::place(running));
        return Err(StartRefused::Running(place));
    }
    wish.plan.check()?;
    let assignment = join(&wish.candidate, situation.assignment, random)?;
    let version = wish.version.clone();
    if let Some(version) = version.as_deref().filter(|_| !wish.again) {
        situation.attempts.allow(version, &wish.plan, situation.unix_ms)?;
    }
    let broken = broken_limits(&wish, situation)?;
    let judging = judging::settings(&wish.plan, &situation.base, broken.unarmed)?;
    let warnings = warnings(&wish, situation);
    let rollout = Rollout {
        id: situation.last.map_or(1, |last| last.id + 1),
        candidate: wish.candidate,
        base: situation.assignment.active.clone(),
        version,
        plan_name: wish.plan_name,
        plan: wish.plan,
        gates: wish.gates,
        judging,
        unarmed: broken.in_words,
        started_by: wish.actor,
        started_at: situation.unix_ms,
        stage: Stage::Ready,
        since: Duration::ZERO,
        observed: Duration::ZERO,
        paused: None,
        held: None,
    };
    Ok(Started { rollout, assignment, warnings })
}

/// The candidate joins the slot with nothing, so that nobody moves, and draws a fresh salt.
fn join(
    candidate: &Name,
    assignment: &Assignment,
    random: impl FnOnce() -> u64,
) -> Result<Assignment, StartRefused> {
    let weight = assignment.weight(candidate);
    if *candidate != assignment.active && !weight.is_zero() {
        let name = candidate.clone();
        return Err(AssignmentError::HasTraffic { name, weight }.into());
    }
    Ok(assignment.set_candidate(candidate, random)?)
}

/// Limits that the active environment breaks.
#[derive(Default)]
struct Broken {
    unarmed: Unarmed,
    in_words: Vec<String>,
}

fn broken_limits(wish: &Start, situation: &Situation<'_>) -> Result<Broken, StartRefused> {
    let (limits, base) = (&wish.plan.limits, &situation.base);
    if base.requests < REQUESTS_TO_KNOW {
        return Ok(Broken::default());
    }
    let of = format!("of {} requests in {}", base.requests, duration::print(base.time));
    let errors = (base.error_rate > limits.error_rate_max).then(|| {
        let limit = format!("{} % failures", rounded(limits.error_rate_max * 100.0));
        (limit, format!("{} % {of}", rounded(base.error_rate * 100.0)))
    });
    let slow = (base.slow_share > 0.01).then(|| {
        let p99 = base.latency_p99.map_or("unknown".to_owned(), duration::print);
        (format!("{} p99", duration::print(limits.latency_p99_max)), format!("{p99} {of}"))
    });
    let unarmed = Unarmed { errors: errors.is_some(), latency: slow.is_some() };
    let mut in_words = Vec::new();
    for (limit, seen) in errors.into_iter().chain(slow) {
        if !wish.without_broken_limits {
            let base = situation.assignment.active.clone();
            return Err(StartRefused::LimitBroken { base, limit, seen });
        }
        in_words.push(format!("{limit} ({seen})"));
    }
    Ok(Broken { unarmed, in_words })
}

/// Steps that would wait for their requests longer than they may.
fn warnings(wish: &Start, situation: &Situation<'_>) -> Vec<String> {
    let base = &situation.base;
    let per_second = f64::from(base.requests) / base.time.as_secs_f64().max(1.0);
    if base.requests == 0 {
        let active = &situation.assignment.active;
        return vec![format!("{active} had no requests lately: how long steps take is unknown")];
    }
    let too_long = |step: &crate::model::plan::Step| {
        let rate = per_second * step.share.percent() / 100.0;
        let needed = Duration::try_from_secs_f64(f64::from(step.requests_min) / rate).ok();
        let is_too_long = needed.is_none_or(|needed| needed > wish.plan.wait_max);
        is_too_long.then(|| {
            let needed = needed.map_or("ages".to_owned(), |n| duration::print(whole_minutes(n)));
            format!(
                "the step to {} % needs {} requests, about {needed} at {per_second:.1} requests/s, and may wait {}",
                step.share,
                step.requests_min,
                duration::print(wish.plan.wait_max)
            )
        })
    };
    let mut warnings: Vec<String> = wish
        .plan
        .steps
        .iter()
        .filter(|step| step.share != Weight::FULL)
        .filter_map(too_long)
        .collect();
    if wish.version.is_none() {
        warnings.push(format!("{} has no version label: attempts are not counted", wish.candidate));
    }
    warnings
}

fn whole_minutes(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().div_ceil(60) * 60)
}

fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

impl Attempts {
    /// Remembers that a version was rolled back.
    pub fn rolled_back(&mut self, version: &str, unix_ms: u64) {
        if let Some(known) = self.0.iter_mut().find(|attempt| attempt.version == version) {
            known.rolled_back = known.rolled_back.saturating_add(1);
            known.last_ms = unix_ms;
            return;
        }
        if self.0.len() == VERSIONS_MAX {
            self.0.remove(0);
        }
        self.0.push(Attempt { version: version.to_owned(), rolled_back: 1, last_ms: unix_ms });
    }

    fn allow(&self, version: &str, plan: &Plan, unix_ms: u64) -> Result<(), StartRefused> {
        let Some(known) = self.0.iter().find(|attempt| attempt.version == version) else {
            return Ok(());
        };
        let version = version.to_owned();
        if known.rolled_back >= plan.attempts_max {
            let (times, max) = (known.rolled_back, plan.attempts_max);
            return Err(StartRefused::TooManyAttempts { version, times, max });
        }
        // A clock that was set back must not lock a version out for longer than its cool-down.
        let passed = Duration::from_millis(unix_ms.saturating_sub(known.last_ms));
        match plan.cool_down.checked_sub(passed).filter(|left| !left.is_zero()) {
            Some(left) => Err(StartRefused::CoolingDown { version, left }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Step;
    use crate::model::routing_table::Weighted;
    use crate::model::service::InitialSplit;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn percent(percent: f64) -> Weight {
        Weight::from_percent(percent).unwrap()
    }

    fn split(shares: [(&str, f64); 3]) -> Assignment {
        let weighted = |(n, share)| Weighted { environment: name(n), weight: percent(share) };
        let initial = InitialSplit {
            active: name("blue"),
            candidate: None,
            fallback: None,
            weights: shares.map(weighted).to_vec(),
        };
        Assignment::initial(&initial, || 1)
    }

    fn wish() -> Start {
        Start {
            candidate: name("green"),
            version: Some("v42".into()),
            plan: Plan::default(),
            plan_name: "default".into(),
            gates: vec![],
            without_broken_limits: false,
            again: false,
            actor: "cli:ana".into(),
        }
    }

    /// A situation that owns what it is made of.
    struct Now {
        last: Option<Rollout>,
        attempts: Attempts,
        base: BaseMeasured,
        unix_ms: u64,
    }

    /// What is said when this is asked for in this situation.
    fn said(wish: Start, change: impl FnOnce(&mut Now)) -> String {
        let assignment = split([("blue", 90.0), ("green", 0.0), ("red", 10.0)]);
        let time = Duration::from_secs(900);
        let mut now = Now {
            last: None,
            attempts: Attempts::default(),
            base: BaseMeasured { requests: 90_000, time, ..BaseMeasured::default() },
            unix_ms: 0,
        };
        change(&mut now);
        let situation = Situation {
            assignment: &assignment,
            last: now.last.as_ref(),
            attempts: &now.attempts,
            base: now.base,
            unix_ms: now.unix_ms,
        };
        match start(wish, &situation, || 9) {
            Ok(started) => started.warnings.join(" / "),
            Err(refused) => refused.to_string(),
        }
    }

    #[test]
    fn starting_moves_nobody_and_draws_a_fresh_salt() {
        let assignment = split([("blue", 90.0), ("green", 0.0), ("red", 10.0)]);
        let attempts = Attempts::default();
        let base = BaseMeasured::default();
        let situation = Situation {
            assignment: &assignment,
            last: None,
            attempts: &attempts,
            base,
            unix_ms: 5,
        };
        let started = start(wish(), &situation, || 9).unwrap();
        assert_eq!(started.assignment.weights(), assignment.weights());
        assert_ne!(started.assignment.rollout_salt, assignment.rollout_salt);
        assert!(started.assignment.is_partner(&name("green")));
        assert_eq!((started.rollout.id, started.rollout.base), (1, name("blue")));
    }

    #[test]
    fn what_cannot_be_started_is_refused_with_a_remedy() {
        let to = |candidate: &str| Start { candidate: name(candidate), ..wish() };
        let steps = |shares: &[f64]| {
            let steps = shares.iter().map(|share| Step::to(percent(*share))).collect();
            Start { plan: Plan { steps, ..Plan::default() }, ..wish() }
        };
        for (wish, expected) in [
            (to("blue"), "`blue` is the active environment; switch to another one first"),
            (to("mauve"), "unknown environment `mauve`; configured: blue, green, red"),
            (
                to("red"),
                "`red` has 10 % of the traffic; set it to 0 before it becomes the candidate",
            ),
            (steps(&[]), "no steps; write at least the switch, 100 %"),
            (
                steps(&[5.0, 5.0, 100.0]),
                "step 2 is 5 %, not above the 5 % before it; steps must rise",
            ),
            (steps(&[5.0, 50.0]), "the last step is 50 %, must be 100; to stay there, pause it"),
        ] {
            assert_eq!(said(wish, |_| ()), expected);
        }
    }

    #[test]
    fn one_rollout_at_a_time() {
        let assignment = split([("blue", 90.0), ("green", 0.0), ("red", 10.0)]);
        let attempts = Attempts::default();
        let base = BaseMeasured::default();
        let situation = Situation {
            assignment: &assignment,
            last: None,
            attempts: &attempts,
            base,
            unix_ms: 5,
        };
        let running = start(wish(), &situation, || 9).unwrap().rollout;
        let said = said(wish(), |now| now.last = Some(running));
        assert!(said.starts_with("a rollout is running: green at waiting to be ready"), "{said}");
    }

    #[test]
    fn a_version_that_was_rolled_back_waits_and_is_not_tried_for_ever() {
        let minute = 60_000;
        let mut attempts = Attempts::default();
        attempts.rolled_back("v42", 0);
        let at = |attempts: &Attempts, unix_ms| {
            said(wish(), |now| {
                now.attempts.clone_from(attempts);
                now.unix_ms = unix_ms;
            })
        };
        let cooling =
            "v42 was rolled back a moment ago; wait 20m (its cool-down), or start with --again";
        assert_eq!(at(&attempts, 10 * minute), cooling);
        assert_eq!(at(&attempts, 30 * minute), "");
        attempts.rolled_back("v42", 30 * minute);
        assert!(at(&attempts, 90 * minute).starts_with("v42 was rolled back 2 times, at most 2"));
        let again = said(Start { again: true, ..wish() }, |now| now.attempts = attempts);
        assert_eq!(again, "");
    }

    #[test]
    fn a_limit_that_the_base_breaks_is_not_armed() {
        let broken = |now: &mut Now| now.base.error_rate = 0.071;
        assert_eq!(
            said(wish(), broken),
            "blue itself breaks the limit of 5 % failures: 7.1 % of 90000 requests in 15m; raise the limit, or start with --without-broken-limits"
        );
        let all_the_same = Start { without_broken_limits: true, ..wish() };
        assert_eq!(said(all_the_same, broken), "");
    }

    #[test]
    fn steps_that_take_too_long_are_told_before() {
        let slow = |now: &mut Now| now.base.requests = 90;
        let said = said(wish(), slow);
        let first =
            "the step to 1 % needs 50 requests, about 13h54m at 0.1 requests/s, and may wait 2h";
        assert!(said.starts_with(first), "{said}");
    }
}
