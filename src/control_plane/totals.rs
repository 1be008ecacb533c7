//! The counts of all cores since the process started, as `/metrics` and `cyan status` show them.
//!
//! Memory: at most 0.3 MB per environment (eleven histograms of 26 KB), 0.1 KB per upstream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::key_watch::HeavyKey;
use crate::metrics::counts::{Counts, UpstreamCounts};
use crate::metrics::shard::ShardReport;
use crate::model::environment::{Environment, EnvironmentId};
use crate::model::name::Name;
use crate::model::upstream::UpstreamId;

/// Everything counted since the start. Published anew once a second.
#[derive(Debug, Clone)]
pub struct Totals {
    /// Per environment. Shared, so that publishing copies those only that had traffic.
    pub environments: BTreeMap<EnvironmentId, Arc<EnvironmentTotals>>,
    /// Per upstream.
    pub upstreams: BTreeMap<UpstreamId, UpstreamTotals>,
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
    /// Requests that were not tried again, because too many were.
    pub retries_withheld: u64,
    /// Connections of addresses that had as many as they may.
    pub connections_refused: u64,
    /// Times that accepting paused, by reason.
    pub accept_pauses: BTreeMap<&'static str, u64>,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// HTTP/2 connections cut for their frames.
    pub floods: u64,
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
    /// Since when it is counted: the start of the process, or when it was made.
    pub since: SystemTime,
    /// What was counted.
    pub counts: Counts<u64>,
}

/// Counts of one upstream since the start.
#[derive(Debug, Clone)]
pub struct UpstreamTotals {
    /// Its service.
    pub service: Name,
    /// Its environment.
    pub environment: Name,
    /// As written.
    pub address: Box<str>,
    /// What was counted.
    pub counts: UpstreamCounts,
}

impl Totals {
    /// Nothing counted yet on `cores` cores.
    pub fn new(cores: usize) -> Self {
        Self {
            environments: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            refused: BTreeMap::new(),
            key_missed: BTreeMap::new(),
            requests: 0,
            reports_lost: 0,
            log_lines_lost: 0,
            panics: 0,
            retries_withheld: 0,
            connections_refused: 0,
            accept_pauses: BTreeMap::new(),
            handshakes_failed: 0,
            floods: 0,
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

    /// Takes over which environments and upstreams there are. One that is gone is forgotten, so that
    /// environments made and removed all day do not add up; a new one shows zeros before its first
    /// request.
    pub(super) fn know<'a>(
        &mut self,
        known: impl Iterator<Item = (&'a Name, &'a Arc<Environment>)>,
        now: SystemTime,
    ) {
        let mut environments = std::mem::take(&mut self.environments);
        let mut upstreams = std::mem::take(&mut self.upstreams);
        for (service, environment) in known {
            let totals = environments
                .remove(&environment.id)
                .unwrap_or_else(|| Arc::new(EnvironmentTotals::new(service, environment, now)));
            self.environments.insert(environment.id, totals);
            for upstream in &environment.upstreams {
                let totals = upstreams.remove(&upstream.id).unwrap_or_else(|| UpstreamTotals {
                    service: service.clone(),
                    environment: environment.name().clone(),
                    address: upstream.spec.to_string().into(),
                    counts: UpstreamCounts::default(),
                });
                self.upstreams.insert(upstream.id, totals);
            }
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
        // Counts of what was removed meanwhile belong to nobody any more.
        for (id, counts) in report.environments.iter() {
            if let Some(totals) = self.environments.get_mut(&id) {
                Arc::make_mut(totals).counts.add(counts);
            }
        }
        for (id, counts) in report.upstreams.iter() {
            if let Some(totals) = self.upstreams.get_mut(&id) {
                totals.counts.add(counts);
            }
        }
        for (sums, counts) in [
            (&mut self.refused, &report.refused),
            (&mut self.key_missed, &report.key_missed),
            (&mut self.accept_pauses, &report.accept_pauses),
        ] {
            for (reason, count) in counts {
                *sums.entry(reason).or_default() += count;
            }
        }
        self.requests += report.requests;
        self.reports_lost += report.reports_lost;
        self.log_lines_lost += report.log_lines_lost;
        self.panics += report.panics;
        self.retries_withheld += report.retries_withheld;
        self.connections_refused += report.connections_refused;
        self.handshakes_failed += report.handshakes_failed;
        self.floods += report.floods;
        if let Some(now) = self.cores.get_mut(core) {
            now.connections = report.connections;
            now.pooled = report.pooled;
            now.requests += report.requests;
            now.unanswered = 0;
        }
    }
}

impl EnvironmentTotals {
    fn new(service: &Name, environment: &Environment, since: SystemTime) -> Self {
        let environment = environment.name().clone();
        Self { service: service.clone(), environment, since, counts: Counts::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, UNIX_EPOCH};

    use super::*;
    use crate::metrics::measure::Measure;
    use crate::metrics::shard::tests::{ended, values};
    use crate::metrics::shard::{Ended, Values};
    use crate::model::environment::EnvironmentSpec;
    use crate::model::standing::Standing;
    use crate::model::upstream::Upstream;

    fn moment(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Environments with these numbers, each with an upstream of the same number, as of this second.
    fn know(totals: &mut Totals, ids: &[u32], second: u64) {
        let name = |text: &str| Name::new(text).unwrap();
        let environment = |id: &u32| {
            let address: crate::model::upstream::UpstreamSpec =
                "http://127.0.0.1:1".parse().unwrap();
            let spec = EnvironmentSpec::new(name(&format!("env-{id}")), vec![address.clone()]);
            let upstream = Upstream::new(UpstreamId(*id), address, Instant::now());
            Arc::new(Environment {
                id: EnvironmentId(*id),
                spec: Arc::new(spec),
                upstreams: vec![Arc::new(upstream)],
                in_flight: Arc::default(),
                mirror: Arc::default(),
            })
        };
        let environments: Vec<_> = ids.iter().map(environment).collect();
        let service = name("chat");
        let known = environments.iter().map(|environment| (&service, environment));
        totals.know(known, moment(second));
    }

    fn report(environment: u32, latency_ms: u64) -> ShardReport {
        let mut report = ShardReport { requests: 1, connections: 3, ..ShardReport::default() };
        let latency = Duration::from_millis(latency_ms);
        let upstream = Some(UpstreamId(environment));
        let values = Some(Values { latency, ..values() });
        report.ended(&Ended { upstream, values, ..ended(environment) });
        report
    }

    #[test]
    fn counts_of_all_cores_add_up() {
        let mut totals = Totals::new(2);
        know(&mut totals, &[1, 2], 1);
        totals.add(0, &report(1, 100));
        totals.add(1, &report(1, 300));
        totals.add(1, &report(1, 300));
        let one = &totals.environments[&EnvironmentId(1)].counts;
        let sum = |measure| one.distributions.of(measure).unwrap().sum();
        assert_eq!(one.tallies.judged(), 3);
        assert_eq!((sum(Measure::RequestSize), sum(Measure::ResponseSize)), (30, 60));
        assert_eq!(sum(Measure::Total), 700_000);
        let p90 = one.distributions.of(Measure::Total).unwrap().cells().value_at_quantile(0.9);
        assert!((300_000..=303_000).contains(&p90), "{p90}");
        assert_eq!(totals.environments[&EnvironmentId(2)].counts.tallies.judged(), 0);
        assert_eq!((totals.requests, totals.connections()), (3, 6));
        let upstream = &totals.upstreams[&UpstreamId(1)];
        assert_eq!(upstream.counts.standings[Standing::Good as usize], 3);
        assert_eq!(&*upstream.address, "http://127.0.0.1:1");
    }

    #[test]
    fn an_environment_that_is_gone_is_forgotten() {
        let mut totals = Totals::new(1);
        know(&mut totals, &[1], 1);
        know(&mut totals, &[2], 2);
        totals.add(0, &report(1, 1));
        assert_eq!(totals.environments.keys().collect::<Vec<_>>(), [&EnvironmentId(2)]);
        assert_eq!(totals.upstreams.keys().collect::<Vec<_>>(), [&UpstreamId(2)]);
    }

    #[test]
    fn each_environment_is_counted_since_it_was_made() {
        let mut totals = Totals::new(1);
        know(&mut totals, &[1], 1);
        know(&mut totals, &[1, 2], 60);
        know(&mut totals, &[1, 2], 61);
        let since: Vec<_> = totals.environments.values().map(|each| each.since).collect();
        assert_eq!(since, [moment(1), moment(60)]);
    }
}
