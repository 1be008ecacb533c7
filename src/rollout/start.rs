//! May a rollout start? Everything that speaks against it is said before anything has changed.

use std::time::Duration;

use super::attempts::{AttemptRefused, Attempts};
use super::estimate;
use super::judging::{self, Unarmed};
use super::sentence;
use super::stage::{Gate, Stage};
use super::start_key::StartKey;
use super::value::Rollout;
use crate::judge::settings::SettingsError;
use crate::model::assignment::{Assignment, AssignmentError};
use crate::model::duration;
use crate::model::name::Name;
use crate::model::plan::{Plan, PlanError};

/// Requests of the active environment without which its own rates say nothing.
pub(super) const REQUESTS_TO_KNOW: u32 = 200;

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
    /// By what it is known again.
    pub key: Option<StartKey>,
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
    /// Quality scores of users' answers came in.
    pub has_scores: bool,
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
    /// The key of this start came with another one.
    #[error(
        "this Idempotency-Key started rollout {0} by another call; make a new key for each call"
    )]
    KeyReused(u64),
    /// This version was rolled back a moment ago, or too often.
    #[error(transparent)]
    Attempt(#[from] AttemptRefused),
    /// The active environment does not keep a limit that the candidate shall keep.
    #[error(
        "{base} itself breaks the limit of {limit}: {seen}; raise the limit, or start with --without-broken-limits"
    )]
    LimitBroken {
        /// The active environment.
        base: Name,
        /// `5 % failures`
        limit: String,
        /// `7.1 % of 8210 requests in 15 min`
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
        let place = format!("{}, {}", running.candidate, sentence::place(running));
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
    let mut unarmed = broken.in_words;
    if !judging::judges_quality(&wish.plan, &situation.base) {
        unarmed.push(format!("quality ({} has no scores)", situation.assignment.active));
    }
    let rollout = Rollout {
        id: situation.last.map_or(1, |last| last.id + 1),
        candidate: wish.candidate,
        base: situation.assignment.active.clone(),
        version,
        plan_name: wish.plan_name,
        plan: wish.plan,
        gates: wish.gates,
        judging,
        unarmed,
        started_by: wish.actor,
        started_at: situation.unix_ms,
        stands_since: situation.unix_ms,
        stage: Stage::Ready,
        since: Duration::ZERO,
        observed: Duration::ZERO,
        paused: None,
        held: None,
        muted: None,
        rollback_time: None,
        start_key: wish.key,
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
    let of = format!("of {} requests in {}", base.requests, duration::spoken(base.time));
    let errors = (base.error_rate > limits.error_rate_max).then(|| {
        let limit = format!("{} % failures", rounded(limits.error_rate_max * 100.0));
        (limit, format!("{} % {of}", rounded(base.error_rate * 100.0)))
    });
    let slow = (base.slow_share > 0.01).then(|| {
        let p99 = base.latency_p99.map_or("unknown".to_owned(), duration::spoken);
        (format!("{} p99", duration::spoken(limits.latency_p99_max)), format!("{p99} {of}"))
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

/// What somebody should know before the first user meets the candidate.
fn warnings(wish: &Start, situation: &Situation<'_>) -> Vec<String> {
    let (base, active) = (&situation.base, &situation.assignment.active);
    let mut warnings = if base.requests == 0 {
        vec![format!("{active} had no requests lately: how long steps take is unknown")]
    } else {
        estimate::too_long_steps(&wish.plan, base)
    };
    if wish.version.is_none() {
        warnings.push(format!("{} has no version label: attempts are not counted", wish.candidate));
    }
    if !base.has_scores {
        warnings.push(if judging::judges_quality(&wish.plan, base) {
            format!("{active} has no scores: quality is judged by its limit alone")
        } else {
            format!("{active} has no scores: quality is not judged; send some, or set its limit")
        });
    }
    warnings
}

fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Step;
    use crate::model::routing_table::Weighted;
    use crate::model::service::InitialSplit;
    use crate::model::weight::Weight;

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
            key: None,
        }
    }

    /// A situation that owns what it is made of: 90 % on blue, 10 % on red, plenty of requests.
    struct Now {
        assignment: Assignment,
        last: Option<Rollout>,
        attempts: Attempts,
        base: BaseMeasured,
    }

    impl Default for Now {
        fn default() -> Self {
            let time = Duration::from_secs(900);
            Self {
                assignment: split([("blue", 90.0), ("green", 0.0), ("red", 10.0)]),
                last: None,
                attempts: Attempts::default(),
                base: BaseMeasured {
                    requests: 90_000,
                    time,
                    has_scores: true,
                    ..BaseMeasured::default()
                },
            }
        }
    }

    impl Now {
        fn start(&self, wish: Start) -> Result<Started, StartRefused> {
            let situation = Situation {
                assignment: &self.assignment,
                last: self.last.as_ref(),
                attempts: &self.attempts,
                base: self.base,
                unix_ms: 0,
            };
            start(wish, &situation, || 9)
        }

        fn said(&self, wish: Start) -> String {
            match self.start(wish) {
                Ok(started) => started.warnings.join(" / "),
                Err(refused) => refused.to_string(),
            }
        }
    }

    #[test]
    fn starting_moves_nobody_and_draws_a_fresh_salt() {
        let now = Now::default();
        let started = now.start(wish()).unwrap();
        assert_eq!(started.assignment.weights(), now.assignment.weights());
        assert_ne!(started.assignment.rollout_salt, now.assignment.rollout_salt);
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
            assert_eq!(Now::default().said(wish), expected);
        }
    }

    #[test]
    fn one_rollout_at_a_time() {
        let last = Now::default().start(wish()).unwrap().rollout;
        let said = Now { last: Some(last), ..Now::default() }.said(wish());
        assert!(said.starts_with("a rollout is running: green, waiting to be ready"), "{said}");
    }

    #[test]
    fn a_version_that_was_rolled_back_starts_when_somebody_insists() {
        let mut attempts = Attempts::default();
        attempts.rolled_back("v42", 0);
        let now = Now { attempts, ..Now::default() };
        assert!(now.said(wish()).starts_with("v42 was rolled back a moment ago"));
        assert_eq!(now.said(Start { again: true, ..wish() }), "");
    }

    #[test]
    fn a_limit_that_the_base_breaks_is_not_armed() {
        let mut now = Now::default();
        now.base.error_rate = 0.071;
        assert_eq!(
            now.said(wish()),
            "blue itself breaks the limit of 5 % failures: 7.1 % of 90000 requests in 15 min; raise the limit, or start with --without-broken-limits"
        );
        let started = now.start(Start { without_broken_limits: true, ..wish() }).unwrap();
        assert_eq!(started.rollout.unarmed, ["5 % failures (7.1 % of 90000 requests in 15 min)"]);
    }

    #[test]
    fn what_somebody_should_know_is_told_before() {
        let base = BaseMeasured::default();
        let quiet = Now { base, ..Now::default() };
        assert_eq!(
            quiet.said(Start { version: None, ..wish() }),
            "blue had no requests lately: how long steps take is unknown / \
             green has no version label: attempts are not counted / \
             blue has no scores: quality is not judged; send some, or set its limit"
        );
    }

    #[test]
    fn quality_that_is_not_judged_is_named() {
        let mut now = Now::default();
        now.base.has_scores = false;
        let unarmed = |wish| now.start(wish).unwrap().rollout.unarmed;
        assert_eq!(unarmed(wish()), ["quality (blue has no scores)"]);
        let mut set = wish();
        set.plan.limits.is_quality_set = true;
        assert_eq!(unarmed(set.clone()), [""; 0]);
        assert_eq!(now.said(set), "blue has no scores: quality is judged by its limit alone");
    }
}
