//! What is measured, in which order, and the figures that come out.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::subject::{Running, Stage};
use crate::window::{Usage, as_f64};
use crate::{load, sse};

/// What `--only` chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// Small requests in a closed loop: CPU per request.
    Keepalive,
    /// Small requests at fixed rates: latency.
    Latency,
    /// Running streams: CPU and delay per event, time to first token.
    Sse,
    /// Idle streams: memory of each.
    Memory,
}

/// One row group of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Closed loop.
    Keepalive,
    /// Requests per second.
    Rate(u32),
    /// Running streams.
    Streams(u32),
    /// Idle streams.
    Idle(u32),
}

/// How long and how much.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Before each window.
    pub(crate) warm_up: Duration,
    /// In which is counted.
    pub(crate) window: Duration,
    rates: &'static [u32],
    idle_streams: u32,
}

impl Plan {
    /// For figures that are quoted.
    pub(crate) const FULL: Self = Self {
        warm_up: Duration::from_secs(1),
        window: Duration::from_secs(5),
        rates: &[1000, 3000, 5000],
        idle_streams: 5000,
    };

    /// For a look: the same workloads, shorter.
    pub(crate) const QUICK: Self = Self {
        warm_up: Duration::from_millis(500),
        window: Duration::from_millis(1500),
        rates: &[1000, 5000],
        idle_streams: 2000,
    };

    /// No more idle streams than descriptors allow: one at the load and one at the upstream here,
    /// two at the proxy.
    pub(crate) fn within_descriptors(mut self, limit: u64) -> Self {
        let most = u32::try_from(limit.saturating_sub(500) / 2).unwrap_or(u32::MAX);
        self.idle_streams = self.idle_streams.min(most);
        self
    }

    /// The workloads of these groups.
    pub(crate) fn workloads(&self, groups: &[Group]) -> Vec<Workload> {
        let of = |group: &Group| match group {
            Group::Keepalive => vec![Workload::Keepalive],
            Group::Latency => self.rates.iter().copied().map(Workload::Rate).collect(),
            Group::Sse => vec![Workload::Streams(1000), Workload::Streams(200)],
            Group::Memory => vec![Workload::Idle(self.idle_streams)],
        };
        groups.iter().flat_map(of).collect()
    }
}

impl Workload {
    /// As it stands in the table and in the results.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Keepalive => "keepalive".into(),
            Self::Rate(rate) => format!("rate-{rate}"),
            Self::Streams(streams) => format!("sse-{streams}"),
            Self::Idle(streams) => format!("idle-{streams}"),
        }
    }

    /// Whether there is something to measure without a proxy.
    pub(crate) fn includes_direct(self) -> bool {
        !matches!(self, Self::Idle(_))
    }

    /// One sample.
    pub(crate) async fn run(
        self,
        running: &Running,
        stage: &Stage,
        plan: &Plan,
    ) -> io::Result<Figures> {
        match (self, &running.process) {
            (Self::Keepalive, _) => load::closed_loop(running, stage, plan).await,
            (Self::Rate(rate), _) => load::fixed_rate(running, stage, plan, rate).await,
            (Self::Streams(streams), _) => {
                sse::running_streams(running, stage, plan, streams).await
            }
            (Self::Idle(streams), Some(proxy)) => sse::idle_streams(running, proxy, streams).await,
            (Self::Idle(_), None) => Ok(Figures::default()),
        }
    }
}

/// Named values of one sample; each name ends in its unit.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// What every window has.
    pub(crate) fn of(usage: &Usage) -> Self {
        let mut figures = Self::default();
        figures.set("window_s", usage.elapsed.as_secs_f64());
        figures.set("foreign_cpu_share", usage.foreign_share);
        figures.set_known("system_cpu_share", usage.system_share());
        figures
    }

    /// One value.
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    /// A value that the direct way does not have.
    pub(crate) fn set_known(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Median, 99th percentile and maximum of a histogram of nanoseconds, in µs.
    pub(crate) fn set_quantiles(&mut self, name: &str, nanoseconds: &Histogram<u64>) {
        if nanoseconds.is_empty() {
            return;
        }
        for (suffix, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let value = as_f64(nanoseconds.value_at_quantile(quantile)) / 1000.0;
            self.set(&format!("{name}_{suffix}_us"), value);
        }
    }

    /// A value by name.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}
