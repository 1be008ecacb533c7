//! Until when which core has told everything.
//!
//! Nobody may speak of a moment before every core has reported beyond it. A core that is stuck must not
//! keep the judge from judging the others: after two seconds they go on without it, and what it tells
//! later of the arrivals that it missed is not heard.

use std::ops::Range;
use std::time::Duration;

use crate::model::note::quarter;

/// For how long a core is waited for. Four reports a second are usual.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// All cores.
#[derive(Debug)]
pub struct Cores {
    cores: Vec<Core>,
}

/// One core. Times are quarters of a second since the epoch.
#[derive(Debug, Clone)]
struct Core {
    /// The first quarter that it has not wholly reported.
    until: u32,
    heard_at: Duration,
    /// Quarters of which it has reported nothing and will not any more, the last such.
    gap: Range<u32>,
}

/// Which cores a quarter is without.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Their numbers.
    pub cores: Vec<usize>,
    /// One of them has reported a part of the quarter.
    pub is_partial: bool,
}

impl Cores {
    /// So many, of which nothing was heard before `began`.
    pub fn new(count: usize, began: Duration) -> Self {
        let core = Core { until: first_whole(began), heard_at: began, gap: 0..0 };
        Self { cores: vec![core; count] }
    }

    /// A core has reported what it saw between two moments since the epoch.
    pub fn hear(&mut self, core: usize, since: Duration, until: Duration) {
        let Some(core) = self.cores.get_mut(core) else { return };
        let from = first_whole(since);
        if from > core.until {
            core.gap = core.until..from;
        }
        core.until = core.until.max(from).max(quarter(until));
        core.heard_at = core.heard_at.max(until);
    }

    /// The first quarter of which not everything is known that will be; `None` while no core reports.
    pub fn frontier(&self, now: Duration) -> Option<u32> {
        let is_present = |core: &&Core| now.saturating_sub(core.heard_at) < WAIT_MAX;
        self.cores.iter().filter(is_present).map(|core| core.until).min()
    }

    /// Which cores a quarter is without, if it is settled now.
    pub fn missing(&self, quarter: u32) -> Missing {
        let mut missing = Missing::default();
        for (number, core) in self.cores.iter().enumerate() {
            if core.until <= quarter || core.gap.contains(&quarter) {
                missing.cores.push(number);
                missing.is_partial |= core.until == quarter || core.gap.start == quarter;
            }
        }
        missing
    }

    /// Whether a core has not told everything of a quarter and never will.
    pub fn has_gap(&self, core: usize, quarter: u32) -> bool {
        self.cores.get(core).is_some_and(|core| core.gap.contains(&quarter))
    }
}

/// The first quarter that begins at a moment or after it.
pub fn first_whole(since: Duration) -> u32 {
    quarter(since + Duration::from_nanos(250_000_000 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_slowest_core_is_waited_for_and_then_gone_on_without() {
        let mut cores = Cores::new(2, ms(1_010));
        assert_eq!(cores.frontier(ms(1_100)), Some(5), "nothing is known of the fifth quarter");
        cores.hear(0, ms(1_020), ms(1_600));
        assert_eq!(cores.frontier(ms(1_700)), Some(5));
        cores.hear(1, ms(1_020), ms(1_510));
        assert_eq!(cores.frontier(ms(1_700)), Some(6));
        assert_eq!(cores.missing(5), Missing::default());
        cores.hear(0, ms(1_020), ms(3_600));
        assert_eq!(cores.frontier(ms(3_509)), Some(6));
        assert_eq!(cores.frontier(ms(3_510)), Some(14));
        assert_eq!(cores.missing(6), Missing { cores: vec![1], is_partial: true });
        assert_eq!(cores.missing(7), Missing { cores: vec![1], is_partial: false });
        assert_eq!(cores.frontier(ms(9_000)), None, "time stands still while nobody reports");
    }

    #[test]
    fn a_core_that_stopped_noting_leaves_a_gap() {
        let mut cores = Cores::new(1, ms(0));
        cores.hear(0, ms(0), ms(600));
        cores.hear(0, ms(7_100), ms(7_300));
        assert_eq!(cores.frontier(ms(7_400)), Some(29));
        assert_eq!(cores.missing(2), Missing { cores: vec![0], is_partial: true });
        assert_eq!(cores.missing(28), Missing { cores: vec![0], is_partial: false });
        assert_eq!((cores.has_gap(0, 28), cores.has_gap(0, 29)), (true, false));
        assert_eq!(cores.missing(1), Missing::default());
    }
}
