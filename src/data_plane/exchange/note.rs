//! What is told of one exchange to those who compare: a mark for its cohort, and a note while somebody
//! observes its environment.

use std::time::{Duration, Instant};

use super::Exchange;
use crate::inspect::asked::Asked;
use crate::metrics::cohort::Mark;
use crate::model::environment::EnvironmentId;
use crate::model::note::{Note, What};

impl Exchange {
    /// Counts something for the requests that began when this one did.
    pub(super) fn mark_at(&self, cohort: EnvironmentId, mark: Mark, age: Duration) {
        self.recorder.mark(cohort, self.began, mark, age);
        if let Some(arrived) = self.noted_from
            && let Some(what) = self.what(mark)
        {
            let key = self.key.filter(|key| key.source.is_some()).map(|key| key.hash);
            let whose = (arrived, self.unique);
            if what == What::Ended
                && let Some(per_token) = self.measured.tpot()
            {
                self.recorder.observed.note(Note::paced(cohort, whose, key, per_token));
            }
            self.recorder.observed.note(Note::new(cohort, whose, key, what, age));
        }
    }

    /// While somebody observes: does the request ask for a stream? Told once.
    pub(super) fn note_asked(&mut self, piece: &[u8], is_last: bool, now: Instant) {
        let (Some(arrived), Some(cohort)) = (self.noted_from, self.cohort) else { return };
        let Some(asked) = self.asked.push(self.measured.api, piece, is_last) else { return };
        let what = match asked {
            Asked::Stream => What::AsksStream,
            Asked::Whole => What::AsksWhole,
        };
        let age = now.saturating_duration_since(self.began);
        let note = Note::new(cohort, (arrived, self.unique), None, what, age);
        self.recorder.observed.note(note);
    }

    /// The mark as a judge needs it: of a time it matters whether it is a stream's.
    fn what(&self, mark: Mark) -> Option<What> {
        let is_stream = self.measured.is_streaming();
        Some(match mark {
            Mark::Began => What::Began,
            Mark::Withdrawn => What::Withdrawn,
            Mark::FirstContent if self.tunnel.is_some() => What::Opened,
            Mark::FirstContent if is_stream => What::FirstContent,
            Mark::FirstContent => What::Answered,
            Mark::Ended if is_stream => What::Ended,
            Mark::FailedEarly => What::FailedEarly,
            Mark::FailedLate => What::FailedLate,
            Mark::Refused => What::Refused,
            Mark::Watched => What::Watched,
            Mark::Left => What::Left,
            // Whatever else ends has been noted by then.
            Mark::Ended | Mark::EndedEarly => return None,
        })
    }
}
