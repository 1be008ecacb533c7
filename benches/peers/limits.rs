//! What Cyan promises beside its peers, held against a run.

use std::fmt;

use crate::results::Samples;
use crate::subject::Subject;

/// One promise.
pub(crate) struct Limit {
    workload: &'static str,
    figure: &'static str,
    measure: Measure,
    max: f64,
}

/// How a figure of Cyan is held against others.
enum Measure {
    /// As it is.
    Absolute,
    /// Divided by the peer's.
    RatioTo(Subject),
    /// Minus that of the direct way.
    AboveDirect,
}

/// The promises, each on a median over the rounds.
pub(crate) const LIMITS: [Limit; 8] = [
    Limit::ratio("keepalive", "cpu_us_per_request", Subject::Haproxy, 1.00),
    Limit::ratio("keepalive", "cpu_us_per_request", Subject::Nginx, 1.05),
    Limit::ratio("sse-1000", "cpu_us_per_event", Subject::Haproxy, 1.00),
    Limit::ratio("sse-1000", "cpu_us_per_event", Subject::Blind, 1.10),
    Limit::above_direct("sse-1000", "ttft_p99_us", 50_000.0),
    Limit::above_direct("sse-200", "delay_p50_us", 300.0),
    Limit::above_direct("sse-200", "delay_p99_us", 5_000.0),
    Limit {
        workload: "idle-5000",
        figure: "pss_kib_per_stream",
        measure: Measure::Absolute,
        max: 34.0,
    },
];

impl Limit {
    const fn ratio(workload: &'static str, figure: &'static str, peer: Subject, max: f64) -> Self {
        Self { workload, figure, measure: Measure::RatioTo(peer), max }
    }

    const fn above_direct(workload: &'static str, figure: &'static str, max: f64) -> Self {
        Self { workload, figure, measure: Measure::AboveDirect, max }
    }

    /// One line: the limit, the value and whether it holds.
    pub(crate) fn verdict(&self, samples: &Samples) -> String {
        let (workload, figure, cyan) = (self.workload, self.figure, Subject::Cyan);
        let spread = match self.measure {
            Measure::Absolute => samples.absolute(workload, cyan, figure),
            Measure::RatioTo(peer) => samples.ratio(workload, (cyan, peer), figure),
            Measure::AboveDirect => samples.added(workload, cyan, figure),
        };
        match spread.map(|spread| spread.median) {
            None => format!("not measured  {self}"),
            Some(value) if value <= self.max => format!("met           {self}: {value:.2}"),
            Some(value) => format!("MISSED        {self}: {value:.2}"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, figure, max, .. } = self;
        match self.measure {
            Measure::Absolute => write!(formatter, "{workload} {figure} <= {max}"),
            Measure::RatioTo(peer) => write!(formatter, "{workload} {figure} <= {max:.2} x {peer}"),
            Measure::AboveDirect => write!(formatter, "{workload} {figure} <= direct + {max}"),
        }
    }
}
