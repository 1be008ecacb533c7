//! What the machine itself costs: a thread on each core that sleeps until an absolute instant, and
//! how late it wakes.
//!
//! A core of the proxy that has to wake up for a change waits for the same scheduler. What it takes
//! beyond that is the proxy's own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock;

/// Between two wake-ups.
const EVERY: Duration = Duration::from_millis(5);

/// Probes at work.
pub(crate) struct Probe {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Histogram<u64>>>,
}

impl Probe {
    /// One pinned thread on each core that this process may use.
    pub(crate) fn start() -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let spawn = |core| {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || {
                // Unpinned it would still measure, only less beside the proxy.
                let _ = pin(core);
                lateness(&is_over)
            })
        };
        let threads = cores()?.into_iter().map(spawn).collect();
        Ok(Self { is_over, threads })
    }

    /// Ends them; how late they woke, in ns, over all cores.
    pub(crate) fn end(self) -> Histogram<u64> {
        self.is_over.store(true, Ordering::Relaxed); // it orders nothing
        let mut all = clock::histogram();
        for thread in self.threads {
            let late = thread.join().expect("a probe only sleeps and counts");
            all.add(late).expect("all have the same bounds");
        }
        all
    }
}

fn lateness(is_over: &AtomicBool) -> Histogram<u64> {
    let mut late = clock::histogram();
    let mut due_ns = monotonic_ns();
    while !is_over.load(Ordering::Relaxed) {
        due_ns += u64::try_from(EVERY.as_nanos()).unwrap_or(u64::MAX);
        sleep_until(due_ns);
        let now_ns = monotonic_ns();
        late.saturating_record(now_ns.saturating_sub(due_ns));
        due_ns = due_ns.max(now_ns); // late once is counted once
    }
    late
}

fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` lives through the call, which cannot fail with this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let part = |number| u64::try_from(number).unwrap_or(0);
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}

fn sleep_until(due_ns: u64) {
    let part = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let due = libc::timespec {
        tv_sec: part(due_ns / 1_000_000_000),
        tv_nsec: part(due_ns % 1_000_000_000),
    };
    // A signal may end it early; the lateness is then counted as none.
    // SAFETY: `due` lives through the call, and the rest is not asked for.
    unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &raw const due,
            std::ptr::null_mut(),
        )
    };
}

/// The cores that this process may use.
fn cores() -> io::Result<Vec<usize>> {
    // SAFETY: a set of bits, for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is as long as said and lives through the call.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let size = usize::try_from(libc::CPU_SETSIZE).map_err(io::Error::other)?;
    // SAFETY: every core asked about is below the size of the set.
    Ok((0..size).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect())
}

fn pin(core: usize) -> io::Result<()> {
    // SAFETY: as above; `CPU_SET` checks the core against the size of the set.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
