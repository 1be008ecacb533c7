//! Normal requests without a crowd and beside it, and what Cyan takes meanwhile.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::gauge::{ran, resident_kib, threads, time_on_core};
use crate::load::{self, Timed};
use crate::process::Cyan;

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(50);
/// Cyan's thread for everything but requests.
const CONTROL_THREAD: &str = "cyan-control";

/// What was seen without the crowd or beside it.
pub(crate) struct Seen {
    /// Normal requests.
    pub(crate) timed: Timed,
    /// The most memory, in KiB.
    pub(crate) most_kib: f64,
    /// How long Cyan's threads had a core.
    pub(crate) cpu: Cpu,
    /// In this time.
    pub(crate) time: Duration,
}

/// Time on a core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// Of all threads.
    pub(crate) all: Duration,
    /// Of the control plane's.
    pub(crate) control: Duration,
}

/// Both, and the crowd.
pub(crate) struct Beside {
    pub(crate) alone: Seen,
    pub(crate) with: Seen,
    /// It is still there.
    pub(crate) crowd: Crowd,
}

impl Beside {
    /// Asks `rate` times per second for `time`, has the crowd come, and asks again.
    pub(crate) fn measure(
        cyan: &Cyan,
        rate: u32,
        time: Duration,
        begin: impl FnOnce() -> io::Result<Crowd>,
    ) -> io::Result<Self> {
        let alone = Seen::of(cyan, || load::ask(cyan.address, rate, time))?;
        let crowd = begin()?;
        let with = Seen::of(cyan, || load::ask(cyan.address, rate, time))?;
        Ok(Self { alone, with, crowd })
    }

    /// By what the 99th percentile has grown.
    pub(crate) fn p99_factor(&self) -> f64 {
        self.with.timed.p99().as_secs_f64() / self.alone.timed.p99().as_secs_f64()
    }

    /// By what memory has grown.
    pub(crate) fn grown_kib(&self) -> f64 {
        self.with.most_kib - self.alone.most_kib
    }

    /// How many of the normal requests failed.
    pub(crate) fn failed(&self) -> usize {
        self.alone.timed.failed + self.with.timed.failed
    }
}

impl Seen {
    fn of(cyan: &Cyan, ask: impl FnOnce() -> io::Result<Timed>) -> io::Result<Self> {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut most_kib: f64 = 0.0;
                while !is_over.load(Ordering::Relaxed) {
                    most_kib = most_kib.max(resident_kib(cyan.process.id())?);
                    std::thread::sleep(LOOK);
                }
                Ok::<_, io::Error>(most_kib)
            });
            let (began, before) = (Instant::now(), Cpu::of(cyan));
            let timed = ask();
            let (time, after) = (began.elapsed(), Cpu::of(cyan));
            is_over.store(true, Ordering::Relaxed);
            let most_kib = watching.join().expect("it does not panic")?;
            Ok(Self { timed: timed?, most_kib, cpu: after?.since(before?), time })
        })
    }

    /// Share of one core that the control plane had, in percent.
    pub(crate) fn control_percent(&self) -> f64 {
        self.cpu.control.as_secs_f64() / self.time.as_secs_f64() * 100.0
    }
}

impl Cpu {
    /// Since its threads began.
    pub(crate) fn of(cyan: &Cyan) -> io::Result<Self> {
        let pid = cyan.process.id();
        let mut cpu = Self { all: time_on_core(pid)?, control: Duration::ZERO };
        for thread in threads(pid)? {
            let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
            if name.trim_end() == CONTROL_THREAD {
                cpu.control += ran(&thread);
            }
        }
        Ok(cpu)
    }

    /// Without what there was before.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            all: self.all.saturating_sub(before.all),
            control: self.control.saturating_sub(before.control),
        }
    }
}
