//! Every metric: the one list.
//!
//! Names end in their base unit. Where the OpenTelemetry conventions for generative AI have a name, that
//! is the only one: what Cyan measures at the edge of a model server is called `gen_ai_server_…`, and
//! what only a client of it can see (gaps, usage) `gen_ai_client_…`.

mod exchanges;
mod mirror;
mod process;
mod scores;
mod services;
mod timings;

use super::page::Samples;
use super::seen::Seen;

/// One metric.
#[derive(Debug)]
pub(super) struct Metric {
    /// The name, without `_total` of a counter or `_info` of a text.
    pub(super) name: &'static str,
    /// Its kind.
    pub(super) kind: Kind,
    /// What its numbers are.
    pub(super) unit: Unit,
    /// The names of its labels.
    pub(super) labels: &'static [&'static str],
    /// What it is, in a sentence.
    pub(super) help: &'static str,
    /// Between which two events it is measured, or at which event it counts.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "stands in docs/metrics.md, which a test prints")
    )]
    pub(super) between: &'static str,
    /// Writes its samples.
    pub(super) read: fn(&Seen, &mut Samples<'_>),
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only rises, from the start of the process on.
    Counter,
    /// A state of the moment.
    Gauge,
    /// How often values up to some bounds occurred.
    Histogram,
    /// A text in a label.
    Info,
}

/// What the numbers of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Just a number.
    None,
    /// Seconds, counted in microseconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// 0 to 1.
    Ratio,
    /// Tokens, which are no unit to Prometheus and no part of a name.
    Tokens,
}

/// A heading of the documentation and the metrics below it.
pub(super) type Group = (&'static str, &'static [Metric]);

/// All of them, as the documentation and the page have them.
pub(super) const GROUPS: [Group; 7] = [
    ("Time and size of exchanges", timings::METRICS),
    ("Exchanges", exchanges::METRICS),
    ("Quality scores", scores::METRICS),
    ("Mirrored requests", mirror::METRICS),
    ("Services, environments and upstreams", services::METRICS),
    ("The process", process::METRICS),
    ("What got lost", process::LOST),
];

/// Every metric.
pub(super) fn metrics() -> impl Iterator<Item = &'static Metric> {
    GROUPS.into_iter().flat_map(|(_, metrics)| metrics)
}

/// Two to three bounds a decade, from a connection within a host to the longest answer, in microseconds.
const TIME_BOUNDS: [u64; 19] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
];
/// Powers of four, from a short request to many images.
const BYTE_BOUNDS: [u64; 11] = [
    256,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    256 << 20,
];
/// Powers of four, as the conventions advise.
const TOKEN_BOUNDS: [u64; 11] =
    [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];

impl Metric {
    /// The name of its samples.
    pub(super) fn exported(&self) -> String {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{suffix}", self.name)
    }
}

impl Kind {
    /// The name in both forms, but for a text in the classic one.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

impl Unit {
    /// How a name ends; `None` for what is no unit of a name.
    pub(super) const fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Seconds => Some("seconds"),
            Self::Bytes => Some("bytes"),
            Self::Ratio => Some("ratio"),
            Self::None | Self::Tokens => None,
        }
    }

    /// How many counted units are one of the exported.
    pub(super) const fn scale(self) -> f64 {
        match self {
            Self::Seconds => 1e6,
            _ => 1.0,
        }
    }

    /// Upper bounds of buckets, in counted units.
    pub(super) const fn bounds(self) -> &'static [u64] {
        match self {
            Self::Seconds => &TIME_BOUNDS,
            Self::Bytes => &BYTE_BOUNDS,
            Self::Tokens | Self::None | Self::Ratio => &TOKEN_BOUNDS,
        }
    }
}
