//! The counts of all cores since the process started, as `/metrics` and `cyan status` show them.

use std::collections::{BTreeMap, HashMap};

use hdrhistogram::Histogram;

use super::key_watch::HeavyKey;
use crate::metrics::shard::{EnvironmentCounts, ShardReport};
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::verdict::Verdict;

/// Everything counted since the start. Published anew once a second.
#[derive(Debug, Clone)]
pub struct Totals {
    /// Per environment.
    pub environments: BTreeMap<EnvironmentId, EnvironmentTotals>,
    /// Requests that reached no environment, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Sticky keys not found where they were looked for, by reason.
    pub key_missed: BTreeMap<&'static str, u64>,
    /// Requests that began.
    pub requests: u64,
    /// Reports of cores lost because the control plane was too slow.
    pub reports_lost: u64,
    /// Access log lines lost because the writer was too slow.
    pub log_lines_lost: u64,
    /// Panics caught.
    pub panics: u64,
    /// What each core said last, in the order of their numbers.
    pub cores: Vec<CoreNow>,
    /// Keys that carry too much of a service's traffic.
    pub heavy_keys: BTreeMap<Name, HeavyKey>,
}

/// What a core said last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreNow {
    /// Client connections open.
    pub connections: u64,
    /// Pooled upstream connections at rest.
    pub pooled: u64,
    /// Requests that began on this core.
    pub requests: u64,
    /// Collections in a row that it has not answered.
    pub unanswered: u32,
}

/// Counts of one environment since the start.
#[derive(Debug, Clone)]
pub struct EnvironmentTotals {
    /// Its service.
    pub service: Name,
    /// Its name.
    pub environment: Name,
    /// Exchanges that ended, by verdict.
    pub verdicts: [u64; Verdict::COUNT],
    /// Request head to last byte of the answer, in microseconds.
    pub latency_us: Histogram<u64>,
    /// Request head to head of the answer, in microseconds.
    pub response_head_us: Histogram<u64>,
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

impl Totals {
    /// Nothing counted yet on `cores` cores.
    pub fn new(cores: usize) -> Self {
        Self {
            environments: BTreeMap::new(),
            refused: BTreeMap::new(),
            key_missed: BTreeMap::new(),
            requests: 0,
            reports_lost: 0,
            log_lines_lost: 0,
            panics: 0,
            cores: vec![CoreNow::default(); cores],
            heavy_keys: BTreeMap::new(),
        }
    }

    /// Client connections open on all cores.
    pub fn connections(&self) -> u64 {
        self.cores.iter().map(|core| core.connections).sum()
    }

    /// Pooled upstream connections at rest on all cores.
    pub fn pooled(&self) -> u64 {
        self.cores.iter().map(|core| core.pooled).sum()
    }

    /// Takes over which environments there are. One that is gone is forgotten, so that environments
    /// made and removed all day do not add up; a new one shows zeros before its first request.
    pub(super) fn know(&mut self, known: &HashMap<EnvironmentId, (Name, Name)>) {
        self.environments.retain(|id, _| known.contains_key(id));
        for (id, (service, environment)) in known {
            self.environments.entry(*id).or_insert_with(|| EnvironmentTotals {
                service: service.clone(),
                environment: environment.clone(),
                verdicts: [0; Verdict::COUNT],
                latency_us: histogram(),
                response_head_us: histogram(),
                request_bytes: 0,
                response_bytes: 0,
                forced: 0,
                replayed: 0,
                handed_over: 0,
            });
        }
    }

    /// A core has not answered.
    pub(super) fn unanswered(&mut self, core: usize) {
        if let Some(now) = self.cores.get_mut(core) {
            now.unanswered += 1;
        }
    }

    /// Adds what a core counted since it was last asked.
    pub(super) fn add(&mut self, core: usize, report: &ShardReport) {
        for (id, counts) in &report.environments {
            // Counts of an environment that was removed meanwhile belong to nobody any more.
            if let Some(totals) = self.environments.get_mut(id) {
                totals.add(counts);
            }
        }
        for (sums, counts) in
            [(&mut self.refused, &report.refused), (&mut self.key_missed, &report.key_missed)]
        {
            for (reason, count) in counts {
                *sums.entry(reason).or_default() += count;
            }
        }
        self.requests += report.requests;
        self.reports_lost += report.reports_lost;
        self.log_lines_lost += report.log_lines_lost;
        self.panics += report.panics;
        if let Some(now) = self.cores.get_mut(core) {
            now.connections = report.connections;
            now.pooled = report.pooled;
            now.requests += report.requests;
            now.unanswered = 0;
        }
    }
}

impl EnvironmentTotals {
    /// Exchanges that ended, whatever their verdict.
    pub fn ended(&self) -> u64 {
        self.verdicts.iter().sum()
    }

    fn add(&mut self, counts: &EnvironmentCounts) {
        for (sum, count) in self.verdicts.iter_mut().zip(counts.verdicts) {
            *sum += count;
        }
        merge(&mut self.latency_us, &counts.latency_us);
        merge(&mut self.response_head_us, &counts.response_head_us);
        self.request_bytes += counts.request_bytes;
        self.response_bytes += counts.response_bytes;
        self.forced += counts.forced;
        self.replayed += counts.replayed;
        self.handed_over += counts.handed_over;
    }
}

/// As wide as those of the shards, with counters that do not overflow in a year.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2)
        .expect("bounds and digits are within what the histogram takes")
}

/// Adds a core's histogram. Values are recorded anew, because the counters differ in width.
fn merge(sum: &mut Histogram<u64>, part: &Histogram<u32>) {
    for value in part.iter_recorded() {
        sum.saturating_record_n(value.value_iterated_to(), u64::from(value.count_at_value()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::shard::Ended;
    use crate::model::answer::{Inspection, Tokens};

    fn known(ids: &[u32]) -> HashMap<EnvironmentId, (Name, Name)> {
        let name = |text: &str| Name::new(text).unwrap();
        ids.iter()
            .map(|id| (EnvironmentId(*id), (name("chat"), name(&format!("env-{id}")))))
            .collect()
    }

    fn report(environment: u32, latency_ms: u64) -> ShardReport {
        let mut report = ShardReport { requests: 1, connections: 3, ..ShardReport::default() };
        report.ended(&Ended {
            environment: EnvironmentId(environment),
            verdict: Verdict::Complete,
            is_verdict_counted: false,
            status: 200,
            latency: Duration::from_millis(latency_ms),
            connect: None,
            response_head: None,
            ttft: None,
            tpot: None,
            request_bytes: 10,
            response_bytes: 20,
            tokens: Tokens::default(),
            finish: None,
            inspection: Inspection::default(),
            is_tunnel: false,
            forced: false,
            client_retry: false,
            replayed: false,
            handed_over: false,
        });
        report
    }

    #[test]
    fn counts_of_all_cores_add_up() {
        let mut totals = Totals::new(2);
        totals.know(&known(&[1, 2]));
        totals.add(0, &report(1, 100));
        totals.add(1, &report(1, 300));
        totals.add(1, &report(1, 300));
        let one = &totals.environments[&EnvironmentId(1)];
        assert_eq!((one.ended(), one.request_bytes, one.response_bytes), (3, 30, 60));
        assert_eq!(one.latency_us.len(), 3);
        assert!((298_000..=303_000).contains(&one.latency_us.value_at_quantile(0.9)));
        assert_eq!(totals.environments[&EnvironmentId(2)].ended(), 0);
        assert_eq!((totals.requests, totals.connections()), (3, 6));
    }

    #[test]
    fn an_environment_that_is_gone_is_forgotten() {
        let mut totals = Totals::new(1);
        totals.know(&known(&[1]));
        totals.know(&known(&[2]));
        totals.add(0, &report(1, 1));
        assert_eq!(totals.environments.keys().collect::<Vec<_>>(), [&EnvironmentId(2)]);
    }
}
