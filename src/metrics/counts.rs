//! What is counted for one environment, on a core or summed up.

use hdrhistogram::Counter;

use super::distribution::Distributions;
use crate::model::answer::{FinishReason, Inspection};
use crate::model::standing::Standing;
use crate::model::verdict::Verdict;

/// Plain counts. Each exchange adds to one verdict, one standing and one inspection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Exchanges by verdict. One that has stalled or failed counts at once, others when they end.
    pub verdicts: [u64; Verdict::COUNT],
    /// The same exchanges by what the verdict says of the environment.
    pub standings: [u64; Standing::COUNT],
    /// Why models stopped, of exchanges that ended and whose answers say so.
    pub finish: [u64; FinishReason::COUNT],
    /// Whether answers were read, of exchanges that ended.
    pub inspections: [u64; Inspection::COUNT],
    /// Tokens of prompts that came out of the server's cache.
    pub cached_tokens: u64,
    /// Exchanges whose output tokens were counted here, because the server sent no usage.
    pub estimated_outputs: u64,
    /// Requests of which the client says that it tries again.
    pub client_retries: u64,
    /// Requests that named this environment themselves.
    pub forced: u64,
    /// Requests sent a second time.
    pub replayed: u64,
    /// Requests that another environment served, because this one had no usable upstream.
    pub handed_over: u64,
}

/// Plain counts and distributions. `C` is `u32` on a core, which is emptied once a second, and `u64`
/// in sums.
#[derive(Debug, Clone, Default)]
pub struct Counts<C: Counter> {
    /// Plain counts.
    pub tallies: Tallies,
    /// How long, how much.
    pub distributions: Distributions<C>,
}

/// What one upstream did, in three numbers that fit any number of upstreams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpstreamCounts {
    /// Exchanges that ended on it, by what they say of the environment.
    pub standings: [u64; Standing::COUNT],
    /// Request head to last byte, summed over exchanges that were no tunnels.
    pub total_us: u64,
    /// How many those were.
    pub timed: u64,
}

impl Tallies {
    /// Exchanges with a verdict.
    pub fn judged(&self) -> u64 {
        self.verdicts.iter().sum()
    }

    /// How many exchanges have this standing.
    pub fn standing(&self, standing: Standing) -> u64 {
        self.standings[standing as usize]
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        add_each(&mut self.verdicts, &other.verdicts);
        add_each(&mut self.standings, &other.standings);
        add_each(&mut self.finish, &other.finish);
        add_each(&mut self.inspections, &other.inspections);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.estimated_outputs += other.estimated_outputs;
        self.client_retries += other.client_retries;
        self.forced += other.forced;
        self.replayed += other.replayed;
        self.handed_over += other.handed_over;
    }
}

impl Counts<u64> {
    /// Adds what a core counted.
    pub fn add(&mut self, counts: &Counts<u32>) {
        self.tallies.add(&counts.tallies);
        self.distributions.add(&counts.distributions);
    }
}

impl UpstreamCounts {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        add_each(&mut self.standings, &other.standings);
        self.total_us = self.total_us.saturating_add(other.total_us);
        self.timed += other.timed;
    }
}

fn add_each<const N: usize>(sums: &mut [u64; N], counts: &[u64; N]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}
