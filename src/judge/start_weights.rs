//! When did the trouble begin? Nobody knows, so the stake is spread over every moment it may have.
//!
//! A bet that runs from the beginning is worth little after a healthy day: it has lost its stake. So
//! part of the coin is kept back and put down bit by bit, more of it when a step begins. The parts sum
//! to at most 1, which is all that the guarantee asks.

use serde::{Deserialize, Serialize};

/// Shared by the planned steps, the switch included: trouble mostly begins with a step.
const PLANNED: f64 = 0.48;
/// Spread over all strata, ever more thinly.
const ANY_TIME: f64 = 0.4;
/// The sum of 1/((k+1) ln²(k+1)) over k from 1.
const SERIES_SUM: f64 = 2.11;

/// What is put down when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartWeights {
    /// For a planned step.
    per_step: f64,
    /// Planned steps to come.
    steps_left: u32,
    /// Of this, each change that nobody planned takes half.
    reserve: f64,
    /// Share that is spread over all strata.
    any_time: f64,
    /// For the next stratum, because a step began.
    due: f64,
    /// Strata so far.
    k: u32,
    /// Kept back until now.
    unspent: f64,
}

impl StartWeights {
    /// For a rollout with this many planned steps.
    pub fn of_rollout(planned_steps: u32) -> Self {
        Self {
            per_step: PLANNED / f64::from(planned_steps.max(1)),
            steps_left: planned_steps.max(1),
            reserve: 1.0 - PLANNED - ANY_TIME,
            any_time: ANY_TIME,
            due: 0.0,
            k: 0,
            unspent: 1.0,
        }
    }

    /// Half at once, half over what comes: an epoch of keys.
    pub fn of_epoch() -> Self {
        Self {
            per_step: 0.0,
            steps_left: 0,
            reserve: 0.0,
            any_time: 0.5,
            due: 0.5,
            k: 0,
            unspent: 1.0,
        }
    }

    /// A weight changed; what that is worth goes to the next stratum.
    pub fn change(&mut self, planned: bool) {
        if planned && self.steps_left > 0 {
            self.steps_left -= 1;
            self.due += self.per_step;
        } else {
            self.reserve /= 2.0;
            self.due += self.reserve;
        }
    }

    /// What is put down on the next stratum.
    pub fn spend(&mut self) -> f64 {
        self.k = self.k.saturating_add(1);
        let next = f64::from(self.k) + 1.0;
        let weight = self.due + self.any_time / (SERIES_SUM * next * next.ln().powi(2));
        self.due = 0.0;
        self.unspent = (self.unspent - weight).max(0.0);
        weight
    }

    /// What has not been put down.
    pub fn unspent(&self) -> f64 {
        self.unspent
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
            if k % 300_000 == 0 {
                weights.change(k < 1_500_000);
            }
            spent += weights.spend();
        }
        assert!(spent < 1.0 && spent > 0.8, "{spent}");
        assert!((1.0 - spent - weights.unspent()).abs() < 1e-9);
        let mut epoch = StartWeights::of_epoch();
        let spent: f64 = (0..1_000_000).map(|_| epoch.spend()).sum();
        assert!(spent < 1.0 && spent > 0.9, "{spent}");
    }

    #[test]
    fn changes_beyond_the_plan_take_half_of_what_is_left() {
        let mut weights = StartWeights::of_rollout(1);
        let mut starts = vec![];
        for planned in [true, true, false, false] {
            weights.change(planned);
            starts.push(weights.due);
            weights.due = 0.0;
        }
        for (start, expected) in starts.iter().zip([0.48, 0.06, 0.03, 0.015]) {
            assert!((start - expected).abs() < 1e-12, "{starts:?}");
        }
    }
}
