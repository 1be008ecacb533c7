//! One span of measuring: what the proxy used in it, and who else was on its core.

use std::io;
use std::time::{Duration, Instant};

use crate::process::{self, CpuTime};
use crate::subject::{Running, Stage};

/// `USER_HZ`: the unit of `/proc/stat`, the same on every platform of today (time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Begun, not yet ended.
pub(crate) struct Window {
    start: Instant,
    cpu: Option<CpuTime>,
    core_busy_ticks: u64,
}

/// What happened in a window.
pub(crate) struct Usage {
    /// Its real length.
    pub(crate) elapsed: Duration,
    /// CPU of the proxy with all its threads; nothing for the direct way.
    pub(crate) cpu: Option<CpuTime>,
    /// Share of the proxy's core that others used, 0 to 1: above a few percent caches and clock
    /// were shared with a stranger, and the sample is worth less.
    pub(crate) foreign_share: f64,
}

impl Window {
    /// Begins.
    pub(crate) fn open(running: &Running, stage: &Stage) -> io::Result<Self> {
        Ok(Self {
            cpu: running.process.as_ref().map(process::Process::cpu).transpose()?,
            core_busy_ticks: process::core_busy_ticks(stage.proxy_core)?,
            start: Instant::now(),
        })
    }

    /// Ends.
    pub(crate) fn close(self, running: &Running, stage: &Stage) -> io::Result<Usage> {
        let elapsed = self.start.elapsed();
        let end = Self::open(running, stage)?;
        let cpu = end.cpu.zip(self.cpu).map(|(end, start)| end.since(start));
        let own_s = cpu.map_or(0.0, |cpu| Duration::from_nanos(cpu.total_ns).as_secs_f64());
        let busy_ticks = as_f64(end.core_busy_ticks - self.core_busy_ticks);
        let foreign_s = busy_ticks / TICKS_PER_SECOND - own_s;
        let foreign_share = (foreign_s / elapsed.as_secs_f64()).clamp(0.0, 1.0);
        Ok(Usage { elapsed, cpu, foreign_share })
    }
}

impl Usage {
    /// CPU time in µs for each of `count` things.
    pub(crate) fn cpu_us_per(&self, count: u64) -> Option<f64> {
        let total_us = as_f64(self.cpu?.total_ns) / 1000.0;
        (count > 0).then(|| total_us / as_f64(count))
    }

    /// Share of the CPU time that was spent in the kernel, 0 to 1.
    pub(crate) fn system_share(&self) -> Option<f64> {
        let cpu = self.cpu?;
        let ticks = cpu.user_ticks + cpu.system_ticks;
        (ticks > 0).then(|| as_f64(cpu.system_ticks) / as_f64(ticks))
    }

    /// `count` things per second.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        as_f64(count) / self.elapsed.as_secs_f64()
    }
}

/// Counts of this bench, nanoseconds of a run included, are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^52")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
