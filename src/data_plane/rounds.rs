//! Looking at everything in turn, a part per tick.
//!
//! A core that holds thousands of connections must not look at all of them in one go: whoever asks
//! meanwhile would wait for it. So a tick looks at a part of a table at most, and with more in it, each is
//! looked at less often: 10 000 every half second.

use std::cell::Cell;
use std::ops::Range;

/// Most places of a table that one look takes; about 50 µs.
const PLACES_MAX: usize = 1024;

/// Where the next look begins.
#[derive(Debug, Default)]
pub struct Rounds(Cell<usize>);

impl Rounds {
    /// The places to look at now, of a table with so many, all of which should be seen within `looks`.
    pub fn next(&self, places: usize, looks: usize) -> Range<usize> {
        let begin = if self.0.get() < places { self.0.get() } else { 0 };
        let end = (begin + places.div_ceil(looks).min(PLACES_MAX)).min(places);
        self.0.set(end);
        begin..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_turn() {
        let small = Rounds::default();
        assert_eq!([small.next(5, 1), small.next(5, 1)], [0..5, 0..5]);
        assert_eq!(small.next(0, 1), 0..0);
        let thirds = Rounds::default();
        let looks = (0..4).map(|_| thirds.next(10, 3)).collect::<Vec<_>>();
        assert_eq!(looks, [0..4, 4..8, 8..10, 0..4]);
        let large = Rounds::default();
        let looks = (0..4).map(|_| large.next(2500, 1)).collect::<Vec<_>>();
        assert_eq!(looks, [0..1024, 1024..2048, 2048..2500, 0..1024]);
        assert_eq!(large.next(100, 1), 0..100, "it has shrunk");
    }
}
