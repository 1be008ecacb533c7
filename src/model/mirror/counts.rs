//! What became of mirrored requests, for as long as their environment lives.
//!
//! Beside everything else that is counted, on purpose: what a candidate does with copies, cold as it is, is
//! no evidence for or against it, and must be in no window, record or comparison.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::verdict::Verdict;

/// How it ended for a request that was drawn to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CopyOutcome {
    /// Whoever sends it has it.
    Offered,
    /// The budget was used up, in flight or per second.
    OverBudget,
    /// Its body is longer than `body_max`.
    BodyTooLong,
    /// The client left, or the request was refused, before all of it had come.
    Abandoned,
    /// Whoever sends it had no room for it, or has ended.
    NotTaken,
}

/// Counts of one environment's mirror. Every core writes them, but only for requests that were drawn.
#[derive(Debug, Default)]
pub struct MirrorCounts {
    copies: [AtomicU64; CopyOutcome::ALL.len()],
    verdicts: [AtomicU64; Verdict::COUNT],
    made_up: [AtomicU64; Verdict::COUNT],
}

impl CopyOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Offered, Self::OverBudget, Self::BodyTooLong, Self::Abandoned, Self::NotTaken];

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::OverBudget => "over_budget",
            Self::BodyTooLong => "body_too_long",
            Self::Abandoned => "abandoned",
            Self::NotTaken => "not_taken",
        }
    }
}

impl MirrorCounts {
    /// Counts a request that was drawn.
    pub fn copied(&self, outcome: CopyOutcome) {
        // Relaxed, here and below: these are read for people, and order nothing.
        self.copies[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts how the environment answered a copy.
    pub fn answered(&self, verdict: Verdict) {
        self.verdicts[verdict as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts how the environment answered a warm-up request that was made up.
    pub fn made_up(&self, verdict: Verdict) {
        self.made_up[verdict as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests ended so.
    pub fn copies(&self, outcome: CopyOutcome) -> u64 {
        self.copies[outcome as usize].load(Ordering::Relaxed)
    }

    /// How many copies were answered so.
    pub fn verdicts(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize].load(Ordering::Relaxed)
    }

    /// How many requests that were made up were answered so.
    pub fn verdicts_of_made_up(&self, verdict: Verdict) -> u64 {
        self.made_up[verdict as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_in_a_place_of_its_own() {
        let counts = MirrorCounts::default();
        for (number, outcome) in CopyOutcome::ALL.into_iter().enumerate() {
            (0..=number).for_each(|_| counts.copied(outcome));
        }
        counts.answered(Verdict::Timeout);
        assert_eq!(CopyOutcome::ALL.map(|outcome| counts.copies(outcome)), [1, 2, 3, 4, 5]);
        assert_eq!(counts.verdicts(Verdict::Timeout), 1);
        assert_eq!(counts.verdicts(Verdict::Complete), 0);
    }
}
