//! What an exchange tells the cohort of the requests that began when it did.
//!
//! Each event is counted once, and every exchange that began ends once. One that was judged bad before it
//! had any content has ended for its cohort at that moment: what still comes of it is nobody's first
//! content, and its end is not counted again.

use std::time::Instant;

use super::Exchange;
use crate::metrics::cohort::Mark;
use crate::model::standing::Standing;
use crate::model::verdict::Verdict;

impl Exchange {
    /// It has had its first content.
    pub(super) fn mark_first_content(&self, now: Instant) {
        if !self.is_end_marked {
            self.mark(Mark::FirstContent, now);
        }
    }

    /// It was given its verdict while it is still open.
    pub(super) fn mark_judged(&mut self, verdict: Verdict, now: Instant) {
        let standing = Standing::of(verdict, self.judged_status());
        self.mark_standing(standing, now);
        if standing == Standing::Bad && !self.has_begun() {
            self.mark(Mark::EndedEarly, now);
            self.is_end_marked = true;
        }
    }

    /// It has ended.
    pub(super) fn mark_end(&self, verdict: Verdict, ended_at: Instant) {
        let standing = Standing::of(verdict, self.judged_status());
        if !self.is_verdict_counted {
            self.mark_standing(standing, ended_at);
        }
        if verdict == Verdict::ClientGone {
            self.mark(Mark::Left, ended_at);
        }
        match (self.has_begun(), standing) {
            _ if self.is_end_marked => {}
            (true, _) => self.mark(Mark::Ended, ended_at),
            (false, Standing::Good) => {
                self.mark(Mark::FirstContent, ended_at);
                self.mark(Mark::Ended, ended_at);
            }
            (false, _) => self.mark(Mark::EndedEarly, ended_at),
        }
    }

    /// Whether it has had what its client waits for first: content, or a tunnel.
    fn has_begun(&self) -> bool {
        self.measured.has_content() || self.tunnel.is_some()
    }

    fn mark_standing(&self, standing: Standing, now: Instant) {
        match standing {
            Standing::Good => {}
            Standing::Bad if self.has_begun() => self.mark(Mark::FailedLate, now),
            Standing::Bad => self.mark(Mark::FailedEarly, now),
            Standing::Refused => self.mark(Mark::Refused, now),
            Standing::Watched => self.mark(Mark::Watched, now),
        }
        if let (Standing::Bad, Some(cohort), Some(key)) = (standing, self.cohort, self.key)
            && key.source.is_some()
        {
            self.recorder.key_failed(cohort, key.hash, self.began);
        }
    }

    fn mark(&self, mark: Mark, now: Instant) {
        if let Some(cohort) = self.cohort {
            let age = now.saturating_duration_since(self.began);
            self.mark_at(cohort, mark, age);
        }
    }
}
