//! A drain: no share of the traffic comes any more, what is in flight is finished, until a deadline.
//! (Who names the environment himself, or falls back to it, still gets in.)
//!
//! Pure: counts and time come in, the next state and what is to be done come out. It is complete
//! only when every core has confirmed the table without traffic *and* nothing is in flight; before
//! the confirmation a request may still be on its way in, and a zero would mean nothing.

use std::time::Duration;

/// Time a drain has when nothing is asked for.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Time that ended exchanges have to be gone; cutting takes microseconds, a stuck core takes for
/// ever.
pub const ENDING_MAX: Duration = Duration::from_secs(2);

/// Where a drain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// What is in flight is being finished.
    Draining,
    /// The deadline has passed; what remained is being ended.
    Ending {
        /// How many remained.
        remained: u32,
    },
    /// Everything ended by itself.
    Drained,
    /// The deadline ended some.
    Ended {
        /// How many.
        ended: u32,
        /// How many could not be ended, because their core does not answer.
        left: u32,
    },
}

/// What a step asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Cut every exchange of the environment, never as a clean end.
    EndExchanges,
    /// Close pooled connections to its upstreams; nobody will need them.
    CloseIdle,
}

/// What is seen at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Exchanges in flight.
    pub in_flight: u32,
    /// Whether every core has confirmed the table without traffic.
    pub all_acked: bool,
    /// Time since the drain began.
    pub elapsed: Duration,
}

impl Drain {
    /// The next state. A finished drain answers itself.
    pub fn advance(self, seen: Seen, deadline: Duration) -> (Self, Option<Effect>) {
        match self {
            Self::Draining if seen.in_flight == 0 && seen.all_acked => {
                (Self::Drained, Some(Effect::CloseIdle))
            }
            Self::Draining if seen.elapsed >= deadline => {
                (Self::Ending { remained: seen.in_flight }, Some(Effect::EndExchanges))
            }
            Self::Ending { remained: 0 } if seen.in_flight == 0 => {
                (Self::Drained, Some(Effect::CloseIdle))
            }
            Self::Ending { remained }
                if seen.in_flight == 0 || seen.elapsed >= deadline + ENDING_MAX =>
            {
                let ended = remained.saturating_sub(seen.in_flight);
                (Self::Ended { ended, left: seen.in_flight }, Some(Effect::CloseIdle))
            }
            unchanged => (unchanged, None),
        }
    }

    /// Whether nothing will change any more.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Drained | Self::Ended { .. })
    }

    /// The code in API and events.
    pub fn label(self) -> &'static str {
        match self {
            Self::Draining | Self::Ending { .. } => "draining",
            Self::Drained => "drained",
            Self::Ended { .. } => "ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_needs_the_acks_and_the_zero_or_its_deadline() {
        use Drain::{Drained, Draining, Ended, Ending};
        use Effect::{CloseIdle, EndExchanges};
        let ending = |remained| Ending { remained };
        for (state, in_flight, all_acked, elapsed_s, next, effect) in [
            (Draining, 3, true, 1, Draining, None),
            (Draining, 0, false, 1, Draining, None),
            (Draining, 0, true, 1, Drained, Some(CloseIdle)),
            (Draining, 0, true, 30, Drained, Some(CloseIdle)),
            (Draining, 3, true, 29, Draining, None),
            (Draining, 3, true, 30, ending(3), Some(EndExchanges)),
            (Draining, 0, false, 30, ending(0), Some(EndExchanges)),
            (ending(3), 1, true, 31, ending(3), None),
            (ending(3), 0, true, 31, Ended { ended: 3, left: 0 }, Some(CloseIdle)),
            (ending(3), 1, true, 32, Ended { ended: 2, left: 1 }, Some(CloseIdle)),
            (ending(0), 0, false, 30, Drained, Some(CloseIdle)),
            (Drained, 5, true, 99, Drained, None),
        ] {
            let seen = Seen { in_flight, all_acked, elapsed: Duration::from_secs(elapsed_s) };
            let what = format!("{state:?} with {seen:?}");
            assert_eq!(state.advance(seen, Duration::from_secs(30)), (next, effect), "{what}");
        }
    }
}
