//! Quality scores as sums: how many, their mean and their variance, in each environment and by name.
//!
//! A score counts in the windows of 5 min and 1 h when it comes in, since scores are late by nature and
//! people ask what was said lately; it counts for a step only if its exchange began in that step. With a
//! new version all but the total begins anew, since scores of the old one say nothing of it. Those of
//! evaluations are kept apart, for a comparison must leave them out. Sums are all that is kept, so memory
//! is known: 16 names per environment with 184 slots of 32 bytes, 96 KB.
//!
//! Pure: time since the epoch is an argument.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::environment::EnvironmentId;
use crate::model::name::Name;

/// Kinds of scores that one environment may have: each is a label value and a row of slots.
pub const NAMES_MAX: usize = 16;

/// Which scores are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreWindow {
    /// Those that came in within the last 5 minutes.
    Minutes5,
    /// Those that came in within the last hour.
    Hour,
    /// Those of exchanges that began since the weights of the service changed last.
    Step,
    /// All since the process started, or the environment was made.
    Start,
}

/// Where a score comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreOrigin {
    /// The answer to a user's request.
    Users,
    /// An evaluation, whose questions somebody chose.
    Evaluations,
}

/// Scores: how many there are, their sum and the sum of their squares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScoreSum {
    n: u64,
    sum: f64,
    squares: f64,
}

/// The scores of every environment.
#[derive(Debug, Default)]
pub struct ScoreLog {
    environments: HashMap<EnvironmentId, Kinds>,
}

/// An environment, as far as scores depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Which one.
    pub id: EnvironmentId,
    /// When its step began.
    pub step_since: Duration,
    /// Its version label.
    pub version: Option<Arc<str>>,
}

/// The scores of one environment by name.
#[derive(Debug, Default)]
struct Kinds {
    step_since: Duration,
    version: Option<Arc<str>>,
    version_since: Duration,
    /// Of each origin.
    by_name: BTreeMap<Name, [Recent; 2]>,
}

/// The scores of one name and origin.
#[derive(Debug, Default)]
struct Recent {
    minutes5: Slots<10, 30>,
    hour: Slots<60, 60>,
    step: ScoreSum,
    start: ScoreSum,
}

/// Sums of `SECONDS` each; a window is the last `COUNT` of them and what is left of one more.
#[derive(Debug, Default)]
struct Slots<const SECONDS: u64, const COUNT: u64>(VecDeque<(u64, ScoreSum)>);

impl ScoreWindow {
    /// All of them, the shortest first.
    pub const ALL: [Self; 4] = [Self::Minutes5, Self::Hour, Self::Step, Self::Start];

    /// The name in JSON and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Minutes5 => "5m",
            Self::Hour => "1h",
            Self::Step => "step",
            Self::Start => "start",
        }
    }
}

impl ScoreSum {
    /// How many.
    pub fn count(&self) -> u64 {
        self.n
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean; `None` of none.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / count(self.n))
    }

    /// Their variance as a sample's; `None` of fewer than two.
    pub fn variance(&self) -> Option<f64> {
        let mean = self.mean().filter(|_| self.n > 1)?;
        // Values lie in 0 to 1, so that little is lost in the difference; it must not go below zero.
        Some(((self.squares - self.sum * mean) / count(self.n - 1)).max(0.0))
    }

    /// Adds a score that so many have.
    pub fn add(&mut self, value: f64, times: u32) {
        self.n += u64::from(times);
        self.sum += value * f64::from(times);
        self.squares += value * value * f64::from(times);
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

impl ScoreLog {
    /// Takes over which environments there are. One that is gone is forgotten, and a new step or version
    /// begins with nothing.
    pub fn know(&mut self, environments: impl Iterator<Item = Scene>, now: Duration) {
        let mut before = std::mem::take(&mut self.environments);
        for Scene { id, step_since, version } in environments {
            let kinds = before.remove(&id).map(|mut kinds| {
                if kinds.version != version {
                    kinds.begin_version(version.clone(), now);
                }
                if kinds.step_since != step_since {
                    kinds.step_since = step_since;
                    let recent = kinds.by_name.values_mut().flatten();
                    recent.for_each(|recent| recent.step = ScoreSum::default());
                }
                kinds
            });
            let kinds = kinds.unwrap_or_else(|| Kinds { step_since, version, ..Kinds::default() });
            self.environments.insert(id, kinds);
        }
    }

    /// Whether scores of these names find a place beside those that are there.
    pub fn has_room<'n>(&self, id: EnvironmentId, names: impl Iterator<Item = &'n Name>) -> bool {
        let known = self.environments.get(&id);
        let is_new = |name: &&Name| known.is_none_or(|kinds| !kinds.by_name.contains_key(*name));
        let new: std::collections::BTreeSet<_> = names.filter(is_new).collect();
        known.map_or(0, |kinds| kinds.by_name.len()) + new.len() <= NAMES_MAX
    }

    /// Counts a score, and how many have it, of an exchange that began then. A name that finds no place is
    /// not counted; `has_room` says so before.
    pub fn add(
        &mut self,
        id: EnvironmentId,
        (name, origin): (&Name, ScoreOrigin),
        (value, times): (f64, u32),
        began: Duration,
        now: Duration,
    ) {
        if !self.has_room(id, std::iter::once(name)) {
            return;
        }
        let kinds = self.environments.entry(id).or_default();
        let recent = &mut kinds.by_name.entry(name.clone()).or_default()[origin as usize];
        recent.start.add(value, times);
        if began < kinds.version_since {
            return;
        }
        if began >= kinds.step_since {
            recent.step.add(value, times);
        }
        recent.minutes5.add(value, times, now);
        recent.hour.add(value, times, now);
    }

    /// What there is of a name.
    pub fn read(
        &self,
        id: EnvironmentId,
        name: &Name,
        window: ScoreWindow,
        now: Duration,
    ) -> ScoreSum {
        let mut sum = self.read_of(id, (name, ScoreOrigin::Users), window, now);
        sum.merge(&self.read_of(id, (name, ScoreOrigin::Evaluations), window, now));
        sum
    }

    /// What there is of a name and origin.
    pub fn read_of(
        &self,
        id: EnvironmentId,
        (name, origin): (&Name, ScoreOrigin),
        window: ScoreWindow,
        now: Duration,
    ) -> ScoreSum {
        let kinds = self.environments.get(&id).and_then(|kinds| kinds.by_name.get(name));
        let recent = kinds.map(|origins| &origins[origin as usize]);
        recent.map_or_else(ScoreSum::default, |recent| match window {
            ScoreWindow::Minutes5 => recent.minutes5.sum(now),
            ScoreWindow::Hour => recent.hour.sum(now),
            ScoreWindow::Step => recent.step,
            ScoreWindow::Start => recent.start,
        })
    }

    /// The names that an environment has scores of.
    pub fn names(&self, id: EnvironmentId) -> impl Iterator<Item = &Name> {
        self.environments.get(&id).into_iter().flat_map(|kinds| kinds.by_name.keys())
    }
}

impl Kinds {
    fn begin_version(&mut self, version: Option<Arc<str>>, now: Duration) {
        (self.version, self.version_since) = (version, now);
        for recent in self.by_name.values_mut().flatten() {
            *recent = Recent { start: recent.start, ..Recent::default() };
        }
    }
}

impl<const SECONDS: u64, const COUNT: u64> Slots<SECONDS, COUNT> {
    fn add(&mut self, value: f64, times: u32, now: Duration) {
        let number = now.as_secs() / SECONDS;
        if self.0.back().is_none_or(|(newest, _)| *newest < number) {
            self.0.push_back((number, ScoreSum::default()));
        }
        while self.0.front().is_some_and(|(oldest, _)| oldest + COUNT < number) {
            self.0.pop_front();
        }
        if let Some((_, newest)) = self.0.back_mut() {
            newest.add(value, times);
        }
    }

    fn sum(&self, now: Duration) -> ScoreSum {
        let number = now.as_secs() / SECONDS;
        let mut sum = ScoreSum::default();
        let recent = self.0.iter().filter(|(slot, _)| slot + COUNT >= number);
        recent.for_each(|(_, slot)| sum.merge(slot));
        sum
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52 scores it is exact")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: EnvironmentId = EnvironmentId(1);
    const S: fn(u64) -> Duration = Duration::from_secs;

    fn quality() -> Name {
        Name::new("quality").unwrap()
    }

    fn log() -> ScoreLog {
        let mut log = ScoreLog::default();
        know(&mut log, 0, "v1", 0);
        log
    }

    fn know(log: &mut ScoreLog, step_since: u64, version: &str, now: u64) {
        let version = Some(version.into());
        log.know([Scene { id: BLUE, step_since: S(step_since), version }].into_iter(), S(now));
    }

    fn counts(log: &ScoreLog, now: u64) -> [u64; 4] {
        ScoreWindow::ALL.map(|window| log.read(BLUE, &quality(), window, S(now)).count())
    }

    #[test]
    fn mean_and_variance_are_those_of_the_values() {
        let sum = |values: &[f64]| {
            let mut sum = ScoreSum::default();
            values.iter().for_each(|value| sum.add(*value, 1));
            sum
        };
        assert_eq!((sum(&[]).mean(), sum(&[]).variance()), (None, None));
        assert_eq!((sum(&[0.4]).mean(), sum(&[0.4]).variance()), (Some(0.4), None));
        let four = sum(&[1.0, 0.0, 1.0, 1.0]);
        assert_eq!((four.mean(), four.variance()), (Some(0.75), Some(0.25)));
        let mut cases = ScoreSum::default();
        cases.add(1.0, 3);
        cases.add(0.0, 1);
        assert_eq!(cases, four);
        let same = sum(&[0.1; 1_000]).variance().unwrap();
        assert!((0.0..1e-12).contains(&same), "{same}");
    }

    #[test]
    fn a_score_leaves_each_window_at_its_time() {
        let mut log = log();
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.5, 1), S(0), S(7));
        for (now, expected) in [
            (7, [1, 1, 1, 1]),
            (307, [1, 1, 1, 1]), // never shorter than its name says
            (310, [0, 1, 1, 1]),
            (3_607, [0, 1, 1, 1]),
            (3_660, [0, 0, 1, 1]),
        ] {
            assert_eq!(counts(&log, now), expected, "at {now} s");
        }
    }

    #[test]
    fn a_late_score_counts_for_the_step_of_its_exchange_only() {
        let mut log = log();
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.5, 1), S(0), S(10));
        know(&mut log, 100, "v1", 100);
        assert_eq!(counts(&log, 100), [1, 1, 0, 1]);
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.5, 1), S(99), S(101));
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.5, 1), S(100), S(102));
        know(&mut log, 100, "v1", 102);
        assert_eq!(counts(&log, 102), [3, 3, 1, 3]);
        log.know(std::iter::empty(), S(103));
        know(&mut log, 100, "v1", 103);
        assert_eq!(counts(&log, 103), [0; 4], "it was removed and made anew");
    }

    #[test]
    fn scores_of_an_older_version_say_nothing_of_a_new_one() {
        let mut log = log();
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.1, 40), S(5), S(10));
        know(&mut log, 0, "v2", 20);
        assert_eq!(counts(&log, 20), [0, 0, 0, 40]);
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.1, 1), S(19), S(21));
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.9, 1), S(20), S(21));
        assert_eq!(counts(&log, 21), [1, 1, 1, 42]);
    }

    #[test]
    fn evaluations_are_told_apart_and_count_with_the_others() {
        use ScoreOrigin::{Evaluations, Users};
        let mut log = log();
        log.add(BLUE, (&quality(), Users), (0.5, 2), S(0), S(10));
        log.add(BLUE, (&quality(), Evaluations), (1.0, 40), S(0), S(10));
        for window in ScoreWindow::ALL {
            let of = |origin| log.read_of(BLUE, (&quality(), origin), window, S(10)).mean();
            assert_eq!((of(Users), of(Evaluations)), (Some(0.5), Some(1.0)));
            assert_eq!(log.read(BLUE, &quality(), window, S(10)).count(), 42);
        }
    }

    #[test]
    fn names_and_slots_are_bounded() {
        let mut log = log();
        let name = |index: usize| Name::new(&format!("n{index}")).unwrap();
        for index in 0..NAMES_MAX + 4 {
            assert_eq!(log.has_room(BLUE, std::iter::once(&name(index))), index < NAMES_MAX);
            log.add(BLUE, (&name(index), ScoreOrigin::Users), (0.5, 1), S(0), S(0));
        }
        assert_eq!(log.names(BLUE).count(), NAMES_MAX);
        let both = [name(0), name(99)];
        assert!(!log.has_room(BLUE, both.iter()) && log.has_room(BLUE, both[..1].iter()));
        for second in 0..50_000 {
            log.add(BLUE, (&name(0), ScoreOrigin::Users), (0.5, 1), S(second), S(second));
        }
        let recent = &log.environments[&BLUE].by_name[&name(0)][0];
        assert_eq!((recent.minutes5.0.len(), recent.hour.0.len()), (31, 61));
    }
}
