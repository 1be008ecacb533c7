//! New shares of the candidate, from the moment they are published to the first tick that is wholly under
//! them.
//!
//! Users move with the first core that has the new table; that all of them have it is known later, on a busy
//! machine a second later, and cores report what arrives in between. There every user who moved looks like
//! one who came for the first time and chose the candidate: a second of them under the old share is proof
//! against any split. So a change is announced before it is published, and what arrives from then on is left
//! out.

use std::collections::VecDeque;

use super::super::record::Change;
use super::super::tick::Tick;

/// Changes that wait for their tick. Each is a command of somebody, and there are four ticks a second.
pub const CHANGES_MAX: usize = 64;

/// Changes that are announced or told, and have not begun.
#[derive(Debug, Default)]
pub struct Changes {
    /// The tick in which one may have reached the first core that is not told yet.
    announced: Option<Tick>,
    told: VecDeque<Pending>,
}

/// A change, and the first tick that it fell into.
#[derive(Debug)]
struct Pending {
    from: Tick,
    change: Change,
}

impl Changes {
    /// From this tick on users may move. It is told of later.
    pub fn announce(&mut self, from: Tick) {
        self.announced = Some(self.announced.map_or(from, |earlier| earlier.min(from)));
    }

    /// Every core has it: it began to reach them in `from`, or when it was announced.
    pub fn tell(&mut self, from: Tick, change: Change) {
        let from = self.announced.take().map_or(from, |announced| announced.min(from));
        let at = self.told.back().map_or(change.at, |last| last.change.at.max(change.at));
        if self.told.len() == CHANGES_MAX {
            self.told.pop_back();
        }
        self.told.push_back(Pending { from, change: Change { at, ..change } });
    }

    /// Whether requests of this tick may have been given their environment by the old share or the new.
    pub fn is_within(&self, tick: Tick) -> bool {
        let told = self.told.iter().map(|pending| pending.from);
        told.chain(self.announced).any(|from| from <= tick)
    }

    /// The next change, if it has begun by this tick.
    pub fn due(&mut self, tick: Tick) -> Option<Change> {
        self.told.front().filter(|pending| pending.change.at <= tick)?;
        self.told.pop_front().map(|pending| pending.change)
    }

    /// How many wait for their tick.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.told.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at: u32) -> Change {
        Change { at: Tick(at), share: 0.5, planned: true }
    }

    #[test]
    fn what_arrives_from_the_announcement_to_the_beginning_is_within_a_change() {
        let mut changes = Changes::default();
        assert!(!changes.is_within(Tick(9)));
        changes.announce(Tick(5));
        changes.announce(Tick(7));
        assert_eq!([4, 5, 30].map(|tick| changes.is_within(Tick(tick))), [false, true, true]);
        changes.tell(Tick(7), change(10));
        assert_eq!([4, 5, 9].map(|tick| changes.is_within(Tick(tick))), [false, true, true]);
        assert_eq!(changes.due(Tick(9)), None);
        assert_eq!(changes.due(Tick(10)), Some(change(10)));
        assert!(!changes.is_within(Tick(10)));
    }

    #[test]
    fn changes_begin_in_their_order() {
        let mut changes = Changes::default();
        changes.tell(Tick(3), change(8));
        changes.tell(Tick(4), change(5));
        assert_eq!(changes.due(Tick(8)), Some(change(8)));
        assert_eq!(changes.due(Tick(8)), Some(change(8)), "not before the one that was told first");
    }
}
