//! The cohorts of the last 35 minutes: how many exchanges began in each second, and what had become of
//! them at any age.
//!
//! A judge reads both environments at the same ages, so that neither looks worse for answering faster
//! or slower. What had *not* happened by an age is computed, never stored: whoever began and has no
//! mark is still running. So an exchange that never ends counts as what it is.
//!
//! Pure: seconds and ages come in as arguments, and whichever way marks are split over cores and
//! collections, the log is the same.

use std::collections::{HashMap, VecDeque};
use std::ops::{AddAssign, Range};
use std::time::Duration;

use super::age::AgeClass;
use super::cohort::{Mark, MarkAtAge, Marks};
use super::failed_keys::FailedKeys;
use super::near_map::NearMap;
use crate::model::environment::EnvironmentId;

/// How far back cohorts are kept: the longest age that is read (30 min) and time to read it.
pub const SECONDS_KEPT: u32 = 35 * 60;
/// Different counts kept per environment: 4 MB at 8 bytes, 8 MB if every vector had just doubled. 200
/// requests per second come to 4.4 MB in 35 minutes (`benches/recording.rs`). When more are needed, the
/// oldest seconds are forgotten before their time.
const ENTRIES_MAX: usize = 1 << 19;

/// All cohorts of all environments.
#[derive(Debug, Default)]
pub struct CohortLog {
    environments: HashMap<EnvironmentId, Cohorts>,
    /// Until when each core has handed over what it saw, since the epoch.
    collected: Vec<Option<Duration>>,
    lost: u64,
}

/// What had become, by an age, of the exchanges that began in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CohortAt {
    /// Began and did not withdraw. Forced requests and retries of clients are never among them.
    pub began: u64,
    /// Had failed before their first content.
    pub failed_early: u64,
    /// Had failed after it.
    pub failed_late: u64,
    /// Had been refused (307, 308, 4xx).
    pub refused: u64,
    /// Had ended in a way that may hold a rollout.
    pub watched: u64,
    /// Had lost their client.
    pub left: u64,
    /// Had had their first content.
    pub first_content: u64,
    /// Were still running, and had had no first content. An exchange that ended without any gives no
    /// sample of its time to first content: compare this with `first_content`, not with `began`.
    pub no_first_content: u64,
    /// Were still running.
    pub unfinished: u64,
}

/// The cohorts of one environment.
#[derive(Debug, Default)]
struct Cohorts {
    /// The second of the first cohort below.
    first: u32,
    /// One for each second since then: counts in the order of their codes.
    seconds: VecDeque<Vec<(MarkAtAge, u32)>>,
    entries: usize,
    /// Seconds before this were forgotten for want of room.
    room_from: u32,
    failed_keys: FailedKeys,
}

impl CohortLog {
    /// Nothing yet of this many cores.
    pub fn new(cores: usize) -> Self {
        Self { collected: vec![None; cores], ..Self::default() }
    }

    /// Takes over which environments there are; one that is gone is forgotten.
    pub fn know(&mut self, known: impl Fn(EnvironmentId) -> bool) {
        self.environments.retain(|id, _| known(*id));
    }

    /// Adds what a core handed over at `collected_at` since the epoch.
    pub fn add(
        &mut self,
        core: usize,
        marks: &Marks,
        failed_keys: &NearMap<EnvironmentId, FailedKeys>,
        collected_at: Option<Duration>,
    ) {
        self.lost += marks.lost();
        for (environment, second, code, count) in marks.iter() {
            let cohorts = self.environments.entry(environment).or_default();
            self.lost += cohorts.add(second, code, count);
        }
        for (environment, keys) in failed_keys.iter() {
            self.environments.entry(environment).or_default().failed_keys.merge(keys);
        }
        if let Some(collected) = self.collected.get_mut(core) {
            *collected = (*collected).max(collected_at);
        }
    }

    /// Until when every core has handed over what it saw; `None` before each has done so once.
    pub fn collected_until(&self) -> Option<Duration> {
        self.collected.iter().copied().min().flatten()
    }

    /// Whether everything that happened to this second's exchanges up to this age is in the log.
    pub fn is_complete(&self, second: u32, age: Duration) -> bool {
        let age = AgeClass::of(age).bound().unwrap_or(Duration::MAX);
        let last = Duration::from_secs(u64::from(second) + 1).saturating_add(age);
        self.collected_until().is_some_and(|until| until >= last)
    }

    /// The seconds that are kept of an environment.
    pub fn seconds(&self, environment: EnvironmentId) -> Range<u32> {
        self.environments.get(&environment).map_or(0..0, Cohorts::range)
    }

    /// What had become of this second's exchanges by this age; zeros where nothing began.
    pub fn at(&self, environment: EnvironmentId, second: u32, age: Duration) -> CohortAt {
        let cohorts = self.environments.get(&environment);
        let cohort = cohorts.and_then(|cohorts| cohorts.of(second));
        cohort.map_or_else(CohortAt::default, |cohort| CohortAt::read(cohort, AgeClass::of(age)))
    }

    /// The same for several seconds together.
    pub fn over(&self, environment: EnvironmentId, seconds: Range<u32>, age: Duration) -> CohortAt {
        let kept = self.seconds(environment);
        let mut sum = CohortAt::default();
        for second in seconds.start.max(kept.start)..seconds.end.min(kept.end) {
            sum += self.at(environment, second, age);
        }
        sum
    }

    /// The keys of exchanges that failed since the last `begin_keys`, as a sample that is fair.
    pub fn failed_keys(&self, environment: EnvironmentId) -> Option<&FailedKeys> {
        self.environments.get(&environment).map(|cohorts| &cohorts.failed_keys)
    }

    /// Forgets which keys failed: a new epoch begins, or a new step.
    pub fn begin_keys(&mut self, environment: EnvironmentId) {
        if let Some(cohorts) = self.environments.get_mut(&environment) {
            cohorts.failed_keys = FailedKeys::default();
        }
    }

    /// Marks that found no place. While this rises, cohorts are not to be judged by.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl Cohorts {
    fn range(&self) -> Range<u32> {
        let count = u32::try_from(self.seconds.len()).expect("there are at most 2100");
        self.first..self.first + count
    }

    fn of(&self, second: u32) -> Option<&Vec<(MarkAtAge, u32)>> {
        self.seconds.get(second.checked_sub(self.first)? as usize)
    }

    /// Adds a count; returns how much of it is lost.
    fn add(&mut self, second: u32, code: MarkAtAge, count: u32) -> u64 {
        self.reach(second);
        let newest = self.range().end;
        let Some(index) = second.checked_sub(self.first) else {
            // Older than what is kept by age is nobody's loss; forgotten for want of room is.
            let is_old = newest - second > SECONDS_KEPT;
            return if is_old { 0 } else { u64::from(count) };
        };
        let cohort = &mut self.seconds[index as usize];
        match cohort.binary_search_by_key(&code, |(known, _)| *known) {
            Ok(at) => cohort[at].1 = cohort[at].1.saturating_add(count),
            Err(at) => {
                cohort.insert(at, (code, count));
                self.entries += 1;
                self.make_room();
            }
        }
        0
    }

    /// Makes sure that there is a cohort for `second`, unless it is older than what is kept.
    fn reach(&mut self, second: u32) {
        if self.seconds.is_empty() {
            self.first = second;
        }
        // Cores hand over in turn: what began a little before the first may come after it.
        while second < self.first && self.is_within_reach(second) {
            self.first -= 1;
            self.seconds.push_front(Vec::new());
        }
        if second >= self.range().end + SECONDS_KEPT {
            self.seconds.clear();
            (self.first, self.entries) = (second, 0);
        }
        while self.range().end <= second {
            self.seconds.push_back(Vec::new());
            if self.seconds.len() > SECONDS_KEPT as usize {
                self.forget_first();
            }
        }
    }

    fn is_within_reach(&self, second: u32) -> bool {
        self.range().end - second <= SECONDS_KEPT && second >= self.room_from
    }

    fn make_room(&mut self) {
        while self.entries > ENTRIES_MAX {
            self.forget_first();
            self.room_from = self.first;
        }
    }

    fn forget_first(&mut self) {
        let forgotten = self.seconds.pop_front().map_or(0, |cohort| cohort.len());
        self.entries -= forgotten;
        self.first += 1;
    }
}

impl CohortAt {
    fn read(cohort: &[(MarkAtAge, u32)], age: AgeClass) -> Self {
        let (mut at, mut withdrawn, mut ended, mut ended_early) = (Self::default(), 0, 0, 0);
        for (code, count) in cohort {
            let sum = match code.mark() {
                // Whoever withdrew belongs to another cohort, at whatever age that turned out.
                Mark::Withdrawn => &mut withdrawn,
                Mark::Began => &mut at.began,
                _ if code.age() > age => continue,
                Mark::FirstContent => &mut at.first_content,
                Mark::FailedEarly => &mut at.failed_early,
                Mark::FailedLate => &mut at.failed_late,
                Mark::Refused => &mut at.refused,
                Mark::Watched => &mut at.watched,
                Mark::Left => &mut at.left,
                Mark::Ended => &mut ended,
                Mark::EndedEarly => &mut ended_early,
            };
            *sum += u64::from(*count);
        }
        // The marks of one moment may be split between two collections, and until both are here less
        // may have begun than ended.
        at.began = at.began.saturating_sub(withdrawn);
        at.no_first_content = at.began.saturating_sub(at.first_content + ended_early);
        at.unfinished = at.began.saturating_sub(ended + ended_early);
        at
    }

    /// Had failed, early or late.
    pub fn failed(&self) -> u64 {
        self.failed_early + self.failed_late
    }
}

impl AddAssign for CohortAt {
    fn add_assign(&mut self, other: Self) {
        self.began += other.began;
        self.failed_early += other.failed_early;
        self.failed_late += other.failed_late;
        self.refused += other.refused;
        self.watched += other.watched;
        self.left += other.left;
        self.first_content += other.first_content;
        self.no_first_content += other.no_first_content;
        self.unfinished += other.unfinished;
    }
}

#[cfg(test)]
mod tests;
