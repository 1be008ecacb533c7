//! When ticks of a judge were, by the clock on the wall: people ask what else happened at that time.
//!
//! Ticks stand still while nobody observes. So each process notes the tick it began with, and a tick is told
//! by the process that lived through it.

use serde::{Deserialize, Serialize};

use crate::judge::tick::Tick;
use crate::model::rfc3339;

/// Beginnings that are remembered; before them only the oldest is left to count back from.
const BEGINNINGS_MAX: usize = 16;
const TICK_MS: u64 = 250;

/// The ticks with which processes began, and when that was in milliseconds of Unix time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallClock(Vec<(Tick, u64)>);

impl WallClock {
    /// A process begins to observe.
    pub(super) fn begin(&mut self, tick: Tick, unix_ms: u64) {
        if self.0.len() == BEGINNINGS_MAX {
            self.0.remove(0);
        }
        self.0.push((tick, unix_ms));
    }

    /// The time of day of a tick in UTC, with its day where that is not today's: `14:02:11 UTC`.
    pub fn text(&self, tick: Tick, now_ms: u64) -> String {
        let (at, now) = (rfc3339::format(self.unix_ms(tick)), rfc3339::format(now_ms));
        let (day, time) = (at.get(..10).unwrap_or(""), at.get(11..19).unwrap_or(&at));
        if now.starts_with(day) { format!("{time} UTC") } else { format!("{day} {time} UTC") }
    }

    fn unix_ms(&self, tick: Tick) -> u64 {
        let lived_through = self.0.iter().rev().find(|(first, _)| *first <= tick);
        let Some((first, unix_ms)) = lived_through.or(self.0.first()) else { return 0 };
        let ms = |ticks: u32| u64::from(ticks) * TICK_MS;
        let (after, before) = (tick.0.saturating_sub(first.0), first.0.saturating_sub(tick.0));
        (unix_ms + ms(after)).saturating_sub(ms(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T14:02:11Z
    const AT: u64 = 1_795_269_731_000;
    const MINUTE: u64 = 60_000;

    #[test]
    fn a_tick_is_told_by_the_process_that_lived_through_it() {
        let mut clock = WallClock::default();
        clock.begin(Tick(0), AT);
        clock.begin(Tick(80), AT + 30 * MINUTE);
        for (tick, text) in
            [(0, "14:02:11 UTC"), (79, "14:02:30 UTC"), (80, "14:32:11 UTC"), (100, "14:32:16 UTC")]
        {
            assert_eq!(clock.text(Tick(tick), AT + 60 * MINUTE), text);
        }
        let tomorrow = AT + 24 * 60 * MINUTE;
        assert_eq!(clock.text(Tick(0), tomorrow), "2026-11-21 14:02:11 UTC");
    }

    #[test]
    fn many_restarts_are_remembered_so_far() {
        let mut clock = WallClock::default();
        for restart in 0..100 {
            clock.begin(Tick(restart * 10), AT + u64::from(restart) * MINUTE);
        }
        assert_eq!(clock.0.len(), BEGINNINGS_MAX);
        assert_eq!(clock.text(Tick(995), AT), "15:41:12 UTC");
        assert_eq!(clock.text(Tick(839), AT), "15:26:10 UTC");
    }
}
