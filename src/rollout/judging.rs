//! By which rules the judge judges a rollout: from its plan, and from what the service has.
//!
//! Settled before the start. What a service cannot have (scores, streams) is left out now and never
//! later, when the data are known: doing it then would be a second bet.

use super::start::{BaseMeasured, REQUESTS_TO_KNOW};
use crate::judge::metric::{Metric, Metrics};
use crate::judge::settings::{Bake, Limits, Settings, SettingsError};
use crate::judge::window::WindowRules;
use crate::model::plan::{LatencySignal, Plan};
use crate::model::weight::Weight;

/// Limits that are not armed, because the active environment breaks them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unarmed {
    pub(super) errors: bool,
    pub(super) latency: bool,
}

/// The judge's rules for this plan.
///
/// # Errors
/// When the plan has limits that no judge can work with.
pub(super) fn settings(
    plan: &Plan,
    base: &BaseMeasured,
    unarmed: Unarmed,
) -> Result<Settings, SettingsError> {
    let settings = Settings {
        judge: plan.judge,
        planned_steps: u32::try_from(plan.steps.len()).unwrap_or(u32::MAX),
        metrics: metrics(plan, base, unarmed),
        limits: Limits {
            error_rate_max: plan.limits.error_rate_max,
            quality_min: plan.limits.quality_min,
            ..Limits::default()
        },
        bake: bake(plan),
        window: WindowRules { check_interval: plan.check_interval, ..WindowRules::default() },
        ..Settings::default()
    };
    settings.check().map(|()| settings)
}

fn metrics(plan: &Plan, base: &BaseMeasured, unarmed: Unarmed) -> Metrics {
    let signal = plan.latency_signal;
    // Of a service that had few requests lately nobody knows what it has: of so many without one of a
    // kind, that kind is 1.5 % of its requests at most (at 95 %). What is judged and never comes costs
    // little; what comes and is not judged is missed.
    let is_unknown = base.requests < REQUESTS_TO_KNOW;
    let has = |metric: &Metric| match metric {
        Metric::Errors | Metric::Refused => true,
        Metric::Ttft => signal != LatencySignal::Total && (is_unknown || base.has_streams),
        Metric::Latency => match signal {
            LatencySignal::Auto => is_unknown || base.has_others,
            LatencySignal::Ttft => false,
            LatencySignal::Total => true,
            LatencySignal::Tpot => is_unknown || base.has_streams,
        },
        Metric::Quality => judges_quality(plan, base),
        Metric::ErrorLimit => !unarmed.errors,
        Metric::LatencyLimit => !unarmed.latency,
    };
    Metrics::new(Metric::ALL.into_iter().filter(has))
}

/// Quality is judged where there are scores to compare with, or a limit that somebody has set.
pub(super) fn judges_quality(plan: &Plan, base: &BaseMeasured) -> bool {
    base.has_scores || plan.limits.is_quality_set
}

/// The least that any step asks. What a single one asks beyond it, the rollout itself sees to.
fn bake(plan: &Plan) -> Bake {
    let steps = || plan.steps.iter().filter(|step| step.share != Weight::FULL);
    let requests_min = steps().map(|step| step.requests_min).min().unwrap_or(1);
    Bake {
        time_min: steps().map(|step| step.bake).min().unwrap_or_default(),
        requests_min,
        requests_min_at_one_percent: requests_min,
        wait_max: plan.wait_max,
        too_little_data: plan.too_little_data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_has_not_is_left_out() {
        let base = BaseMeasured { requests: 200, has_streams: true, ..BaseMeasured::default() };
        let unarmed = Unarmed { latency: true, ..Unarmed::default() };
        let metrics = settings(&Plan::default(), &base, unarmed).unwrap().metrics;
        let expected =
            Metrics::new([Metric::Errors, Metric::Refused, Metric::Ttft, Metric::ErrorLimit]);
        assert_eq!(metrics, expected);
    }

    #[test]
    fn the_signal_says_which_times_have_a_share() {
        let base = BaseMeasured { requests: 200, has_streams: true, ..BaseMeasured::default() };
        for (signal, ttft, latency) in [
            (LatencySignal::Auto, true, false),
            (LatencySignal::Ttft, true, false),
            (LatencySignal::Total, false, true),
            (LatencySignal::Tpot, true, true),
        ] {
            let plan = Plan { latency_signal: signal, ..Plan::default() };
            let metrics = metrics(&plan, &base, Unarmed::default());
            let has = (metrics.has(Metric::Ttft), metrics.has(Metric::Latency));
            assert_eq!(has, (ttft, latency), "{signal:?}");
        }
    }

    /// Right after a restart the windows are empty: three answers in one piece say little of a service.
    #[test]
    fn a_few_requests_do_not_say_what_a_service_has() {
        for (requests, judged) in [(0, true), (3, true), (199, true), (200, false)] {
            let base = BaseMeasured { requests, has_others: true, ..BaseMeasured::default() };
            let metrics = metrics(&Plan::default(), &base, Unarmed::default());
            assert_eq!(metrics.has(Metric::Ttft), judged, "{requests} requests");
        }
    }

    #[test]
    fn a_limit_on_quality_that_somebody_set_needs_no_scores_of_the_base() {
        for (is_quality_set, has_scores, judged) in
            [(false, false, false), (false, true, true), (true, false, true)]
        {
            let mut plan = Plan::default();
            plan.limits.is_quality_set = is_quality_set;
            let base = BaseMeasured { has_scores, ..BaseMeasured::default() };
            let has = metrics(&plan, &base, Unarmed::default()).has(Metric::Quality);
            assert_eq!(has, judged, "set: {is_quality_set}, scores: {has_scores}");
        }
    }

    #[test]
    fn the_judge_asks_for_the_least_of_all_steps() {
        let settings =
            settings(&Plan::default(), &BaseMeasured::default(), Unarmed::default()).unwrap();
        assert_eq!((settings.bake.requests_min, settings.planned_steps), (50, 5));
        assert!(!settings.metrics.has(Metric::Quality));
    }
}
