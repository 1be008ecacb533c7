//! One number for one rollout: what a coin has become that was bet on "the candidate is worse".
//!
//! Every metric has a share of the coin, and the shares sum to the number. If the candidate is no worse,
//! it ever reaches 100 with probability 1 % at most, however often one looks and however long it runs
//! (Ville's inequality), for requests that fail independently of each other. Where users differ that is
//! not so, and each metric has a second number that asks users (`key_evidence`).
//!
//! Pure, and all there is to restore after a restart: records in, numbers out.

use serde::{Deserialize, Serialize};

use super::absolute::{AbsoluteLimit, LimitCounts};
use super::by_age::{ByAge, age_index};
use super::confirmation::TotalFailure;
use super::e_process::{Onset, Tally};
use super::epoch_weights::EpochWeights;
use super::key_evidence::KeyEvidence;
use super::metric::Metric;
use super::quality::Quality;
use super::record::{
    Both, Change, ErrorAge, ErrorReading, HitKind, LimitReading, Measure, Score, SlowReading,
    TickRecord,
};
use super::settings::Settings;
use super::slowness::Slowness;
use super::split_check::SplitCheck;
use super::strata::Strata;
use super::tick::Tick;

/// Ages at which the absolute limit on failures is read.
const LIMIT_AGES: usize = 4;
/// Parts of a metric that is compared: three ages, or three quantiles.
const PARTS: usize = 3;

/// Everything gathered about a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    settings: Settings,
    now: Tick,
    strata: Strata,
    by_age: ByAge,
    ttft: Slowness,
    latency: Slowness,
    quality: Quality,
    error_limit: AbsoluteLimit,
    latency_limit: AbsoluteLimit,
    keys: Keys,
    split: SplitCheck,
    total_failure: TotalFailure,
}

/// The same asked by users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Keys {
    errors: KeyEvidence,
    refused: KeyEvidence,
    watched: KeyEvidence,
    ttft: KeyEvidence,
    latency: KeyEvidence,
    quality: KeyEvidence,
    latency_limit: KeyEvidence,
}

impl Evidence {
    /// Before anything was seen.
    pub fn new(settings: Settings) -> Self {
        let steps = settings.planned_steps;
        let limits = settings.limits;
        Self {
            now: Tick(0),
            strata: Strata::default(),
            by_age: ByAge::new(steps, settings.error_tolerance),
            ttft: Slowness::new(steps),
            latency: Slowness::new(steps),
            quality: Quality::new(limits.quality_min, steps),
            error_limit: AbsoluteLimit::new(limits.error_rate_max, LIMIT_AGES, steps),
            latency_limit: AbsoluteLimit::new(limits.slow_share_max, 1, steps),
            keys: Keys::new(steps),
            split: SplitCheck::default(),
            total_failure: TotalFailure::default(),
            settings,
        }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, change: &Change) {
        let Change { at, share, planned } = *change;
        self.strata.change(at);
        self.by_age.change(at, planned);
        self.ttft.change(at, planned);
        self.latency.change(at, planned);
        self.quality.change(at, planned);
        self.error_limit.change(at, planned);
        self.latency_limit.change(at, planned);
        self.keys.all().into_iter().for_each(|keys| keys.change(change));
        self.split.change(share);
        self.total_failure.forget();
    }

    /// Takes in what became known.
    pub fn observe(&mut self, record: &TickRecord) {
        let began_second = self.now.second() != record.now.second();
        self.now = record.now;
        record.arrivals.iter().for_each(|arrivals| self.strata.arrive(arrivals));
        record.errors.iter().for_each(|reading| self.read_errors(reading));
        record.slow.iter().for_each(|reading| self.read_slow(reading));
        record.limit.iter().for_each(|reading| self.read_limit(reading));
        record.scores.iter().for_each(|score| self.read_score(score));
        if let Some(new_keys) = record.new_keys {
            self.split.see(self.now, new_keys);
        }
        if began_second {
            self.end_second();
        }
    }

    fn end_second(&mut self) {
        let now = self.now;
        self.quality.end_second(now);
        self.keys.all().into_iter().for_each(|keys| keys.pass(now));
        self.strata.forget_before(self.needed_from());
    }

    /// The first stratum that some metric of this service has still to read.
    fn needed_from(&self) -> u64 {
        let has = |metric| self.settings.metrics.has(metric);
        let compared = has(Metric::Errors) || has(Metric::Refused);
        [
            compared.then(|| self.by_age.next()),
            has(Metric::Ttft).then(|| self.ttft.next()),
            has(Metric::Latency).then(|| self.latency.next()),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(u64::MAX)
    }

    fn read_errors(&mut self, reading: &ErrorReading) {
        self.by_age.read(&self.strata, reading);
        let failures =
            reading.counts.map(|c| Tally { n: c.n, hits: c.early + c.late, clear_hits: 0 });
        let limit = LimitCounts { from: reading.from, counts: failures, hits: &reading.hits };
        self.error_limit.read(self.now, reading.age as usize, limit);
        if reading.age == ErrorAge::Quarter {
            self.total_failure.read(reading);
        }
        let Some(part) = age_index(reading.age) else { return };
        for hit in &reading.hits {
            let keys = match hit.kind {
                HitKind::Late if reading.age != ErrorAge::Final => continue,
                HitKind::Early | HitKind::Late => &mut self.keys.errors,
                HitKind::Refused => &mut self.keys.refused,
                HitKind::Watched => &mut self.keys.watched,
                HitKind::Slow => continue,
            };
            keys.hit(reading.from, part, hit.side, hit.key);
        }
    }

    fn read_slow(&mut self, reading: &SlowReading) {
        let (slowness, keys) = match reading.measure {
            Measure::Ttft => (&mut self.ttft, &mut self.keys.ttft),
            Measure::Latency => (&mut self.latency, &mut self.keys.latency),
        };
        slowness.read(&self.strata, reading);
        for hit in &reading.hits {
            keys.hit(reading.from, reading.quantile as usize, hit.side, hit.key);
        }
    }

    fn read_limit(&mut self, reading: &LimitReading) {
        let tally = |n, hits| Tally { n, hits, clear_hits: 0 };
        let counts = Both {
            active: tally(reading.n.active, reading.over.active),
            candidate: tally(reading.n.candidate, reading.over.candidate),
        };
        let limit = LimitCounts { from: reading.from, counts, hits: &reading.hits };
        self.latency_limit.read(self.now, 0, limit);
        for hit in &reading.hits {
            self.keys.latency_limit.hit(reading.from, 0, hit.side, hit.key);
        }
    }

    fn read_score(&mut self, score: &Score) {
        if self.quality.score(score) {
            self.keys.quality.hit(score.arrived, 0, score.side, score.key);
        }
    }

    /// The rules that were settled at the start.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Until when everything was seen.
    pub fn now(&self) -> Tick {
        self.now
    }

    /// The one number.
    pub fn value(&self) -> f64 {
        self.settings.metrics.iter().map(|metric| self.adds(metric)).sum()
    }

    /// What a metric adds to it.
    pub fn adds(&self, metric: Metric) -> f64 {
        let share = self.settings.metrics.share(metric);
        if share == 0.0 { 0.0 } else { share * self.of(metric) }
    }

    /// What it adds where only absolute limits count: what comparisons had won is the coin that was staked
    /// and no more.
    pub fn adds_alone(&self, metric: Metric) -> f64 {
        let share = self.settings.metrics.share(metric);
        match metric {
            Metric::ErrorLimit | Metric::LatencyLimit => self.adds(metric),
            Metric::Quality => share * self.quality.value_alone(),
            _ => self.adds(metric).min(share),
        }
    }

    /// The metric that adds most.
    pub fn strongest(&self) -> Metric {
        let strongest =
            self.settings.metrics.iter().max_by(|a, b| self.adds(*a).total_cmp(&self.adds(*b)));
        strongest.unwrap_or(Metric::Errors)
    }

    fn of(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Errors => self.by_age.errors.value(),
            Metric::Refused => self.by_age.refused.value(),
            Metric::Ttft => self.ttft.evidence.value(),
            Metric::Latency => self.latency.evidence.value(),
            Metric::Quality => self.quality.value(),
            Metric::ErrorLimit => self.error_limit.value(),
            Metric::LatencyLimit => self.latency_limit.value(),
        }
    }

    /// What users say about a metric.
    pub fn by_users(&self, metric: Metric) -> f64 {
        self.keys_of(metric).value()
    }

    /// Whether users have nothing to say about a metric, for now.
    pub fn users_are_calm(&self, metric: Metric) -> bool {
        let levels = &self.settings.levels;
        self.keys_of(metric).is_calm(levels.calm_confirm, levels.hold_confirm)
    }

    /// Users hit since, in the present epoch.
    pub fn users_hit(&self, metric: Metric) -> Onset {
        self.keys_of(metric).onset()
    }

    fn keys_of(&self, metric: Metric) -> &KeyEvidence {
        match metric {
            Metric::Errors | Metric::ErrorLimit => &self.keys.errors,
            Metric::Refused => &self.keys.refused,
            Metric::Ttft => &self.keys.ttft,
            Metric::Latency => &self.keys.latency,
            Metric::Quality => &self.keys.quality,
            Metric::LatencyLimit => &self.keys.latency_limit,
        }
    }

    /// When a metric's trouble most probably began, and what was counted since.
    pub fn onset(&self, metric: Metric) -> Onset {
        match metric {
            Metric::Errors => self.by_age.errors.onset(),
            Metric::Refused => self.by_age.refused.onset(),
            Metric::Ttft => self.ttft.evidence.onset(),
            Metric::Latency => self.latency.evidence.onset(),
            Metric::Quality => {
                let counted = self.quality.counted().map(|n| Tally { n, hits: 0, clear_hits: 0 });
                Onset { since: self.quality.since(), counted }
            }
            Metric::ErrorLimit => self.error_limit.onset(),
            Metric::LatencyLimit => self.latency_limit.onset(),
        }
    }

    /// Scores, as far as there are some.
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// Watched ends: evidence by requests, and by users.
    pub fn watched(&self) -> (f64, f64, Onset) {
        (self.by_age.watched.value(), self.keys.watched.value(), self.by_age.watched.onset())
    }

    /// Whether users came in the share that was set.
    pub fn split(&self) -> &SplitCheck {
        &self.split
    }

    /// Whether the candidate fails for everybody.
    pub fn is_total_failure(&self) -> bool {
        self.total_failure.is_total()
    }

    /// The absolute limit behind a metric, if it is one.
    pub fn limit(&self, metric: Metric) -> Option<&AbsoluteLimit> {
        match metric {
            Metric::ErrorLimit => Some(&self.error_limit),
            Metric::LatencyLimit => Some(&self.latency_limit),
            _ => None,
        }
    }

    /// Absolute limits that are armed.
    pub fn armed_limits(&self) -> impl Iterator<Item = (Metric, &AbsoluteLimit)> {
        let metrics = self.settings.metrics.iter();
        metrics.filter_map(|metric| self.limit(metric).map(|limit| (metric, limit)))
    }

    /// The candidate's hits behind a limit, by user, since the trouble most probably began.
    pub fn recent_keys(&self, metric: Metric) -> impl Iterator<Item = Option<u64>> {
        self.limit(metric).into_iter().flat_map(AbsoluteLimit::recent_keys)
    }
}

impl Keys {
    fn new(planned_steps: u32) -> Self {
        let parts = KeyEvidence::new(PARTS, EpochWeights::by_hours());
        let one = KeyEvidence::new(1, EpochWeights::by_hours());
        let of_steps = EpochWeights::by_hours_and_steps(planned_steps);
        Self {
            errors: KeyEvidence::new(PARTS, of_steps),
            refused: parts.clone(),
            watched: parts.clone(),
            ttft: parts.clone(),
            latency: parts,
            quality: one.clone(),
            latency_limit: one,
        }
    }

    fn all(&mut self) -> [&mut KeyEvidence; 7] {
        [
            &mut self.errors,
            &mut self.refused,
            &mut self.watched,
            &mut self.ttft,
            &mut self.latency,
            &mut self.quality,
            &mut self.latency_limit,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::metric::Metrics;
    use super::super::record::{Arrivals, ErrorCounts, Hit, Side};
    use super::*;

    /// One second of arrivals and, at once, what is read of them at the age of 1 s.
    fn second(second: u32, failed: Both<u32>) -> TickRecord {
        let (from, until) = (Tick::of_second(second), Tick::of_second(second + 1));
        let n = Both { active: 9, candidate: 1 };
        let count = |n, early| ErrorCounts { n, early, ..ErrorCounts::default() };
        let counts = Both {
            active: count(n.active, failed.active),
            candidate: count(n.candidate, failed.candidate),
        };
        let hit = |side| Hit { side, key: Some(u64::from(second)), kind: HitKind::Early };
        let hits = [(Side::Active, failed.active), (Side::Candidate, failed.candidate)]
            .into_iter()
            .flat_map(|(side, count)| (0..count).map(move |_| hit(side)))
            .collect();
        let reading = ErrorReading { age: ErrorAge::Second, from, until, counts, hits };
        TickRecord {
            now: until,
            arrivals: vec![Arrivals { from, until, n }],
            errors: vec![reading],
            ..TickRecord::default()
        }
    }

    fn after(seconds: u32, failed: Both<u32>) -> Evidence {
        let metrics = Metrics::new([Metric::Errors, Metric::Refused, Metric::ErrorLimit]);
        let mut evidence = Evidence::new(Settings { metrics, ..Settings::default() });
        evidence.change(&Change { at: Tick(0), share: 0.1, planned: true });
        (0..seconds).for_each(|at| evidence.observe(&second(at, failed)));
        evidence
    }

    #[test]
    fn parts_sum_to_the_number_and_users_confirm() {
        let evidence = after(60, Both { active: 0, candidate: 1 });
        assert!(evidence.value() > 1e6);
        let sum: f64 = Metric::ALL.iter().map(|metric| evidence.adds(*metric)).sum();
        assert!((sum / evidence.value() - 1.0).abs() < 1e-12);
        assert!(evidence.by_users(Metric::Errors) > 10.0);
        assert!((evidence.by_users(Metric::Ttft) - 1.0).abs() < 1e-9, "nothing was said of it");
        assert!(evidence.onset(Metric::Errors).since <= Tick(40));
    }

    #[test]
    fn alike_on_both_sides_wins_nothing() {
        let evidence = after(600, Both { active: 9, candidate: 1 });
        assert!(evidence.value() < 1.0, "{}", evidence.value());
        assert!(evidence.limit(Metric::ErrorLimit).unwrap().is_shared_incident());
    }

    #[test]
    fn goes_on_after_a_restart_as_if_there_had_been_none() {
        let mut evidence = after(30, Both { active: 1, candidate: 1 });
        let text = serde_json::to_string(&evidence).unwrap();
        let mut restored: Evidence = serde_json::from_str(&text).unwrap();
        for at in 30..60 {
            let record = second(at, Both { active: 0, candidate: 1 });
            evidence.observe(&record);
            restored.observe(&record);
        }
        assert!((restored.value() / evidence.value() - 1.0).abs() < 1e-9);
    }
}
