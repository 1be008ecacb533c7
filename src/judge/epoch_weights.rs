//! How much each epoch of users counts: the shares of one coin.
//!
//! By hours alone, the nineteenth is worth a six-hundredth of the coin. For failures half of it is shared by
//! the planned steps, and within each by its hours: after a healthy day the first hour of a step is worth a
//! fifteenth. (Simulated: five times as many errors after 18.5 hours. The same for times would roll back
//! more of the healthy candidates whose users have unlike prompts.)
//!
//! Shares depend on the plan and the clock alone, never on what was seen, and sum to 1 at most.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Where steps have a share: spread over all hours of the rollout, and shared by planned steps.
const BY_HOURS: f64 = 0.5;
const BY_STEPS: f64 = 0.45;

/// What is put down when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochWeights {
    /// Epochs so far, and of these in the present step.
    hours: u32,
    hours_of_step: u32,
    /// Spread over all hours.
    by_hours: f64,
    /// For a planned step.
    per_step: f64,
    steps_left: u32,
    /// Of this, each change that nobody planned takes half.
    reserve: f64,
    /// The present step's share.
    step: f64,
    /// What was put down last, and what has not been.
    last: f64,
    unspent: f64,
}

impl EpochWeights {
    /// By hours since the beginning, whatever the steps.
    pub fn by_hours() -> Self {
        Self {
            hours: 0,
            hours_of_step: 0,
            by_hours: 1.0,
            per_step: 0.0,
            steps_left: 0,
            reserve: 0.0,
            step: 0.0,
            last: 0.0,
            unspent: 1.0,
        }
    }

    /// By hours, and by the planned steps of a rollout. The last of them is the switch, after which users
    /// are not compared, so it needs no share.
    pub fn by_hours_and_steps(planned_steps: u32) -> Self {
        let steps = planned_steps.saturating_sub(1).max(1);
        Self {
            by_hours: BY_HOURS,
            per_step: BY_STEPS / f64::from(steps),
            steps_left: steps,
            reserve: 1.0 - BY_HOURS - BY_STEPS,
            ..Self::by_hours()
        }
    }

    /// A step begins.
    pub fn change(&mut self, planned: bool) {
        self.hours_of_step = 0;
        if planned && self.steps_left > 0 {
            self.steps_left -= 1;
            self.step = self.per_step;
        } else {
            self.reserve /= 2.0;
            self.step = self.reserve;
        }
    }

    /// What is put down on the epoch that begins.
    pub fn spend(&mut self) -> f64 {
        self.hours = self.hours.saturating_add(1);
        self.hours_of_step = self.hours_of_step.saturating_add(1);
        self.last = self.by_hours * of_hour(self.hours) + self.step * of_hour(self.hours_of_step);
        self.unspent -= self.last;
        self.last
    }

    /// The last epoch never was: nothing was asked in it.
    pub fn take_back(&mut self) {
        self.hours = self.hours.saturating_sub(1);
        self.unspent += std::mem::take(&mut self.last);
    }

    /// What has not been put down.
    pub fn unspent(&self) -> f64 {
        self.unspent.max(0.0)
    }
}

/// Sums to 1 over all hours that may ever come.
fn of_hour(hour: u32) -> f64 {
    6.0 / (PI * f64::from(hour)).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_one_coin_is_spent() {
        let mut weights = EpochWeights::by_hours_and_steps(5);
        let mut spent = 0.0;
        for step in 0..40 {
            weights.change(step < 10);
            spent += (0..1_000).map(|_| weights.spend()).sum::<f64>();
        }
        assert!(spent < 1.0 && spent > 0.98, "{spent}");
        assert!((1.0 - spent - weights.unspent()).abs() < 1e-9);
    }

    #[test]
    fn the_first_hour_of_each_step_counts() {
        let mut weights = EpochWeights::by_hours_and_steps(5);
        let mut first = vec![];
        for _ in 0..4 {
            weights.change(true);
            first.push(weights.spend());
            (0..5).for_each(|_| assert!(weights.spend() > 0.0));
        }
        assert!(first[0] > 0.3 && first[1..].iter().all(|weight| *weight > 0.06), "{first:?}");
    }

    #[test]
    fn what_is_taken_back_can_be_put_down_again() {
        let mut weights = EpochWeights::by_hours_and_steps(5);
        weights.change(true);
        weights.spend();
        let before = weights.clone();
        weights.spend();
        weights.take_back();
        assert!((weights.unspent() - before.unspent()).abs() < 1e-12);
        assert_eq!(weights.hours, before.hours);
    }
}
