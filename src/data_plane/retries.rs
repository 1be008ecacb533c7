//! How many of an environment's requests may be tried again.
//!
//! A retry helps one user while one upstream is ill. When all are, retries of everybody double the work of
//! servers that cannot do the work they have. So only a fifth of the requests of the last seconds may be,
//! and a few in any case, or an environment with little traffic would have none.
//!
//! Each core has its own budget: nothing is shared, and a fifth of each is a fifth of all.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::metrics::near_map::NearMap;
use crate::model::environment::EnvironmentId;

/// One retry for so many requests.
const REQUESTS_PER_RETRY: u32 = 5;
/// Retries that are always allowed, per core and period.
const RETRIES_MIN: u32 = 20;
/// Half of the time that is looked back on: whole halves are forgotten at once.
const HALF: Duration = Duration::from_secs(5);

/// The budgets of one core.
#[derive(Debug, Default)]
pub struct Retries(RefCell<NearMap<EnvironmentId, Budget>>);

/// What went on in the half under way and in the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Budget {
    since: Option<Instant>,
    now: Counted,
    before: Counted,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    requests: u32,
    retries: u32,
}

impl Retries {
    /// A request of this environment began.
    pub fn began(&self, environment: EnvironmentId, now: Instant) {
        self.0.borrow_mut().of(environment).at(now).requests += 1;
    }

    /// Takes a retry from the budget; false when there is none left.
    pub fn take(&self, environment: EnvironmentId, now: Instant) -> bool {
        let mut budgets = self.0.borrow_mut();
        let budget = budgets.of(environment);
        budget.at(now);
        let requests = budget.now.requests + budget.before.requests;
        let retries = budget.now.retries + budget.before.retries;
        let is_left = retries < RETRIES_MIN.max(requests / REQUESTS_PER_RETRY);
        budget.now.retries += u32::from(is_left);
        is_left
    }
}

impl Budget {
    /// The half that `now` is in.
    fn at(&mut self, now: Instant) -> &mut Counted {
        let since = *self.since.get_or_insert(now);
        let age = now.saturating_duration_since(since);
        if age >= HALF {
            self.before = if age < 2 * HALF { self.now } else { Counted::default() };
            self.now = Counted::default();
            self.since = Some(now);
        }
        &mut self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: EnvironmentId = EnvironmentId(1);

    fn taken(retries: &Retries, now: Instant) -> usize {
        (0..1000).filter(|_| retries.take(BLUE, now)).count()
    }

    #[test]
    fn a_fifth_may_be_tried_again_and_a_few_in_any_case() {
        let now = Instant::now();
        let retries = Retries::default();
        assert_eq!(taken(&retries, now), 20);
        (0..500).for_each(|_| retries.began(BLUE, now));
        assert_eq!(taken(&retries, now), 80, "100 with the 20 before");
        assert!(retries.take(EnvironmentId(2), now), "another environment has its own");
    }

    #[test]
    fn what_is_long_ago_counts_no_more() {
        let start = Instant::now();
        let retries = Retries::default();
        (0..500).for_each(|_| retries.began(BLUE, start));
        assert_eq!(taken(&retries, start), 100);
        assert_eq!(taken(&retries, start + HALF), 0, "the half before still counts");
        assert_eq!(taken(&retries, start + 3 * HALF), 20);
    }
}
