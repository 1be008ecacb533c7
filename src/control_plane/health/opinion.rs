//! When probes change their opinion of an upstream.
//!
//! Pure. One lost packet must not take an upstream out, so it takes several failures in a row; one
//! that answers again may come back at once, since it starts slowly anyway.

use crate::model::environment::HealthSpec;
use crate::model::upstream::Probe;

/// The present opinion, and how many probes in a row have said the same.
#[derive(Debug)]
pub(super) struct Opinion {
    held: Probe,
    seen: Probe,
    in_a_row: u32,
}

impl Opinion {
    /// Begins with what was thought before.
    pub(super) fn new(held: Probe) -> Self {
        Self { held, seen: Probe::Unknown, in_a_row: 0 }
    }

    /// Takes note of a probe; returns the new opinion when it changes.
    pub(super) fn note(&mut self, passed: bool, health: &HealthSpec) -> Option<Probe> {
        let (now, needed) = if passed {
            (Probe::Up, health.healthy_after)
        } else {
            (Probe::Down, health.unhealthy_after)
        };
        self.in_a_row = if self.seen == now { self.in_a_row.saturating_add(1) } else { 1 };
        self.seen = now;
        if self.held == now || self.in_a_row < needed {
            return None;
        }
        self.held = now;
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opinion_changes_after_enough_probes_in_a_row() {
        use Probe::{Down, Unknown, Up};
        let health = HealthSpec { healthy_after: 2, unhealthy_after: 3, ..HealthSpec::default() };
        // `+` passed, `-` failed; the opinions that come out.
        for (held, probes, changes) in [
            (Unknown, "+", vec![]),
            (Unknown, "++", vec![Up]),
            (Unknown, "-+-+-+", vec![]),
            (Unknown, "---", vec![Down]),
            (Up, "--+--+", vec![]),
            (Up, "---", vec![Down]),
            (Up, "------", vec![Down]),
            (Up, "---+-++", vec![Down, Up]),
            (Down, "+-+-", vec![]),
        ] {
            let mut opinion = Opinion::new(held);
            let seen: Vec<Probe> =
                probes.bytes().filter_map(|b| opinion.note(b == b'+', &health)).collect();
            assert_eq!(seen, changes, "{held:?} {probes}");
        }
    }
}
