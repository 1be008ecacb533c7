//! When did the trouble begin? Nobody knows, so the stake is spread over every moment it may have.
//!
//! A bet that runs from the beginning is worth little after a healthy day: it has lost its stake. So
//! part of the coin is kept back and put down bit by bit: most of it when a step begins, some over the
//! first hours of each step by the clock, some over all strata. By strata alone, which are a second each,
//! half an hour into the fourth step of a day would be worth a hundredth of what it is worth now.
//!
//! The parts sum to at most 1, which is all that the guarantee asks, and depend on the plan, the clock
//! and the number of strata alone, never on what was seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tick::Tick;

/// Shared by the planned steps, the switch included: trouble mostly begins with a step.
const PLANNED: f64 = 0.48;
/// Shared by them as well, and spread by the clock.
const BY_CLOCK: f64 = 0.08;
/// Spread over all strata, ever more thinly.
const ANY_TIME: f64 = 0.36;
/// The sum of 1/((k+1) ln²(k+1)) over k from 1.
const SERIES_SUM: f64 = 2.11;
/// An epoch of keys; and half of what a step has by the clock is put down in so long.
const HOUR: Duration = Duration::from_secs(3_600);

/// What is put down when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartWeights {
    /// For a planned step, when it begins and by the clock.
    per_step: f64,
    per_step_by_clock: f64,
    /// Planned steps to come.
    steps_left: u32,
    /// Of this, each change that nobody planned takes half.
    reserve: f64,
    /// Share that is spread over all strata.
    any_time: f64,
    /// For the next stratum, because a step began.
    due: f64,
    by_clock: ByClock,
    /// Strata so far.
    k: u32,
    /// Kept back until now.
    unspent: f64,
}

/// A share that is put down as time passes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ByClock {
    share: f64,
    since: Tick,
    over: Over,
    put_down: f64,
}

/// Over how long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Over {
    /// Evenly over an hour.
    Hour,
    /// As long as it takes: half in the first hour, two thirds in two, three quarters in three.
    Ever,
}

impl StartWeights {
    /// For a rollout with this many planned steps.
    pub fn of_rollout(planned_steps: u32) -> Self {
        let steps = planned_steps.max(1);
        Self {
            per_step: PLANNED / f64::from(steps),
            per_step_by_clock: BY_CLOCK / f64::from(steps),
            steps_left: steps,
            reserve: 1.0 - PLANNED - BY_CLOCK - ANY_TIME,
            any_time: ANY_TIME,
            ..Self::none()
        }
    }

    /// Half at once, half over the strata that come: one step by itself.
    pub fn of_step() -> Self {
        Self { any_time: 0.5, due: 0.5, ..Self::none() }
    }

    /// Half at once, half evenly over the hour that begins: an epoch of keys.
    pub fn of_hour(since: Tick) -> Self {
        let by_clock = ByClock { share: 0.5, since, over: Over::Hour, put_down: 0.0 };
        Self { due: 0.5, by_clock, ..Self::none() }
    }

    fn none() -> Self {
        Self {
            per_step: 0.0,
            per_step_by_clock: 0.0,
            steps_left: 0,
            reserve: 0.0,
            any_time: 0.0,
            due: 0.0,
            by_clock: ByClock { share: 0.0, since: Tick(0), over: Over::Ever, put_down: 0.0 },
            k: 0,
            unspent: 1.0,
        }
    }

    /// A weight changed; what that is worth goes to the next stratum, and to those of the hours that come.
    pub fn change(&mut self, at: Tick, planned: bool) {
        if planned && self.steps_left > 0 {
            self.steps_left -= 1;
            self.due += self.per_step;
            let share = self.per_step_by_clock;
            self.by_clock = ByClock { share, since: at, over: Over::Ever, put_down: 0.0 };
        } else {
            self.reserve /= 2.0;
            self.due += self.reserve;
        }
    }

    /// What is put down on the next stratum, which began at `from`.
    pub fn spend(&mut self, from: Tick) -> f64 {
        self.k = self.k.saturating_add(1);
        let next = f64::from(self.k) + 1.0;
        let of_series = self.any_time / (SERIES_SUM * next * next.ln().powi(2));
        let weight = self.due + self.by_clock.put_down(from) + of_series;
        self.due = 0.0;
        self.unspent = (self.unspent - weight).max(0.0);
        weight
    }

    /// What has not been put down.
    pub fn unspent(&self) -> f64 {
        self.unspent
    }
}

impl ByClock {
    /// What falls due between the last time and now.
    fn put_down(&mut self, now: Tick) -> f64 {
        let hours = now.since(self.since).as_secs_f64() / HOUR.as_secs_f64();
        let part = match self.over {
            Over::Hour => hours.min(1.0),
            Over::Ever => hours / (1.0 + hours),
        };
        let falls_due = (self.share * part - self.put_down).max(0.0);
        self.put_down += falls_due;
        falls_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_one_coin_is_spent() {
        let mut weights = StartWeights::of_rollout(5);
        let mut spent = 0.0;
        for k in 0..2_000_000_u32 {
            let at = Tick::of_second(k);
            if k % 300_000 == 0 {
                weights.change(at, k < 1_500_000);
            }
            spent += weights.spend(at);
        }
        assert!(spent < 1.0 && spent > 0.8, "{spent}");
        assert!((1.0 - spent - weights.unspent()).abs() < 1e-9);
        let mut hour = StartWeights::of_hour(Tick::of_second(7_200));
        let spent: f64 = (7_000..20_000).map(|second| hour.spend(Tick::of_second(second))).sum();
        assert!((spent - 1.0).abs() < 1e-9, "{spent}");
    }

    #[test]
    fn an_hour_into_a_late_step_is_worth_something() {
        let mut weights = StartWeights::of_rollout(5);
        for second in 0..70_000 {
            let at = Tick::of_second(second);
            if second % 21_600 == 0 {
                weights.change(at, true);
            }
            weights.spend(at);
        }
        let spent: f64 = (70_000..70_060).map(|s| weights.spend(Tick::of_second(s))).sum();
        assert!(spent > 4e-5, "{spent}");
    }

    #[test]
    fn changes_beyond_the_plan_take_half_of_what_is_left() {
        let mut weights = StartWeights::of_rollout(1);
        let mut starts = vec![];
        for planned in [true, true, false, false] {
            weights.change(Tick(0), planned);
            starts.push(weights.due);
            weights.due = 0.0;
        }
        for (start, expected) in starts.iter().zip([0.48, 0.04, 0.02, 0.01]) {
            assert!((start - expected).abs() < 1e-12, "{starts:?}");
        }
    }
}
