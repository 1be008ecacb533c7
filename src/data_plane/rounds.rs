//! Looking at everything in turn, a part per tick.
//!
//! A core that holds thousands of connections must not look at all of them in one go: whoever asks
//! meanwhile would wait for it. So a tick looks at a part of a table at most, and with more in it, each is
//! looked at less often: 10 000 every half second. And it looks in several parts, spread over its time: what
//! is found due is done at once, and a hundred connections to close are milliseconds for whoever asks.

use std::cell::Cell;
use std::ops::Range;

/// Most places of a table that one tick takes; about 50 µs.
const PLACES_MAX: usize = 1024;
/// Connections for which a tick has one part.
const PER_PART: usize = 256;
/// Most parts of a tick.
const PARTS_MAX: u32 = 10;

/// Into how many parts a tick is divided, with so many connections.
pub fn parts(connections: usize) -> u32 {
    u32::try_from(connections / PER_PART).unwrap_or(PARTS_MAX).clamp(1, PARTS_MAX)
}

/// Where the next look begins.
#[derive(Debug, Default)]
pub struct Rounds {
    next: Cell<usize>,
    /// The end of the part at hand.
    end: Cell<usize>,
}

impl Rounds {
    /// The places to look at in a part of a tick, of a table with so many, all of which should be seen within
    /// `ticks`.
    pub fn next(&self, places: usize, ticks: usize, parts: u32) -> Range<usize> {
        let parts = parts as usize;
        let begin = if self.next.get() < places { self.next.get() } else { 0 };
        let count = places.div_ceil(ticks * parts).min(PLACES_MAX / parts);
        let end = (begin + count).min(places);
        self.next.set(end);
        self.end.set(end);
        begin..end
    }

    /// What is left of the part at hand.
    pub fn rest(&self) -> Range<usize> {
        self.next.get()..self.end.get()
    }

    /// Looks at these places until one has done what was due, as `look` tells. True: there is a rest, which
    /// others should not have to wait for.
    pub fn look(&self, places: Range<usize>, look: impl FnMut(&usize) -> bool) -> bool {
        let end = places.end;
        let last = { places }.find(look);
        self.next.set(last.map_or(end, |last| last + 1));
        !self.rest().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_turn() {
        let small = Rounds::default();
        assert_eq!([small.next(5, 1, 1), small.next(5, 1, 1)], [0..5, 0..5]);
        assert_eq!(small.next(0, 1, 1), 0..0);
        let thirds = Rounds::default();
        let looks = (0..4).map(|_| thirds.next(10, 3, 1)).collect::<Vec<_>>();
        assert_eq!(looks, [0..4, 4..8, 8..10, 0..4]);
        let large = Rounds::default();
        let looks = (0..4).map(|_| large.next(2500, 1, 1)).collect::<Vec<_>>();
        assert_eq!(looks, [0..1024, 1024..2048, 2048..2500, 0..1024]);
        assert_eq!(large.next(100, 1, 1), 0..100, "it has shrunk");
    }

    #[test]
    fn a_tick_has_more_parts_with_more_connections_and_sees_as_much() {
        assert_eq!([0, 511, 512, 10_000].map(parts), [1, 1, 2, 10]);
        let rounds = Rounds::default();
        let looks = (0..4).map(|_| rounds.next(10, 1, 5)).collect::<Vec<_>>();
        assert_eq!(looks, [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(Rounds::default().next(100_000, 1, 4), 0..256);
    }

    #[test]
    fn a_part_goes_on_after_what_was_done() {
        let rounds = Rounds::default();
        let mut seen = Vec::new();
        let mut look = |places: Range<usize>, due: usize| {
            rounds.look(places, |place| {
                seen.push(*place);
                *place == due
            })
        };
        assert!(look(rounds.next(20, 1, 1), 6));
        assert_eq!(rounds.rest(), 7..20);
        assert!(look(rounds.rest(), 12));
        assert!(!look(rounds.rest(), 21), "nothing was left");
        assert_eq!(rounds.rest(), 20..20);
        assert!(!look(rounds.next(20, 1, 1), 19), "nor after the last place");
        assert_eq!(seen, (0..20).chain(0..20).collect::<Vec<_>>());
    }
}
