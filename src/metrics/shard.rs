//! The counts of one core since they were last collected.
//!
//! A shard belongs to its core alone: no lock, no atomic, no other core's cache line. The collector
//! asks for it by message once a second, and the core starts an empty one.

use std::collections::HashMap;
use std::time::Duration;

use super::heavy_keys::HeavyKeys;
use crate::model::answer::{FinishReason, Inspection, Tokens};
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
    /// Between content events of streams, in microseconds.
    pub gap_us: hdrhistogram::Histogram<u32>,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one exchange")]
pub struct Ended {
    /// The environment it counts for.
    pub environment: EnvironmentId,
    /// How.
    pub verdict: Verdict,
    /// The verdict was counted at once, when it came about (`ShardReport::judged`).
    pub is_verdict_counted: bool,
    /// Status of the answer; 0 when there was none.
    pub status: u16,
    /// Request head to last byte.
    pub latency: Duration,
    /// Time to make the connection, if one was made for it.
    pub connect: Option<Duration>,
    /// Request head to the head of the answer, if there was one.
    pub response_head: Option<Duration>,
    /// Request head to first content, of a stream.
    pub ttft: Option<Duration>,
    /// Time per output token after the first, of a stream with at least two.
    pub tpot: Option<Duration>,
    /// Bytes of the request body passed on.
    pub request_bytes: u64,
    /// Bytes of the answer passed on.
    pub response_bytes: u64,
    /// Its tokens.
    pub tokens: Tokens,
    /// Why the model stopped.
    pub finish: Option<FinishReason>,
    /// Whether the answer's words were read.
    pub inspection: Inspection,
    /// It was a tunnel: its duration says nothing of the model's speed.
    pub is_tunnel: bool,
    /// The request named its environment.
    pub forced: bool,
    /// The client says that it tries again.
    pub client_retry: bool,
    /// It was sent twice.
    pub replayed: bool,
    /// Another environment served it.
    pub handed_over: bool,
}

impl ShardReport {
    /// Counts the verdict of an exchange that is still open: it has stalled or failed already.
    pub fn judged(&mut self, environment: EnvironmentId, verdict: Verdict) {
        self.counts(environment).verdicts[verdict as usize] += 1;
    }

    /// Counts a content event: so long after the one before it.
    pub fn gap(&mut self, environment: EnvironmentId, gap: Duration) {
        self.counts(environment).gap_us.saturating_record(micros(gap));
    }

    fn counts(&mut self, environment: EnvironmentId) -> &mut EnvironmentCounts {
        self.environments.entry(environment).or_insert_with(EnvironmentCounts::new)
    }

    /// Counts one exchange that ended.
    pub fn ended(&mut self, ended: &Ended) {
        let counts = self.counts(ended.environment);
        counts.verdicts[ended.verdict as usize] += u64::from(!ended.is_verdict_counted);
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
            gap_us: histogram(),
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
