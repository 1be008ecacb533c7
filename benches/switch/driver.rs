//! Makes the changes, evenly spaced, and knows when each environment had to be left alone.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::admin::{Admin, Call, Change};

/// Green's weights in turn, in hundredths of a percent: small steps, large ones, and none at all.
const GREEN: [u16; 8] = [0, 1, 500, 2500, 10_000, 5000, 7500, 100];

/// How many changes, and in what time.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Plan {
    /// Length of the run.
    pub(crate) seconds: u32,
    /// Changes of weights.
    pub(crate) changes: u32,
    /// Switches, spread evenly among them.
    pub(crate) switches: u32,
}

/// A time in which an environment must get nothing new: from the return of the call that took its
/// weight to zero until the next call that raises it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed {
    /// Its first nanosecond.
    pub(crate) from_ns: u64,
    /// The first nanosecond after it.
    pub(crate) until_ns: u64,
}

impl Plan {
    /// The changes in their order.
    pub(crate) fn steps(self) -> impl Iterator<Item = Change> {
        let total = self.changes + self.switches;
        let mut active = 0;
        (0..total).map(move |number| {
            // A switch wherever the share of switches so far passes a whole number.
            let passed =
                |number: u32| u64::from(number) * u64::from(self.switches) / u64::from(total);
            if passed(number + 1) > passed(number) {
                active = 1 - active;
                Change::Switch(active)
            } else {
                Change::Weights(GREEN[number as usize % GREEN.len()])
            }
        })
    }

    /// Starts a thread that makes them all.
    pub(crate) fn drive(self, admin: SocketAddr) -> JoinHandle<io::Result<Vec<Call>>> {
        std::thread::spawn(move || {
            let mut admin = Admin::connect(admin)?;
            let total = self.changes + self.switches;
            let every = Duration::from_secs(self.seconds.into()) / total.max(1);
            let start = Instant::now();
            let mut calls = Vec::new();
            for (number, change) in (0..).zip(self.steps()) {
                // Late by one call, the next ones follow at once until the time is made good.
                let due = start + every * number;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                calls.push(admin.change(change)?);
            }
            Ok(calls)
        })
    }
}

/// When each environment was closed, by their numbers. A time that no later call ended counts until `end_ns`.
pub(crate) fn closed_times(calls: &[Call], end_ns: u64) -> [Vec<Closed>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for (environment, times) in times.iter_mut().enumerate() {
        let mut since = None;
        for call in calls {
            if call.change.weights()[environment] > 0 {
                let from_ns = since.take();
                times.extend(from_ns.map(|from_ns| Closed { from_ns, until_ns: call.began_ns }));
            } else if call.lagging == 0 {
                since = since.or(Some(call.returned_ns));
            }
        }
        times.extend(since.map(|from_ns| Closed { from_ns, until_ns: end_ns }));
    }
    times
}
