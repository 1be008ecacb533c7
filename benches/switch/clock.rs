//! One clock for everything that is compared: the kernel's stamps of what arrives at an upstream, and
//! our own of what was written and returned.
//!
//! The kernel stamps packets by the wall clock, so this bench lives by it too. A clock that is set in
//! the middle of a run would spoil the comparison; `Drift` notices.

use std::time::{Instant, SystemTime};

use hdrhistogram::Histogram;

/// The clock may be slewed by a few hundred parts per million, which is some ms in a minute of waiting,
/// but never between two stamps that are compared. More than this was a step.
const STEP_NS_MAX: i128 = 20_000_000;

/// Nanoseconds of Unix time.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("the clock shows a time after 1970");
    u64::try_from(since.as_nanos()).expect("584 years fit")
}

/// Watches the wall clock against the monotonic one.
pub(crate) struct Drift {
    monotonic: Instant,
    wall_ns: u64,
}

impl Drift {
    /// Begins to watch.
    pub(crate) fn watch() -> Self {
        Self { monotonic: Instant::now(), wall_ns: now_ns() }
    }

    /// Whether the wall clock was set since.
    pub(crate) fn was_set(&self) -> bool {
        let monotonic = i128::try_from(self.monotonic.elapsed().as_nanos()).unwrap_or(i128::MAX);
        let wall = i128::from(now_ns()) - i128::from(self.wall_ns);
        (wall - monotonic).abs() > STEP_NS_MAX
    }
}

/// An empty histogram of nanoseconds: up to ten minutes, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000_000, 3)
        .expect("bounds rise and 3 digits are within 0 to 5")
}
