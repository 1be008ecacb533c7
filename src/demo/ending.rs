//! How the demo ends: what it claims, judged by everything that was counted.

use std::fmt::Write as _;

use super::fault::Fault;
use super::share::{Bound, percent_of};
use super::story::{End, Step, users_who_came_back};
use super::traffic::Tally;

/// How it all ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) text: String,
    pub(super) is_good: bool,
}

impl Ending {
    /// Of a story with this fault that came to this end.
    pub(super) fn of(fault: Option<Fault>, end: End, tally: &Tally, steps: &[Step]) -> Self {
        let mut ending = Self { text: headline(fault, tally), is_good: end == fault.into() };
        ending.check_requests(fault, tally);
        ending.check_users(tally, steps);
        for step in steps {
            ending.check_share(step, tally);
        }
        ending
    }

    fn bad(&mut self, text: &str) {
        self.is_good = false;
        let _ = write!(self.text, "\n{text}"); // writing to a string cannot fail
    }

    fn check_requests(&mut self, fault: Option<Fault>, tally: &Tally) {
        let skipped = tally.skipped_total();
        if skipped > 0 {
            self.bad(&format!("{skipped} requests were not sent: too many were in flight"));
        }
        let lost = lost(fault, tally);
        if lost > 0 || tally.requests() == 0 {
            self.bad("a release must not lose a request");
        }
    }

    fn check_users(&mut self, tally: &Tally, steps: &[Step]) {
        let came_back = users_who_came_back(tally, steps);
        if came_back > 0 {
            self.bad(&format!("{came_back} users went from green back to blue during the ramp"));
        }
    }

    fn check_share(&mut self, step: &Step, tally: &Tally) {
        let phase = &tally.phases[step.phase];
        let (green, all) = (phase.requests_of("green"), phase.requests());
        let share = percent_of(green, all);
        let bound = Bound::of(step.green_percent, phase.users(), all);
        if all == 0 || !bound.contains(share) {
            self.bad(&format!(
                "{}: green got {green} of {all} requests, {share:.1} %; {:.1} to {:.1} % were to be expected",
                step.name, bound.low_percent, bound.high_percent
            ));
        }
    }
}

/// The end that a story with this fault must come to.
impl From<Option<Fault>> for End {
    fn from(fault: Option<Fault>) -> Self {
        if fault.is_some() { Self::RolledBack } else { Self::Released }
    }
}

fn headline(fault: Option<Fault>, tally: &Tally) -> String {
    let (requests, lost) = (tally.requests(), lost(fault, tally));
    match fault {
        None => format!("done: {requests} requests, {lost} lost. Next: cyan demo --fault in-band"),
        Some(_) => format!("done: {requests} requests, {lost} lost beside those that green failed"),
    }
}

/// Requests lost that no fault explains.
fn lost(fault: Option<Fault>, tally: &Tally) -> u64 {
    if fault.is_some() { tally.lost_beside("green") } else { tally.lost() }
}
