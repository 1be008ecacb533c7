//! The counts of one core since they were last collected.
//!
//! A shard belongs to its core alone: no lock, no atomic, no other core's cache line. The collector
//! asks for it by message once a second, and the core starts an empty one.
//!
//! Memory: 0.5 KB per environment that had an exchange since the last collection, and 13 KB per measure
//! of which it had a value: at most 147 KB per environment and core for all eleven, 122 KB for a chat
//! service without tunnels whose upstreams send usage (`benches/recording.rs`). Beside it stand the marks
//! of cohorts (`cohort::Marks`, 2 MB at most per core) and the keys that failed (`failed_keys`, 34 KB at
//! most per environment and core).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::cohort::Marks;
use super::counts::{Counts, UpstreamCounts};
use super::failed_keys::FailedKeys;
use super::heavy_keys::HeavyKeys;
use super::measure::Measure;
use super::near_map::NearMap;
use crate::model::answer::{FinishReason, Inspection, Tokens};
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::standing::Standing;
use crate::model::upstream::UpstreamId;
use crate::model::verdict::Verdict;

/// What a core hands over at a collection.
#[derive(Debug, Clone, Default)]
pub struct ShardReport {
    /// Counts per environment.
    pub environments: NearMap<EnvironmentId, Counts<u32>>,
    /// Counts per upstream.
    pub upstreams: NearMap<UpstreamId, UpstreamCounts>,
    /// What happened to exchanges, by the second of their arrival.
    pub marks: Marks,
    /// Sticky keys of exchanges that failed.
    pub failed_keys: NearMap<EnvironmentId, FailedKeys>,
    /// When it was handed over: everything before is in it, or in those before it.
    pub collected_at: Option<Instant>,
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
    /// Requests that were not tried again, because too many were.
    pub retries_withheld: u64,
    /// Connections of addresses that had as many as they may.
    pub connections_refused: u64,
    /// Times that accepting paused, by reason.
    pub accept_pauses: HashMap<&'static str, u64>,
    /// TLS handshakes that clients broke off, or that could not be agreed upon.
    pub handshakes_failed: u64,
    /// HTTP/2 connections cut for their frames.
    pub floods: u64,
}

/// How one exchange ended, as the core counts it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one exchange")]
pub struct Ended {
    /// The environment it counts for.
    pub environment: EnvironmentId,
    /// The upstream of that environment to which it was sent last; `None` when it was sent to none.
    pub upstream: Option<UpstreamId>,
    /// How.
    pub verdict: Verdict,
    /// The verdict was counted at once, when it came about (`ShardReport::judged`).
    pub is_verdict_counted: bool,
    /// Status of the answer; 0 when there was none.
    pub status: u16,
    /// What was measured of it; `None` when another environment served it, whose speed and words say
    /// nothing of this one.
    pub values: Option<Values>,
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

/// What was measured of one exchange: how long, how much, what it said.
#[derive(Debug, Clone, Copy)]
pub struct Values {
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
}

impl ShardReport {
    /// Counts the verdict of an exchange that is still open: it has stalled or failed already.
    pub fn judged(&mut self, environment: EnvironmentId, verdict: Verdict) {
        // What is judged early is judged by its stream, whose head said 200.
        let standing = Standing::of(verdict, 200);
        let tallies = &mut self.environments.of(environment).tallies;
        tallies.verdicts[verdict as usize] += 1;
        tallies.standings[standing as usize] += 1;
    }

    /// Counts a content event: so long after the one before it.
    #[inline]
    pub fn gap(&mut self, environment: EnvironmentId, gap: Duration) {
        self.environments.of(environment).distributions.record(Measure::Gap, micros(gap));
    }

    /// Counts one exchange that ended.
    pub fn ended(&mut self, ended: &Ended) {
        let standing = Standing::of(ended.verdict, ended.status);
        let counts = self.environments.of(ended.environment);
        counts.tally(ended, standing);
        if let Some(values) = &ended.values {
            counts.measure(values, ended.is_tunnel);
        }
        if let Some(upstream) = ended.upstream {
            self.upstreams.of(upstream).tally(ended, standing);
        }
    }
}

impl Counts<u32> {
    fn tally(&mut self, ended: &Ended, standing: Standing) {
        let tallies = &mut self.tallies;
        if !ended.is_verdict_counted {
            tallies.verdicts[ended.verdict as usize] += 1;
            tallies.standings[standing as usize] += 1;
        }
        let inspection = ended.values.map(|values| values.inspection).unwrap_or_default();
        tallies.inspections[inspection as usize] += 1;
        tallies.client_retries += u64::from(ended.client_retry);
        tallies.forced += u64::from(ended.forced);
        tallies.replayed += u64::from(ended.replayed);
        tallies.handed_over += u64::from(ended.handed_over);
    }

    fn measure(&mut self, values: &Values, is_tunnel: bool) {
        let tallies = &mut self.tallies;
        if let Some(finish) = values.finish {
            tallies.finish[finish as usize] += 1;
        }
        let cached = values.tokens.cached.unwrap_or(0);
        tallies.cached_tokens = tallies.cached_tokens.saturating_add(cached);
        let is_estimate = values.tokens.is_output_estimated && values.tokens.output.is_some();
        tallies.estimated_outputs += u64::from(is_estimate);
        let whole = if is_tunnel { Measure::Tunnel } else { Measure::Total };
        let measured = [
            (whole, Some(micros(values.latency))),
            (Measure::ResponseHead, values.response_head.map(micros)),
            (Measure::Ttft, values.ttft.map(micros)),
            (Measure::Tpot, values.tpot.map(micros)),
            (Measure::Connect, values.connect.map(micros)),
            (Measure::RequestSize, Some(values.request_bytes)),
            (Measure::ResponseSize, Some(values.response_bytes)),
            (Measure::InputTokens, values.tokens.input),
            (Measure::OutputTokens, values.tokens.output),
        ];
        for (measure, value) in measured {
            if let Some(value) = value {
                self.distributions.record(measure, value);
            }
        }
    }
}

impl UpstreamCounts {
    fn tally(&mut self, ended: &Ended, standing: Standing) {
        self.standings[standing as usize] += 1;
        if let Some(values) = ended.values.filter(|_| !ended.is_tunnel) {
            self.total_us = self.total_us.saturating_add(micros(values.latency));
            self.timed += 1;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What was measured of it.
    pub(crate) fn values() -> Values {
        Values {
            latency: Duration::from_millis(100),
            connect: None,
            response_head: None,
            ttft: None,
            tpot: None,
            request_bytes: 10,
            response_bytes: 20,
            tokens: Tokens::default(),
            finish: None,
            inspection: Inspection::default(),
        }
    }

    /// An exchange that ended well in 100 ms, and says nothing else.
    pub(crate) fn ended(environment: u32) -> Ended {
        Ended {
            environment: EnvironmentId(environment),
            upstream: None,
            verdict: Verdict::Complete,
            is_verdict_counted: false,
            status: 200,
            values: Some(values()),
            is_tunnel: false,
            forced: false,
            client_retry: false,
            replayed: false,
            handed_over: false,
        }
    }

    #[test]
    fn an_exchange_judged_early_is_counted_once() {
        let mut report = ShardReport::default();
        report.judged(EnvironmentId(1), Verdict::Stalled);
        let stalled = Ended { verdict: Verdict::Stalled, is_verdict_counted: true, ..ended(1) };
        report.ended(&stalled);
        report.ended(&Ended { upstream: Some(UpstreamId(4)), ..ended(1) });
        let counts = report.environments.get(EnvironmentId(1)).unwrap();
        assert_eq!(counts.tallies.judged(), 2);
        assert_eq!(counts.tallies.standing(Standing::Bad), 1);
        assert_eq!(counts.distributions.of(Measure::Total).unwrap().count(), 2);
        assert!(counts.distributions.of(Measure::Ttft).is_none());
        let upstream = report.upstreams.get(UpstreamId(4)).unwrap();
        assert_eq!((upstream.standings[Standing::Good as usize], upstream.timed), (1, 1));
    }

    #[test]
    fn a_sum_of_tokens_that_is_full_stays_full() {
        let absurd = Tokens { cached: Some(u64::MAX), input: Some(u64::MAX), ..Tokens::default() };
        let mut report = ShardReport::default();
        let values = Some(Values { tokens: absurd, ..values() });
        report.ended(&Ended { values, ..ended(1) });
        report.ended(&Ended { values, ..ended(1) });
        let mut sum = Counts::<u64>::default();
        let counts = report.environments.get(EnvironmentId(1)).unwrap();
        sum.add(counts);
        sum.add(counts);
        assert_eq!(sum.tallies.cached_tokens, u64::MAX);
        assert_eq!(sum.distributions.of(Measure::InputTokens).unwrap().sum(), u64::MAX);
    }

    #[test]
    fn an_exchange_that_another_environment_served_counts_and_has_no_values() {
        let mut report = ShardReport::default();
        let verdict = Verdict::ConnectError;
        let upstream = Some(UpstreamId(4));
        report.ended(&Ended { verdict, upstream, values: None, handed_over: true, ..ended(1) });
        let counts = report.environments.get(EnvironmentId(1)).unwrap();
        assert_eq!((counts.tallies.judged(), counts.tallies.handed_over), (1, 1));
        assert_eq!(counts.tallies.inspections.iter().sum::<u64>(), 1);
        assert!(Measure::ALL.into_iter().all(|measure| counts.distributions.of(measure).is_none()));
        let upstream = report.upstreams.get(UpstreamId(4)).unwrap();
        assert_eq!((upstream.standings[Standing::Bad as usize], upstream.timed), (1, 0));
    }

    #[test]
    fn a_tunnel_has_a_duration_of_its_own() {
        let mut report = ShardReport::default();
        report.ended(&Ended { is_tunnel: true, ..ended(1) });
        let distributions = &report.environments.get(EnvironmentId(1)).unwrap().distributions;
        assert!(distributions.of(Measure::Total).is_none());
        assert_eq!(distributions.of(Measure::Tunnel).unwrap().sum(), 100_000);
    }
}
