//! The counts of one core since they were last collected.
//!
//! A shard belongs to its core alone: no lock, no atomic, no other core's cache line. The collector
//! asks for it by message once a second, and the core starts an empty one.

use std::collections::HashMap;
use std::time::Duration;

use super::heavy_keys::HeavyKeys;
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::verdict::Verdict;

/// Counts of one environment on one core.
#[derive(Debug, Clone)]
pub struct EnvironmentCounts {
    /// Exchanges that ended, by verdict.
    pub verdicts: [u64; Verdict::COUNT],
    /// Request head to last byte of the answer, in microseconds.
    pub latency_us: hdrhistogram::Histogram<u32>,
    /// Request head to head of the answer, in microseconds.
    pub response_head_us: hdrhistogram::Histogram<u32>,
    /// Bytes of request bodies passed on.
    pub request_bytes: u64,
    /// Bytes of answers passed on.
    pub response_bytes: u64,
    /// Requests that named this environment themselves.
    pub forced: u64,
    /// Requests sent a second time.
    pub replayed: u64,
    /// Requests that another environment served, because this one had no usable upstream.
    pub handed_over: u64,
}

/// What a core hands over at a collection.
#[derive(Debug, Clone, Default)]
pub struct ShardReport {
    /// Counts per environment.
    pub environments: HashMap<EnvironmentId, EnvironmentCounts>,
    /// Requests that reached no environment, by reason.
    pub refused: HashMap<&'static str, u64>,
    /// Sticky keys not found where they were looked for, by reason.
    pub key_missed: HashMap<&'static str, u64>,
    /// Keys of a part of the requests, by service.
    pub keys: HashMap<Name, HeavyKeys>,
    /// Requests that began, those that reached no environment included.
    pub requests: u64,
    /// Client connections open now.
    pub connections: u64,
    /// Pooled connections at rest now.
    pub pooled: u64,
    /// Reports lost because the control plane was too slow.
    pub reports_lost: u64,
    /// Access log lines lost because the writer was too slow.
    pub log_lines_lost: u64,
    /// Panics caught.
    pub panics: u64,
}

/// How one exchange ended, as the core counts it.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The environment it counts for.
    pub environment: EnvironmentId,
    /// How.
    pub verdict: Verdict,
    /// Request head to last byte.
    pub latency: Duration,
    /// Request head to the head of the answer, if there was one.
    pub response_head: Option<Duration>,
    /// Bytes of the request body passed on.
    pub request_bytes: u64,
    /// Bytes of the answer passed on.
    pub response_bytes: u64,
    /// The request named its environment.
    pub forced: bool,
    /// It was sent twice.
    pub replayed: bool,
    /// Another environment served it.
    pub handed_over: bool,
}

impl ShardReport {
    /// Counts one exchange that ended.
    pub fn ended(&mut self, ended: &Ended) {
        let counts =
            self.environments.entry(ended.environment).or_insert_with(EnvironmentCounts::new);
        counts.verdicts[ended.verdict as usize] += 1;
        counts.latency_us.saturating_record(micros(ended.latency));
        if let Some(head) = ended.response_head {
            counts.response_head_us.saturating_record(micros(head));
        }
        counts.request_bytes += ended.request_bytes;
        counts.response_bytes += ended.response_bytes;
        counts.forced += u64::from(ended.forced);
        counts.replayed += u64::from(ended.replayed);
        counts.handed_over += u64::from(ended.handed_over);
    }
}

impl EnvironmentCounts {
    /// Nothing yet. 1 µs to an hour at 2 significant digits: about 12 KB a histogram.
    fn new() -> Self {
        let histogram = || {
            hdrhistogram::Histogram::new_with_bounds(1, 3_600_000_000, 2)
                .expect("bounds and digits are within what the histogram takes")
        };
        Self {
            verdicts: [0; Verdict::COUNT],
            latency_us: histogram(),
            response_head_us: histogram(),
            request_bytes: 0,
            response_bytes: 0,
            forced: 0,
            replayed: 0,
            handed_over: 0,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
