//! Quality scores on their way in: looked at as a whole, counted, and handed on one by one.
//!
//! A batch is counted or refused, never in parts, so that whoever is refused can mend it and send it
//! again without counting anything twice. Handing on never waits: a listener that is too slow loses the
//! oldest and is told how many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::clock::unix_ms;
use super::handle::{ControllerHandle, Shared};
use crate::metrics::scores::{NAMES_MAX, ScoreOrigin, ScoreSum, ScoreWindow};
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::score::Score;

/// Most scores of a batch. At a hundred bytes each they are a tenth of what a call may send.
pub const BATCH_MAX: usize = 1_000;
/// Scores that a listener may have unread: eight full batches.
const UNREAD_MAX: usize = 8 * BATCH_MAX;
/// Most refusals that are told of one batch.
const REFUSALS_MAX: usize = 20;

/// A score that somebody sends.
#[derive(Debug, Clone, PartialEq)]
pub struct NewScore {
    /// The service whose answer it is about.
    pub service: Name,
    /// The environment that the exchange counted for.
    pub environment: Name,
    /// The number of the exchange, if the sender knows it.
    pub exchange: Option<u64>,
    /// The rollout in which it took place, if the sender knows the exchange; 0 for none.
    pub rollout: Option<u64>,
    /// What was judged: `quality`.
    pub name: Name,
    /// How good it was.
    pub score: Score,
    /// Hash of the sticky key.
    pub key: Option<u64>,
    /// How many cases of an evaluation have this score; 1 of a user's.
    pub count: u32,
    /// How long ago the exchange began.
    pub age: Duration,
    /// It comes from an evaluation and not from a user's request: a gate may read it, the judge may not.
    pub is_evaluation: bool,
}

/// A score that was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The service.
    pub service: Name,
    /// The environment.
    pub environment: Name,
    /// The environment's number.
    pub environment_id: EnvironmentId,
    /// The number of the exchange, if the sender knew it.
    pub exchange: Option<u64>,
    /// The rollout in which it took place, if the sender knew the exchange; 0 for none.
    pub rollout: Option<u64>,
    /// What was judged.
    pub name: Name,
    /// How good it was.
    pub score: Score,
    /// Hash of the sticky key, as in the data plane.
    pub key: Option<u64>,
    /// When the exchange began, since the epoch of cohorts; zero for one before it. The time at which the
    /// score came in where the sender did not say.
    pub began: Duration,
    /// How many cases of an evaluation have this score; 1 of a user's.
    pub count: u32,
    /// It comes from an evaluation and must not enter the evidence.
    pub is_evaluation: bool,
}

/// Why a score was refused. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreRefused {
    /// No such service.
    #[error("unknown service `{name}`; configured: {known}")]
    UnknownService {
        /// What was asked for.
        name: Name,
        /// What there is.
        known: String,
    },
    /// No such environment.
    #[error("unknown environment `{name}` of service `{service}`; configured: {known}")]
    UnknownEnvironment {
        /// What was asked for.
        name: Name,
        /// The service.
        service: Name,
        /// What there is.
        known: String,
    },
    /// No such rollout, so no such exchange.
    #[error(
        "unknown exchange: it names rollout {rollout}, and `{service}` has had {last}; send the answer's \
         `X-Cyan-Exchange` as it was"
    )]
    UnknownRollout {
        /// What was asked for.
        rollout: u64,
        /// The service.
        service: Name,
        /// The number of its last rollout.
        last: u64,
    },
    /// More kinds of scores than are kept apart.
    #[error("`{name}` is one name too many for `{environment}`; use at most {NAMES_MAX} names")]
    TooManyNames {
        /// The new name.
        name: Name,
        /// The environment.
        environment: Name,
    },
}

/// What there is of one kind of scores in one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreSums {
    /// What was judged.
    pub name: Name,
    /// The sums of every window, in the order of `ScoreWindow::ALL`.
    pub sums: [ScoreSum; 4],
}

/// Those who want every score.
#[derive(Debug)]
pub(super) struct ScoreListeners(broadcast::Sender<Scored>);

impl Default for ScoreListeners {
    fn default() -> Self {
        Self(broadcast::channel(UNREAD_MAX).0)
    }
}

impl ControllerHandle {
    /// Counts scores, all of them or none.
    ///
    /// # Errors
    /// Which could not be counted, by their place in the batch, and why.
    pub fn score(&self, scores: &[NewScore]) -> Result<(), Vec<(usize, ScoreRefused)>> {
        self.shared.score(scores, Instant::now())
    }

    /// Every score that is counted from now on. `RecvError::Lagged(n)` says how many were lost.
    pub fn scored(&self) -> broadcast::Receiver<Scored> {
        self.shared.scored()
    }

    /// The scores of an environment, by name.
    pub fn scores(&self, environment: EnvironmentId) -> Vec<ScoreSums> {
        let now = self.shared.measurements.since_epoch(Instant::now());
        let log = self.shared.measurements.scores();
        let sums = |name: &Name| ScoreSums {
            name: name.clone(),
            sums: ScoreWindow::ALL.map(|window| log.read(environment, name, window, now)),
        };
        log.names(environment).map(sums).collect()
    }
}

impl ScoreSums {
    /// The sums of a window.
    pub fn of(&self, window: ScoreWindow) -> ScoreSum {
        self.sums[window as usize]
    }
}

impl Shared {
    /// Every score that is counted from now on.
    pub(super) fn scored(&self) -> broadcast::Receiver<Scored> {
        self.score_listeners.0.subscribe()
    }

    fn score(&self, scores: &[NewScore], now: Instant) -> Result<(), Vec<(usize, ScoreRefused)>> {
        let now = self.measurements.since_epoch(now);
        let (mut found, mut refused) = (Vec::with_capacity(scores.len()), Vec::new());
        let mut names = BTreeMap::new();
        // Held for checking and counting, so that nothing comes in between.
        let mut log = self.measurements.scores();
        for (index, score) in scores.iter().enumerate() {
            let fits = self.environment_of(score).and_then(|id| {
                let age = self.age(score)?;
                let names: &mut BTreeSet<&Name> = names.entry(id).or_default();
                let is_new = names.insert(&score.name);
                if is_new && !log.has_room(id, names.iter().copied()) {
                    names.remove(&score.name);
                    let (name, environment) = (score.name.clone(), score.environment.clone());
                    return Err(ScoreRefused::TooManyNames { name, environment });
                }
                Ok((id, age))
            });
            match fits {
                Ok((id, age)) => found.push(score.counted(id, now.saturating_sub(age))),
                Err(why) if refused.len() < REFUSALS_MAX => refused.push((index, why)),
                Err(_) => {}
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        for scored in found {
            let Scored { environment_id, name, score, count, began, .. } = &scored;
            let kind = (name, scored.origin());
            log.add(*environment_id, kind, (score.value(), *count), *began, now);
            // An error says that nobody listens.
            let _ = self.score_listeners.0.send(scored);
        }
        Ok(())
    }

    /// How long ago the exchange began at least. One of an earlier rollout began before the last started,
    /// whatever the sender says of it, so that it speaks neither for nor against a newer version.
    fn age(&self, score: &NewScore) -> Result<Duration, ScoreRefused> {
        let Some(rollout) = score.rollout.filter(|rollout| *rollout > 0) else {
            return Ok(score.age);
        };
        let release = self.published.load().release(score.service.as_str());
        let last = release.and_then(|release| release.release.rollout);
        let (id, started_at) = last.map_or((0, 0), |last| (last.id, last.started_at));
        if rollout > id {
            let service = score.service.clone();
            return Err(ScoreRefused::UnknownRollout { rollout, service, last: id });
        }
        let since_start = Duration::from_millis(unix_ms().saturating_sub(started_at));
        Ok(if rollout < id { score.age.max(since_start) } else { score.age })
    }

    fn environment_of(&self, score: &NewScore) -> Result<EnvironmentId, ScoreRefused> {
        let snapshot = self.snapshot.load();
        let names = |names: Vec<&str>| names.join(", ");
        let Some(table) = snapshot.table(score.service.as_str()) else {
            let known = snapshot.tables().iter().map(|table| table.service.name.as_str()).collect();
            let name = score.service.clone();
            return Err(ScoreRefused::UnknownService { name, known: names(known) });
        };
        let found = table.environment(score.environment.as_str());
        found.map(|environment| environment.id).ok_or_else(|| {
            let known = table.environments.iter().map(|e| e.name().as_str()).collect();
            ScoreRefused::UnknownEnvironment {
                name: score.environment.clone(),
                service: score.service.clone(),
                known: names(known),
            }
        })
    }
}

impl Scored {
    fn origin(&self) -> ScoreOrigin {
        if self.is_evaluation { ScoreOrigin::Evaluations } else { ScoreOrigin::Users }
    }
}

impl NewScore {
    fn counted(&self, environment_id: EnvironmentId, began: Duration) -> Scored {
        Scored {
            service: self.service.clone(),
            environment: self.environment.clone(),
            environment_id,
            exchange: self.exchange,
            rollout: self.rollout,
            name: self.name.clone(),
            score: self.score,
            key: self.key,
            began,
            count: self.count,
            is_evaluation: self.is_evaluation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;
    use super::super::test_rig::{Rig, chat, config, name, weights};
    use super::*;
    use crate::model::score;

    fn new_score(environment: &str, value: f64) -> NewScore {
        NewScore {
            service: name("chat"),
            environment: name(environment),
            exchange: Some(7),
            rollout: None,
            name: score::quality(),
            score: Score::new(value).unwrap(),
            key: Some(11),
            count: 1,
            age: Duration::ZERO,
            is_evaluation: false,
        }
    }

    fn counts(rig: &Rig, environment: &str) -> Option<[u64; 4]> {
        let snapshot = rig.handle.snapshot();
        let id = snapshot.table("chat").unwrap().environment(environment).unwrap().id;
        let scores = rig.handle.scores(id);
        scores.first().map(|scores| scores.sums.map(|sum| sum.count()))
    }

    #[tokio::test]
    async fn scores_are_counted_and_handed_on() {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(&config(&dir, vec![chat()]));
        let mut scored = rig.handle.scored();
        rig.handle.score(&[new_score("green", 0.5), new_score("green", 1.0)]).unwrap();
        assert_eq!((counts(&rig, "green"), counts(&rig, "blue")), (Some([2; 4]), None));
        let first = scored.try_recv().unwrap();
        assert_eq!((first.score.value(), first.key, first.exchange), (0.5, Some(11), Some(7)));
        assert_eq!(scored.try_recv().unwrap().score, Score::ONE);
    }

    #[tokio::test]
    async fn a_batch_is_refused_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(&config(&dir, vec![chat()]));
        let mut scored = rig.handle.scored();
        let unknown = NewScore { service: name("embed"), ..new_score("blue", 1.0) };
        let batch = [new_score("green", 0.5), unknown, new_score("red", 0.5)];
        let refused = rig.handle.score(&batch).unwrap_err();
        let told: Vec<_> = refused.iter().map(|(i, why)| format!("{i}: {why}")).collect();
        assert_eq!(
            told,
            [
                "1: unknown service `embed`; configured: chat",
                "2: unknown environment `red` of service `chat`; configured: blue, green",
            ]
        );
        let named = |i: usize| NewScore { name: name(&format!("n{i}")), ..new_score("blue", 1.0) };
        let many: Vec<_> = (0..=NAMES_MAX).chain(0..2).map(named).collect();
        let refused = rig.handle.score(&many).unwrap_err();
        assert_eq!(refused.len(), 1);
        assert_eq!(
            (refused[0].0, refused[0].1.to_string().as_str()),
            (NAMES_MAX, "`n16` is one name too many for `blue`; use at most 16 names")
        );
        assert_eq!((counts(&rig, "green"), counts(&rig, "blue")), (None, None));
        assert!(scored.try_recv().is_err(), "nothing was handed on");
    }

    #[tokio::test]
    async fn a_step_begins_with_a_change_of_weights() {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(&config(&dir, vec![chat()]));
        rig.handle.score(&[new_score("green", 0.5)]).unwrap();
        let weights = weights("blue=95 green=5");
        let (service, candidate, if_generation) = (name("chat"), None, None);
        rig.ask(Command::SetWeights { service, weights, candidate, if_generation }).await.unwrap();
        let begun = async {
            while counts(&rig, "green") != Some([1, 1, 0, 1]) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), begun).await.unwrap();
        let of_before = NewScore { age: Duration::from_secs(60), ..new_score("green", 0.5) };
        rig.handle.score(&[of_before, new_score("green", 0.5)]).unwrap();
        assert_eq!(counts(&rig, "green"), Some([3, 3, 1, 3]));
    }
}
