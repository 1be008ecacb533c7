//! The scores of a time that moves along: sums of a few seconds each, of which the oldest go.
//!
//! Slots are counted from the epoch, those before it downwards, so that what was said before a restart
//! leaves a window when it would have.

use std::collections::VecDeque;
use std::time::Duration;

use super::score_sum::ScoreSum;

/// Sums of `SECONDS` each; a window is the last `COUNT` of them and what is left of one more.
#[derive(Debug, Default)]
pub(super) struct Slots<const SECONDS: i64, const COUNT: i64>(VecDeque<(i64, ScoreSum)>);

impl<const SECONDS: i64, const COUNT: i64> Slots<SECONDS, COUNT> {
    /// Adds a score that so many have.
    pub(super) fn add(&mut self, value: f64, times: u32, now: Duration) {
        let number = Self::number(now);
        let newest = self.slot(number);
        newest.add(value, times);
        while self.0.front().is_some_and(|(oldest, _)| oldest + COUNT < number) {
            self.0.pop_front();
        }
    }

    /// Adds what came in so long before the epoch.
    pub(super) fn restore(&mut self, sum: &ScoreSum, before: Duration) {
        let before = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
        self.slot((-before).div_euclid(SECONDS)).merge(sum);
    }

    /// All of the window that ends now.
    pub(super) fn sum(&self, now: Duration) -> ScoreSum {
        let number = Self::number(now);
        let mut sum = ScoreSum::default();
        let recent = self.0.iter().filter(|(slot, _)| slot + COUNT >= number);
        recent.for_each(|(_, slot)| sum.merge(slot));
        sum
    }

    /// Each sum, with the second since the epoch at which its slot began.
    pub(super) fn into_sums(self) -> impl Iterator<Item = (i64, ScoreSum)> {
        self.0.into_iter().map(|(number, sum)| (number * SECONDS, sum))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn number(at: Duration) -> i64 {
        i64::try_from(at.as_secs()).unwrap_or(i64::MAX) / SECONDS
    }

    /// The slot of this number, or the newest one where that is newer.
    fn slot(&mut self, number: i64) -> &mut ScoreSum {
        if self.0.back().is_none_or(|(newest, _)| *newest < number) {
            self.0.push_back((number, ScoreSum::default()));
        }
        let newest = self.0.back_mut().expect("one was pushed if there was none");
        &mut newest.1
    }
}
