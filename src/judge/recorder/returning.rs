//! Whether keys come back. Where nearly every request brings a key of its own (a request id, a session of
//! one request) all of them would count as cold, on both sides alike, and no time would ever be read.
//!
//! The limit on the p99 then counts them: it compares nobody. Comparisons still leave them out: keys that
//! come back after hours look the same here, and theirs are caches that may be warm on the active side only.
//!
//! This depends on who came and never on what became of it.

use super::super::tick::Tick;
use super::times::Seen;

/// So soon after a change everybody comes for the first time, whatever keys are.
const SETTLES_FOR: u32 = 5 * 60 * Tick::PER_SECOND;
/// Requests with a key without which nothing is learnt.
const REQUESTS_MIN: u32 = 100;
/// Of a hundred of them so many come back where a key is a user.
const COME_BACK_MIN: u32 = 5;

/// How many come back, and what was made of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Returning {
    keyed: u32,
    came_back: u32,
    are_strangers: bool,
}

impl Returning {
    /// Counts the requests of a tick under a share that has been since `changed`.
    pub fn see(&mut self, tick: Tick, changed: Tick, seen: &Seen) {
        if tick.0.saturating_sub(changed.0) >= SETTLES_FOR {
            self.keyed += seen.keyed;
            self.came_back += seen.came_back;
        }
    }

    /// Makes something of what was seen, once it is enough; answers whether that is news.
    pub fn learn(&mut self) -> bool {
        if self.keyed < REQUESTS_MIN {
            return false;
        }
        let before = self.are_strangers;
        let are_strangers =
            u64::from(self.came_back) * 100 < u64::from(self.keyed) * u64::from(COME_BACK_MIN);
        *self = Self { are_strangers, ..Self::default() };
        are_strangers != before
    }

    /// What was known before a restart.
    pub fn known(are_strangers: bool) -> Self {
        Self { are_strangers, ..Self::default() }
    }

    /// Whether keys are known not to come back.
    pub fn are_strangers(&self) -> bool {
        self.are_strangers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_come_back_are_known_by_a_hundred_requests_of_a_settled_step() {
        let seen = |keyed, came_back| Seen { keyed, came_back, ..Seen::default() };
        let late = Tick(SETTLES_FOR);
        for (tick, seen, are_strangers) in [
            (Tick(SETTLES_FOR - 1), seen(1_000, 0), false),
            (late, seen(99, 0), false),
            (late, seen(100, 4), true),
            (late, seen(100, 5), false),
        ] {
            let mut returning = Returning::default();
            returning.see(tick, Tick(0), &seen);
            assert_eq!(returning.learn(), are_strangers, "{seen:?}");
            returning.see(late, Tick(0), &self::Seen { keyed: 100, came_back: 90, ..seen });
            returning.learn();
            assert!(!returning.are_strangers(), "what is seen later counts");
        }
    }
}
