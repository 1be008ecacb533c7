//! The other judge: plain thresholds on a sliding window (`judge = "window"`).
//!
//! It is what most tools do, and it is here because it is easy to foresee: over the limit at a check with
//! enough requests, and it rolls back. It is wrong far more often than the evidence judge, for it looks
//! again and again at noisy numbers (`docs/judge.md` has both side by side).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::{Breach, Decision, Judge, Waiting};
use super::e_process::{Onset, Tally};
use super::explanation::{Explanation, Part};
use super::metric::Metric;
use super::quality::Scores;
use super::record::{Both, Change, TickRecord};
use super::seconds;
use super::settings::Settings;
use super::tick::Tick;

/// Younger cohorts have had no time to fail.
const COHORT_AGE_MIN: Duration = Duration::from_secs(2);

/// What only this judge asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowRules {
    /// How far back it looks.
    #[serde(rename = "window_s", with = "seconds")]
    pub window: Duration,
    /// How often, from 1 s.
    #[serde(rename = "check_interval_s", with = "seconds")]
    pub check_interval: Duration,
    /// Requests or scores without which it says nothing.
    pub samples_min: u32,
}

impl Default for WindowRules {
    fn default() -> Self {
        let [window, check_interval] = [60, 30].map(Duration::from_secs);
        Self { window, check_interval, samples_min: 20 }
    }
}

/// The last minute, and where the rollout stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowJudge {
    settings: Settings,
    rules: WindowRules,
    seconds: VecDeque<Second>,
    now: Tick,
    checked_at: Tick,
    step_since: Tick,
    share: f64,
    requests: u32,
}

/// Requests that arrived in the same second, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Second {
    number: u32,
    /// Failed so far, by tick of arrival, at the latest age that was read.
    failed: [Both<Tally>; 4],
    slow: Both<Tally>,
    scores: Both<Scores>,
}

impl WindowJudge {
    /// Before the rollout starts.
    pub fn new(settings: Settings, rules: WindowRules) -> Self {
        Self {
            settings,
            rules,
            seconds: VecDeque::new(),
            now: Tick(0),
            checked_at: Tick(0),
            step_since: Tick(0),
            share: 0.0,
            requests: 0,
        }
    }

    /// The second in which these arrived, if it is of this step and not forgotten.
    fn second(&mut self, arrived: Tick) -> Option<&mut Second> {
        if arrived < self.step_since || self.now.since(arrived) > self.kept() {
            return None;
        }
        let number = arrived.second();
        if self.seconds.back().is_none_or(|newest| newest.number < number) {
            self.seconds.push_back(Second { number, ..Second::default() });
        }
        self.seconds.iter_mut().rev().find(|second| second.number == number)
    }

    fn kept(&self) -> Duration {
        self.rules.window + COHORT_AGE_MIN
    }

    fn forget(&mut self) {
        let (now, kept) = (self.now, self.kept());
        let is_over = |second: &Second| now.since(Tick::of_second(second.number)) > kept;
        while self.seconds.front().is_some_and(is_over) {
            self.seconds.pop_front();
        }
    }

    /// Cohorts that are old enough to be looked at.
    fn window(&self) -> impl Iterator<Item = &Second> {
        let is_old =
            |second: &&Second| self.now.since(Tick::of_second(second.number + 1)) >= COHORT_AGE_MIN;
        self.seconds.iter().filter(is_old)
    }

    fn counted(&self, metric: Metric) -> Both<Tally> {
        let mut sum = Both::default();
        for second in self.window() {
            sum +=
                if metric == Metric::LatencyLimit { second.slow } else { second.failed_so_far() };
        }
        sum
    }

    fn scores(&self) -> Both<Scores> {
        let mut sum = Both::<Scores>::default();
        for second in self.window() {
            for (sum, scores) in [
                (&mut sum.active, second.scores.active),
                (&mut sum.candidate, second.scores.candidate),
            ] {
                sum.n += scores.n;
                sum.sum += scores.sum;
            }
        }
        sum
    }

    fn is_over(&self, metric: Metric) -> bool {
        let limits = self.settings.limits;
        let share_above = |limit: f64| {
            let candidate = self.counted(metric).candidate;
            candidate.n >= self.rules.samples_min && candidate.share() > limit
        };
        match metric {
            Metric::ErrorLimit => share_above(limits.error_rate_max),
            Metric::LatencyLimit => share_above(limits.slow_share_max),
            Metric::Quality => {
                let scores = self.scores().candidate;
                let mean = scores.mean().filter(|_| scores.n >= self.rules.samples_min);
                mean.is_some_and(|mean| mean < limits.quality_min)
            }
            Metric::Errors | Metric::Refused | Metric::Ttft | Metric::Latency => false,
        }
    }

    fn next_step(&self) -> Decision {
        if self.share <= 0.0 || self.share >= 1.0 {
            return Decision::Wait(Waiting::NoStep);
        }
        let bake = self.settings.bake;
        if self.now.since(self.step_since) < bake.time_min {
            return Decision::Wait(Waiting::Baking);
        }
        if self.requests < bake.requests_min_at(self.share) {
            return Decision::Wait(Waiting::Requests);
        }
        Decision::Advance
    }
}

impl Second {
    fn failed_so_far(&self) -> Both<Tally> {
        let mut sum = Both::default();
        self.failed.iter().for_each(|failed| sum += *failed);
        sum
    }
}

impl Judge for WindowJudge {
    fn change(&mut self, change: &Change) {
        (self.step_since, self.share, self.requests) = (change.at, change.share, 0);
        self.seconds.clear();
    }

    fn observe(&mut self, record: &TickRecord) {
        self.now = record.now;
        let arrivals = record.arrivals.iter().map(|arrivals| arrivals.n.candidate);
        self.requests = self.requests.saturating_add(arrivals.sum());
        let tally = |n, hits| Tally { n, hits, clear_hits: 0 };
        for reading in &record.errors {
            let failed = reading.counts.map(|c| tally(c.n, c.early + c.late));
            if let Some(second) = self.second(reading.from) {
                second.failed[(reading.from.0 % Tick::PER_SECOND) as usize] = failed;
            }
        }
        for reading in &record.limit {
            let slow = Both {
                active: tally(reading.n.active, reading.over.active),
                candidate: tally(reading.n.candidate, reading.over.candidate),
            };
            if let Some(second) = self.second(reading.from) {
                second.slow += slow;
            }
        }
        for score in &record.scores {
            if let Some(second) = self.second(Tick(record.now.0.saturating_sub(1))) {
                let scores = second.scores.of(score.side);
                scores.n += 1;
                scores.sum += score.value;
            }
        }
        self.forget();
    }

    fn decide(&mut self) -> Decision {
        if self.now.since(self.checked_at) < self.rules.check_interval {
            return Decision::Wait(Waiting::Check);
        }
        self.checked_at = self.now;
        let mut over = self.settings.metrics.iter().filter(|metric| self.is_over(*metric));
        match over.next() {
            Some(metric) if self.share > 0.0 => Decision::RollBack(Breach::Metric(metric)),
            _ => self.next_step(),
        }
    }

    fn explain(&self) -> Explanation {
        let strongest = self.settings.metrics.iter().find(|metric| self.is_over(*metric));
        let since = Tick::of_second(self.window().next().map_or(0, |second| second.number));
        let part = |metric: Metric| Part {
            metric,
            adds: 0.0,
            by_users: 0.0,
            onset: Onset { since, counted: self.counted(metric) },
            users: Both::default(),
            means: (metric == Metric::Quality).then(|| self.scores().map(Scores::mean)),
        };
        let parts = self.settings.metrics.iter().filter(|metric| metric.has_limit());
        let parts = parts.map(part).collect();
        Explanation { evidence: None, strongest, parts, is_total_failure: false }
    }

    fn resume(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::super::metric::Metrics;
    use super::super::record::{ErrorAge, ErrorCounts, ErrorReading};
    use super::*;

    /// The decision after a minute with one request of the candidate per second, of which so many failed.
    fn after(failed: u32, seconds: u32) -> Decision {
        let metrics = Metrics::new([Metric::ErrorLimit, Metric::LatencyLimit]);
        let settings = Settings { metrics, ..Settings::default() };
        let mut judge = WindowJudge::new(settings, WindowRules::default());
        judge.change(&Change { at: Tick(0), share: 0.1, planned: true });
        let mut last = Decision::Wait(Waiting::Check);
        for second in 0..seconds {
            let (from, until) = (Tick::of_second(second), Tick::of_second(second + 1));
            let early = u32::from(second < failed);
            let candidate = ErrorCounts { n: 1, early, ..ErrorCounts::default() };
            let counts = Both { active: ErrorCounts::default(), candidate };
            let reading = |age| ErrorReading { age, from, until, counts, hits: vec![] };
            let errors = vec![reading(ErrorAge::Quarter), reading(ErrorAge::Second)];
            judge.observe(&TickRecord { now: until, errors, ..TickRecord::default() });
            let decision = judge.decide();
            if decision != Decision::Wait(Waiting::Check) {
                last = decision;
            }
        }
        last
    }

    #[test]
    fn at_the_limit_passes_and_above_it_rolls_back() {
        let over = Decision::RollBack(Breach::Metric(Metric::ErrorLimit));
        let baking = Decision::Wait(Waiting::Baking);
        for (failed, seconds, expected) in [
            (2, 60, baking), // 2 of 58
            (3, 60, over),   // 3 of 58, above 5 %
            (9, 15, Decision::Wait(Waiting::Check)),
            (9, 120, baking), // a minute later they are out of the window
        ] {
            assert_eq!(after(failed, seconds), expected, "{failed} failed in {seconds} s");
        }
    }
}
