//! Before the switch: both environments side by side, over the same time, out of what was counted.
//!
//! The time is the rule's window. Only when that leaves a question open, and the step is older, is
//! everything since the step began taken: so more time brings an answer, and a new fault is not diluted by
//! a long step. A candidate that is younger than the window shortens it for both.
//!
//! Cheap enough for the controller's look each second: three measures of two environments, whose cells are
//! bounded (`windows`), and no lock for longer than one of them is read.

use std::time::{Duration, Instant};

use super::handle::{ControllerHandle, Shared};
use super::windows::{self, Span};
use crate::judge::comparison::{
    Comparison, Explained, Margins, Measured, Safety, ScoresMeasured, compare,
};
use crate::judge::record::Both;
use crate::metrics::counts::Tallies;
use crate::metrics::distribution::Distribution;
use crate::metrics::measure::Measure;
use crate::metrics::scores::{ScoreOrigin, ScoreSum, ScoreWindow};
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::plan::{ComparisonRule, LatencySignal, Plan};
use crate::model::routing_table::RoutingTable;
use crate::model::score;
use crate::model::standing::Standing;
use crate::rollout::stage::Stage;
use crate::rollout::value::Rollout;

/// What a latency may be.
const SIGNALS: [Measure; 3] = [Measure::Ttft, Measure::Total, Measure::Tpot];
/// Environments whose ages differ by less have the same time: a slot of `windows`.
const SLOT: Duration = Duration::from_secs(10);

/// Two environments compared.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Who.
    pub names: Both<Name>,
    /// The time that was looked at.
    pub span: Span,
    /// How long that was.
    pub covers: Duration,
    /// What latency means here, on both sides.
    pub signal: Measure,
    /// Everything counted in that time.
    pub tallies: Both<Tallies>,
    /// What the comparison rests on.
    pub measured: Both<Measured>,
    /// The differences, with their intervals.
    pub comparison: Comparison,
    /// The same in words.
    pub explained: Explained,
}

/// Why there is nothing to compare. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareRefused {
    /// No such service.
    #[error("unknown service `{0}`")]
    UnknownService(Name),
    /// No such environment.
    #[error("unknown environment `{name}` of service `{service}`; configured: {known}")]
    UnknownEnvironment {
        /// What was asked for.
        name: Name,
        /// The service.
        service: Name,
        /// What there is.
        known: String,
    },
    /// Nobody was named, and nobody is next.
    #[error("`{0}` has no candidate; name the environment to compare")]
    NoCandidate(Name),
    /// It would be compared with itself.
    #[error("`{0}` is the active environment; name one to compare with it")]
    IsActive(Name),
}

/// What shall be compared, and by which rule.
struct Question<'a> {
    names: Both<&'a Name>,
    rule: &'a ComparisonRule,
    signal: LatencySignal,
    span: Option<Span>,
}

impl ControllerHandle {
    /// Compares an environment with the active one. Left out, it is the candidate of the rollout under way
    /// or the active one's partner; the time is the rule's.
    ///
    /// # Errors
    /// When there are no two environments to compare.
    pub fn compare(
        &self,
        service: &Name,
        candidate: Option<&Name>,
        span: Option<Span>,
    ) -> Result<Compared, CompareRefused> {
        let snapshot = self.snapshot();
        let table = snapshot.table(service.as_str());
        let table = table.ok_or_else(|| CompareRefused::UnknownService(service.clone()))?;
        let release = self.release(service.as_str());
        let running = release.as_ref().and_then(|known| known.release.running());
        let running =
            running.filter(|rollout| candidate.is_none_or(|name| *name == rollout.candidate));
        let (names, plan) = match running {
            Some(rollout) => (sides(rollout), &rollout.plan),
            None => (with_active(table, candidate)?, &table.service.plans.default),
        };
        self.shared.compare(table, &Question::of(names, plan, span), Instant::now())
    }

    /// What the comparison has against the switch that a rollout comes to next.
    pub fn objection(&self, service: &Name, rollout: &Rollout) -> Option<String> {
        let snapshot = self.snapshot();
        let (safety, text) = for_rollout(&self.shared, snapshot.table(service.as_str())?, rollout)?;
        (safety != Safety::Safe).then_some(text)
    }
}

/// What the comparison says to a rollout whose next step is the switch; `None` to any other.
pub(super) fn for_rollout(
    shared: &Shared,
    table: &RoutingTable,
    rollout: &Rollout,
) -> Option<(Safety, String)> {
    let Stage::Ramp { taken } = rollout.stage else { return None };
    if taken == 0 || !rollout.plan.steps.get(taken)?.is_switch() {
        return None;
    }
    let question = Question::of(sides(rollout), &rollout.plan, None);
    let compared = shared.compare(table, &question, Instant::now()).ok()?;
    Some((compared.explained.answer, compared.explained.to_string()))
}

/// Who is compared in a rollout, before the switch and after.
fn sides(rollout: &Rollout) -> Both<&Name> {
    Both { active: &rollout.base, candidate: &rollout.candidate }
}

fn with_active<'a>(
    table: &'a RoutingTable,
    candidate: Option<&'a Name>,
) -> Result<Both<&'a Name>, CompareRefused> {
    let active = &table.assignment.active;
    let partner = table.assignment.partner.as_ref().map(|partner| &partner.environment);
    let nobody = || CompareRefused::NoCandidate(table.service.name.clone());
    let candidate = candidate.or(partner).ok_or_else(nobody)?;
    if candidate == active {
        return Err(CompareRefused::IsActive(candidate.clone()));
    }
    Ok(Both { active, candidate })
}

impl<'a> Question<'a> {
    fn of(names: Both<&'a Name>, plan: &'a Plan, span: Option<Span>) -> Self {
        Self { names, rule: &plan.comparison, signal: plan.latency_signal, span }
    }
}

impl Shared {
    fn compare(
        &self,
        table: &RoutingTable,
        question: &Question<'_>,
        now: Instant,
    ) -> Result<Compared, CompareRefused> {
        let Both { active, candidate } = question.names;
        let ids = Both { active: id(table, active)?, candidate: id(table, candidate)? };
        let now = self.measurements.since_epoch(now);
        let span = question.span.unwrap_or(Span::Past(question.rule.window));
        let found = self.compare_over(ids, span, question, now);
        if question.span.is_some() || found.comparison.safe != Safety::NotEnoughData {
            return Ok(found);
        }
        let step = self.step_covers(ids, now).filter(|step| *step > found.covers);
        Ok(step.map_or(found, |_| self.compare_over(ids, Span::Step, question, now)))
    }

    /// How long the step has lasted, if both were there when it began.
    fn step_covers(&self, ids: Both<EnvironmentId>, now: Duration) -> Option<Duration> {
        let windows = self.measurements.windows();
        let since = windows.step_since(ids.candidate)?;
        (windows.step_since(ids.active)? == since).then(|| now.saturating_sub(since))
    }

    fn compare_over(
        &self,
        ids: Both<EnvironmentId>,
        span: Span,
        question: &Question<'_>,
        now: Duration,
    ) -> Compared {
        let counted = self.counted(ids, span, now);
        let signal = signal(question.signal, &counted);
        let scores = self.scores_compared(ids, span, now);
        let measured = Both {
            active: measured(&counted.active, signal, scores.active),
            candidate: measured(&counted.candidate, signal, scores.candidate),
        };
        let comparison = compare(&measured, &margins(question.rule));
        let Both { active, candidate } = question.names;
        let covers = counted.active.covers.min(counted.candidate.covers);
        let names = Both { active: active.as_str(), candidate: candidate.as_str() };
        let explained = comparison.explained(names, &measured, covers);
        Compared {
            names: Both { active: active.clone(), candidate: candidate.clone() },
            span,
            covers,
            signal,
            tallies: Both {
                active: counted.active.counts.tallies,
                candidate: counted.candidate.counts.tallies,
            },
            measured,
            comparison,
            explained,
        }
    }

    /// What was counted of both over the same time.
    fn counted(
        &self,
        ids: Both<EnvironmentId>,
        span: Span,
        now: Duration,
    ) -> Both<windows::Measured> {
        let windows = self.measurements.windows();
        let both = |span| {
            // One that was made within the last second has counted nothing.
            ids.map(|id| windows.read_some(id, span, &SIGNALS, now).unwrap_or_default())
        };
        let counted = both(span);
        let (one, other) = (counted.active.covers, counted.candidate.covers);
        match span {
            Span::Past(_) if one.abs_diff(other) > SLOT => both(Span::Past(one.min(other))),
            Span::Past(_) | Span::Step => counted,
        }
    }

    /// Users' scores. Those of evaluations stay out: somebody chose what was asked, perhaps of one side
    /// only, and every case of one has its mean.
    fn scores_compared(
        &self,
        ids: Both<EnvironmentId>,
        span: Span,
        now: Duration,
    ) -> Both<ScoreSum> {
        let (log, name) = (self.measurements.scores(), score::quality());
        let kind = (&name, ScoreOrigin::Users);
        ids.map(|id| log.read_of(id, kind, score_window(span), now))
    }
}

fn id(table: &RoutingTable, name: &Name) -> Result<EnvironmentId, CompareRefused> {
    let found = table.environment(name.as_str()).map(|environment| environment.id);
    found.ok_or_else(|| CompareRefused::UnknownEnvironment {
        name: name.clone(),
        service: table.service.name.clone(),
        known: table.environments.iter().map(|e| e.name().as_str()).collect::<Vec<_>>().join(", "),
    })
}

/// The nearest window of scores.
fn score_window(span: Span) -> ScoreWindow {
    match span {
        Span::Step => ScoreWindow::Step,
        Span::Past(length) if length <= Duration::from_secs(5 * 60) => ScoreWindow::Minutes5,
        Span::Past(_) => ScoreWindow::Hour,
    }
}

/// Which time is compared. Automatically it is that of most answers of the active environment, for users
/// are dealt out at random, and a candidate that fails has fewer streams for that alone.
fn signal(asked: LatencySignal, counted: &Both<windows::Measured>) -> Measure {
    let values = |side: &windows::Measured, measure| {
        side.counts.distributions.of(measure).map_or(0, Distribution::count)
    };
    match asked {
        LatencySignal::Ttft => Measure::Ttft,
        LatencySignal::Total => Measure::Total,
        LatencySignal::Tpot => Measure::Tpot,
        LatencySignal::Auto => {
            let is_known = values(&counted.active, Measure::Total) > 0;
            let side = if is_known { &counted.active } else { &counted.candidate };
            let is_streaming = values(side, Measure::Ttft) * 2 > values(side, Measure::Total);
            if is_streaming { Measure::Ttft } else { Measure::Total }
        }
    }
}

fn measured(counted: &windows::Measured, signal: Measure, scores: ScoreSum) -> Measured {
    let tallies = &counted.counts.tallies;
    let latency = counted.counts.distributions.of(signal).map(|values| {
        let cells = values.cells().iter_recorded();
        let cell = |us, count| (Duration::from_micros(us), small(count));
        cells.map(|found| cell(found.value_iterated_to(), found.count_at_value())).collect()
    });
    Measured {
        requests: small(tallies.judged()),
        failures: small(tallies.standing(Standing::Bad)),
        latency: latency.unwrap_or_default(),
        scores: ScoresMeasured {
            n: small(scores.count()),
            mean: scores.mean().unwrap_or(0.0),
            variance: scores.variance().unwrap_or(0.0),
        },
    }
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn margins(rule: &ComparisonRule) -> Margins {
    Margins {
        latency_p99: rule.latency_p99_margin,
        error_rate_max: rule.error_rate_max,
        quality_loss: rule.quality_loss_max,
    }
}

#[cfg(test)]
mod tests;
