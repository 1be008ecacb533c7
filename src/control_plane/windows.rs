//! What happened lately in each environment: 10 s, 1, 5 and 15 min, and since the step began.
//!
//! Counts of the last seconds lie in slots of 1 s, older ones in slots of 10 s, as sparse histograms that
//! are put together when somebody reads. A window is never shorter than its name says, by at most
//! one slot longer, and says how much it covers. Counts belong to the second in which they were
//! collected, which is at most one after the one in which they arose.
//!
//! Pure: time since the epoch is an argument. Memory per environment: at most `CELLS_MAX` cells of
//! 8 bytes and 103 slots of 0.6 KB, 4.2 MB in all, and 0.3 MB for the step. A chat service with 50
//! requests and 5000 events per second comes to 2.8 MB (`benches/recording.rs`). Should the cells not
//! suffice, the oldest slots go, and long windows cover less.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::metrics::counts::{Counts, Tallies};
use crate::metrics::distribution::{Distribution, Sparse};
use crate::metrics::measure::Measure;
use crate::metrics::shard::ShardReport;
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::plan::{COMPARED_MAX, LatencySignal, Plan};
use crate::model::routing_table::RoutingTable;
use crate::model::standing::Standing;
use crate::model::weight::Weight;
use crate::rollout::start::BaseMeasured;

/// Seconds of a fine slot, and for how long such slots are kept.
const FINE: Row = Row { slot_s: 1, kept_s: 10 };
/// The same for coarse slots.
const COARSE: Row = Row { slot_s: 10, kept_s: COMPARED_MAX.as_secs() };
/// The longest time back that can be asked for.
pub const KEPT_MAX: Duration = Duration::from_secs(COARSE.kept_s);
/// Cells that all slots of an environment may hold together.
const CELLS_MAX: usize = 1 << 19;

/// The time that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last 10 s.
    Seconds10,
    /// The last minute.
    Minute1,
    /// The last 5 minutes.
    Minutes5,
    /// The last 15 minutes.
    Minutes15,
    /// Since the weights of the service changed last.
    Step,
    /// Since the process started, or the environment was made.
    Start,
}

/// A time of any length, for whoever wants a few measures only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The last so much of it; 15 min at most are kept.
    Past(Duration),
    /// Since the weights of the service changed last.
    Step,
}

/// What was counted in a window.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// The counts.
    pub counts: Counts<u64>,
    /// For how long they were collected.
    pub covers: Duration,
}

/// The windows of all environments.
#[derive(Debug, Default)]
pub struct Windows {
    environments: HashMap<EnvironmentId, Recent>,
    /// The weights of each service's step: who has any, and how much.
    steps: HashMap<Name, Vec<(Name, Weight)>>,
}

/// What one environment did lately.
#[derive(Debug, Default)]
struct Recent {
    since: Duration,
    fine: VecDeque<Slot>,
    coarse: VecDeque<Slot>,
    /// Nothing before this is left in `coarse`.
    coarse_since: Duration,
    cells: usize,
    step: Counts<u64>,
    step_since: Duration,
}

/// How long slots of a kind are, and how long they are kept.
#[derive(Debug, Clone, Copy)]
struct Row {
    slot_s: u64,
    kept_s: u64,
}

/// The counts of some seconds.
#[derive(Debug, Default)]
struct Slot {
    /// Seconds since the epoch, divided by the length of a slot.
    number: u64,
    tallies: Tallies,
    distributions: [Sparse; Measure::COUNT],
}

impl Window {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] =
        [Self::Seconds10, Self::Minute1, Self::Minutes5, Self::Minutes15, Self::Step, Self::Start];

    /// The name in queries and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Seconds10 => "10s",
            Self::Minute1 => "1m",
            Self::Minutes5 => "5m",
            Self::Minutes15 => "15m",
            Self::Step => "step",
            Self::Start => "start",
        }
    }
}

impl Windows {
    /// Takes over which environments there are and what their weights are. One that is gone is forgotten;
    /// a service whose weights have changed begins a step.
    pub fn know<'a>(&mut self, tables: impl Iterator<Item = &'a RoutingTable>, now: Duration) {
        let mut environments = std::mem::take(&mut self.environments);
        let mut steps = std::mem::take(&mut self.steps);
        for table in tables {
            let weights = weights(table);
            let goes_on = steps.remove(&table.service.name).as_ref() == Some(&weights);
            for environment in &table.environments {
                let recent = environments.remove(&environment.id);
                let mut recent = recent.unwrap_or_else(|| Recent::since(now));
                if !goes_on {
                    (recent.step, recent.step_since) = (Counts::default(), now);
                }
                self.environments.insert(environment.id, recent);
            }
            self.steps.insert(table.service.name.clone(), weights);
        }
    }

    /// Adds what a core handed over.
    pub fn add(&mut self, report: &ShardReport, now: Duration) {
        for (id, counts) in report.environments.iter() {
            // Counts of an environment that was removed meanwhile belong to nobody any more.
            if let Some(recent) = self.environments.get_mut(&id) {
                recent.add(counts, now);
            }
        }
    }

    /// Whether no environment is known yet.
    pub fn is_empty(&self) -> bool {
        self.environments.is_empty()
    }

    /// When the present step of an environment began; `None` for one that there is not.
    pub fn step_since(&self, environment: EnvironmentId) -> Option<Duration> {
        self.environments.get(&environment).map(|recent| recent.step_since)
    }

    /// What was counted in a window; `None` for an environment that there is not. Of `Start` only the
    /// time: its counts are the totals.
    pub fn read(
        &self,
        environment: EnvironmentId,
        window: Window,
        now: Duration,
    ) -> Option<Measured> {
        let recent = self.environments.get(&environment)?;
        let past =
            |row, seconds| recent.past(row, Duration::from_secs(seconds), &Measure::ALL, now);
        Some(match window {
            Window::Seconds10 => past(FINE, 10),
            Window::Minute1 => past(COARSE, 60),
            Window::Minutes5 => past(COARSE, 5 * 60),
            Window::Minutes15 => past(COARSE, 15 * 60),
            Window::Step => {
                let covers = now.saturating_sub(recent.step_since);
                Measured { counts: recent.step.clone(), covers }
            }
            Window::Start => {
                Measured { counts: Counts::default(), covers: now.saturating_sub(recent.since) }
            }
        })
    }
}

impl Windows {
    /// The counts of a span with the distributions of these measures and no others: less work than `read`.
    pub fn read_some(
        &self,
        environment: EnvironmentId,
        span: Span,
        measures: &[Measure],
        now: Duration,
    ) -> Option<Measured> {
        let recent = self.environments.get(&environment)?;
        Some(match span {
            Span::Past(length) => {
                let is_short = length <= Duration::from_secs(FINE.kept_s);
                recent.past(if is_short { FINE } else { COARSE }, length, measures, now)
            }
            Span::Step => {
                let Counts { tallies, distributions } = &recent.step;
                let distributions = distributions.only(measures);
                let counts = Counts { tallies: tallies.clone(), distributions };
                Measured { counts, covers: now.saturating_sub(recent.step_since) }
            }
        })
    }
}

impl Measured {
    /// The same as limits see it: failures, and latency as the p99 limit means it.
    ///
    /// `running` are requests that have not ended, and so have not failed. Failures end at once and good
    /// answers stream: soon after a start a share of what has ended would be mostly failures.
    pub fn against(&self, plan: &Plan, running: u32) -> BaseMeasured {
        let tallies = &self.counts.tallies;
        let failed = tallies.standings[Standing::Bad as usize];
        let of = |measure| self.counts.distributions.of(measure);
        let (ttft, total) = (of(Measure::Ttft), of(Measure::Total));
        let latency = match plan.latency_signal {
            // What streams is limited by its first content; whatever does not, by its end.
            LatencySignal::Auto => ttft.or(total),
            LatencySignal::Ttft => ttft,
            LatencySignal::Total => total,
            LatencySignal::Tpot => of(Measure::Tpot),
        };
        let latency = latency.map(Distribution::cells);
        let count = |values: Option<&Distribution<u64>>| values.map_or(0, Distribution::count);
        let limit = u64::try_from(plan.limits.latency_p99_max.as_micros()).unwrap_or(u64::MAX);
        let slow = latency.map_or(0, |cells| cells.len() - cells.count_between(0, limit));
        let timed = latency.map_or(0, Histogram::len);
        BaseMeasured {
            requests: u32::try_from(tallies.judged()).unwrap_or(u32::MAX),
            time: self.covers,
            error_rate: share(failed, tallies.judged() + u64::from(running)),
            slow_share: share(slow, timed),
            has_streams: count(ttft) > 0,
            has_others: count(total) > count(ttft),
            has_scores: false,
            latency_p99: latency.map(|cells| Duration::from_micros(cells.value_at_quantile(0.99))),
        }
    }
}

fn share(part: u64, of: u64) -> f64 {
    let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if of == 0 { 0.0 } else { small(part) / small(of) }
}

/// Who has traffic, and how much: an environment that is made or removed without any begins no step.
fn weights(table: &RoutingTable) -> Vec<(Name, Weight)> {
    let members = table.assignment.members.iter().filter(|member| !member.weight.is_zero());
    members.map(|member| (member.environment.clone(), member.weight)).collect()
}

impl Recent {
    fn since(now: Duration) -> Self {
        Self { since: now, step_since: now, ..Self::default() }
    }

    fn add(&mut self, counts: &Counts<u32>, now: Duration) {
        self.step.add(counts);
        for (row, slots) in [(FINE, &mut self.fine), (COARSE, &mut self.coarse)] {
            let number = now.as_secs() / row.slot_s;
            if slots.back().is_none_or(|newest| newest.number != number) {
                slots.push_back(Slot { number, ..Slot::default() });
            }
            let newest = slots.back_mut().expect("it was just made sure of");
            let before = newest.cells();
            newest.add(counts);
            self.cells += newest.cells() - before;
            let oldest = row.first(Duration::from_secs(row.kept_s), now);
            while slots.front().is_some_and(|slot| slot.number < oldest) {
                self.cells -= slots.pop_front().map_or(0, |slot| slot.cells());
            }
        }
        while self.cells > CELLS_MAX
            && let Some(slot) = self.coarse.pop_front()
        {
            self.cells -= slot.cells();
            self.coarse_since = Duration::from_secs((slot.number + 1) * COARSE.slot_s);
        }
    }

    fn past(&self, row: Row, length: Duration, measures: &[Measure], now: Duration) -> Measured {
        let first = row.first(length, now);
        let is_fine = row.slot_s == FINE.slot_s;
        let slots = if is_fine { &self.fine } else { &self.coarse };
        let mut counts = Counts::default();
        for slot in slots.iter().filter(|slot| slot.number >= first) {
            slot.add_to(&mut counts, measures);
        }
        let kept = row.first(Duration::from_secs(row.kept_s), now);
        let begin = Duration::from_secs(first.max(kept) * row.slot_s).max(self.since);
        let begin = if is_fine { begin } else { begin.max(self.coarse_since) };
        Measured { counts, covers: now.saturating_sub(begin) }
    }
}

impl Row {
    /// The first slot of a window that ends now.
    fn first(self, length: Duration, now: Duration) -> u64 {
        now.saturating_sub(length).as_secs() / self.slot_s
    }
}

impl Slot {
    fn cells(&self) -> usize {
        self.distributions.iter().map(Sparse::len).sum()
    }

    fn add(&mut self, counts: &Counts<u32>) {
        self.tallies.add(&counts.tallies);
        for (measure, sparse) in Measure::ALL.into_iter().zip(&mut self.distributions) {
            if let Some(values) = counts.distributions.of(measure) {
                sparse.add(values);
            }
        }
    }

    fn add_to(&self, counts: &mut Counts<u64>, measures: &[Measure]) {
        counts.tallies.add(&self.tallies);
        for measure in measures {
            counts.distributions.add_sparse(*measure, &self.distributions[*measure as usize]);
        }
    }
}

#[cfg(test)]
mod tests;
