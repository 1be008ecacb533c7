//! One clock for sender and receiver, and ticks finer than a millisecond.
//!
//! The upstream emulator stamps what it sends and the load reads the stamp: both live in this
//! process, so one monotonic clock serves both and a one-way delay can be read at all. The ticks
//! come from the kernel's `timerfd`, because the runtime's own timer rounds up to whole
//! milliseconds, which is more than the delays measured here.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::unix::AsyncFd;

/// Nanoseconds since this process first asked.
pub(crate) fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    nanoseconds(START.get_or_init(Instant::now).elapsed())
}

/// A duration in nanoseconds; 584 years are the most that fit.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// An empty histogram of times: a nanosecond to ten minutes, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    let ten_minutes = nanoseconds(Duration::from_secs(600));
    Histogram::new_with_bounds(1, ten_minutes, 3)
        .expect("bounds rise and 3 digits are within 0 to 5")
}

/// Evenly spaced instants that do not wait for whoever should have used them.
pub(crate) struct Pace {
    timer: AsyncFd<OwnedFd>,
    start: Instant,
    period: Duration,
    passed: u32,
}

impl Pace {
    /// The first tick comes one period from now.
    pub(crate) fn every(period: Duration) -> io::Result<Self> {
        // Before the timer is set: a tick may count from too early by a microsecond, never too late.
        let start = Instant::now();
        let timer = periodic_timer(period)?;
        // SAFETY: an `OwnedFd` always names the same open descriptor, and closes it on drop only.
        let timer = unsafe { AsyncFd::register(timer)? };
        Ok(Self { timer, start, period, passed: 0 })
    }

    /// Ticks `per_second` times a second.
    pub(crate) fn per_second(per_second: u32) -> io::Result<Self> {
        Self::every(Duration::from_secs(1) / per_second)
    }

    /// Waits for the next tick; answers when each tick that has come should have come, so that
    /// one that was noticed late still counts from its own time.
    pub(crate) async fn due(&mut self) -> io::Result<impl Iterator<Item = Instant> + use<>> {
        let expirations = loop {
            let mut ready = self.timer.readable().await?;
            if let Ok(read) = ready.try_io(|timer| read_expirations(timer.get_ref())) {
                break read?;
            }
        };
        let (start, period) = (self.start, self.period);
        let first = self.passed + 1;
        self.passed += expirations;
        Ok((first..=self.passed).map(move |tick| start + period * tick))
    }
}

fn periodic_timer(period: Duration) -> io::Result<OwnedFd> {
    let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
    // SAFETY: takes no pointers; the answer is checked before use.
    let raw = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor; nothing else owns it.
    let timer = unsafe { OwnedFd::from_raw_fd(raw) };
    let seconds = libc::time_t::try_from(period.as_secs()).map_err(io::Error::other)?;
    let each = libc::timespec { tv_sec: seconds, tv_nsec: period.subsec_nanos().into() };
    let setting = libc::itimerspec { it_interval: each, it_value: each };
    // SAFETY: `setting` lives through the call, and the old setting is not asked for.
    let set = unsafe { libc::timerfd_settime(raw, 0, &raw const setting, std::ptr::null_mut()) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(timer) }
}

fn read_expirations(timer: &OwnedFd) -> io::Result<u32> {
    let mut count = 0_u64;
    let size = size_of::<u64>();
    // SAFETY: the buffer is `size` bytes long and lives through the call.
    let read = unsafe { libc::read(timer.as_raw_fd(), (&raw mut count).cast(), size) };
    if read < 0 {
        Err(io::Error::last_os_error())
    } else {
        u32::try_from(count).map_err(io::Error::other)
    }
}
