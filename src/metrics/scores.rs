//! Quality scores as sums: how many, their mean and their variance, in each environment and by name.
//!
//! A score counts in the windows of 5 min and 1 h when it comes in, since scores are late by nature and
//! people ask what was said lately; it counts for a step only if its exchange began in that step. With a
//! new version all but the total begins anew, since scores of the old one say nothing of it. Those of
//! evaluations are kept apart, for a comparison must leave them out. Sums are all that is kept, so memory
//! is known: 16 names per environment with 184 slots of 32 bytes, 96 KB; and where the disk takes nothing,
//! twice 360 slots more of each.
//!
//! What came in since it was last asked for (`take_new`) is to be written down, and what was written down
//! in the last hour comes back after a restart (`restore`), so that a gate that asks for scores of an hour
//! finds them.
//!
//! Pure: time since the epoch is an argument.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::score_slots::Slots;
pub use super::score_sum::ScoreSum;
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;

/// Kinds of scores that one environment may have: each is a label value and a row of slots.
pub const NAMES_MAX: usize = 16;

/// Scores are written down in sums of so many seconds.
const NEW_SECONDS: i64 = 10;

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
    /// What is not written down yet.
    new: Slots<NEW_SECONDS, 360>,
    step: ScoreSum,
    start: ScoreSum,
}

/// What came in within ten seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct NewScores {
    /// The environment.
    pub id: EnvironmentId,
    /// What was judged.
    pub name: Name,
    /// Where the scores come from.
    pub origin: ScoreOrigin,
    /// When the ten seconds began, in seconds since the epoch.
    pub began_s: i64,
    /// The scores.
    pub sum: ScoreSum,
}

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

impl ScoreOrigin {
    /// All of them, by their number.
    pub const ALL: [Self; 2] = [Self::Users, Self::Evaluations];

    /// The name in the store.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Evaluations => "evaluations",
        }
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
        recent.new.add(value, times, now);
    }

    /// What came in since this was asked last.
    pub fn take_new(&mut self) -> Vec<NewScores> {
        let mut all = Vec::new();
        for (id, kinds) in &mut self.environments {
            for (name, origins) in &mut kinds.by_name {
                for (origin, recent) in ScoreOrigin::ALL.into_iter().zip(origins) {
                    let new = |(began_s, sum)| NewScores {
                        id: *id,
                        name: name.clone(),
                        origin,
                        began_s,
                        sum,
                    };
                    all.extend(std::mem::take(&mut recent.new).into_sums().map(new));
                }
            }
        }
        all
    }

    /// Takes back what came in before the epoch, so long before as its ten seconds began. The oldest
    /// comes first, and all of it before anything new.
    pub fn restore(
        &mut self,
        id: EnvironmentId,
        (name, origin): (&Name, ScoreOrigin),
        sum: &ScoreSum,
        before: Duration,
    ) {
        if !self.has_room(id, std::iter::once(name)) {
            return;
        }
        let kinds = self.environments.entry(id).or_default();
        let recent = &mut kinds.by_name.entry(name.clone()).or_default()[origin as usize];
        recent.minutes5.restore(sum, before);
        recent.hour.restore(sum, before);
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
    fn what_was_written_down_comes_back_for_the_rest_of_its_hour() {
        let mut log = log();
        log.add(BLUE, (&quality(), ScoreOrigin::Users), (0.5, 1), S(3), S(1_203));
        log.add(BLUE, (&quality(), ScoreOrigin::Evaluations), (1.0, 40), S(3), S(1_609));
        let mut new = log.take_new();
        new.sort_by_key(|new| new.began_s);
        assert_eq!(new.iter().map(|new| new.began_s).collect::<Vec<_>>(), [1_200, 1_600]);
        assert_eq!(log.take_new(), [], "each is told once");

        let mut next = self::log();
        let epoch = 1_700;
        for NewScores { id, name, origin, began_s, sum } in &new {
            let before = Duration::from_secs(epoch - began_s.unsigned_abs());
            next.restore(*id, (name, *origin), sum, before);
        }
        for (now, expected) in [
            (0, [40, 41, 0, 0]),
            (200, [40, 41, 0, 0]), // the evaluation is 5 min old at second 209
            (220, [0, 41, 0, 0]),
            (3_000, [0, 41, 0, 0]), // the first score is an hour old at second 3 103
            (3_180, [0, 40, 0, 0]),
            (3_600, [0, 0, 0, 0]),
        ] {
            assert_eq!(counts(&next, now), expected, "at {now} s");
        }
        assert_eq!(next.take_new(), [], "it is on the disk already");
        next.add(BLUE, (&quality(), ScoreOrigin::Users), (1.0, 1), S(0), S(1));
        assert_eq!(counts(&next, 1), [41, 42, 1, 1]);
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
        let slots = [recent.minutes5.len(), recent.hour.len(), recent.new.len()];
        assert_eq!(slots, [31, 61, 361]);
    }
}
