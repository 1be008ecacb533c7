//! Plans as keys and values.

use super::{Entry, entry, list, optional, text, time};
use crate::model::plan::rollback::RollbackProfile;
use crate::model::plan::{JudgeKind, LatencySignal, Plans, TooLittleData};

pub(super) fn of_plans(plans: &Plans) -> Vec<Entry> {
    let plan = &plans.default;
    let judge = match plan.judge {
        JudgeKind::Evidence => "evidence",
        JudgeKind::Window => "window",
    };
    let signal = match plan.latency_signal {
        LatencySignal::Auto => "auto",
        LatencySignal::Ttft => "ttft",
        LatencySignal::Total => "total",
        LatencySignal::Tpot => "tpot",
    };
    let too_little_data = match plan.too_little_data {
        TooLittleData::Hold => "hold",
        TooLittleData::Advance => "advance",
        TooLittleData::RollBack => "roll-back",
    };
    let (profile, takes_back) = match plan.rollback {
        RollbackProfile::Instant => ("instant", RollbackProfile::PERCENT_USUAL),
        RollbackProfile::Staged { takes_back_per_second } => {
            ("staged", takes_back_per_second.percent())
        }
    };
    let (limits, comparison) = (&plan.limits, &plan.comparison);
    let quality = limits.is_quality_set.then_some(limits.quality_min);
    let mut entries = vec![
        entry("rollout.steps", list(&plan.steps)),
        entry("rollout.bake", time(plans.pace.bake)),
        entry("rollout.requests_min", text(plans.pace.requests_min)),
        entry("rollout.judge", text(judge)),
        entry("rollout.check_interval", time(plan.check_interval)),
        entry("rollout.latency_signal", text(signal)),
        entry("rollout.wait_max", time(plan.wait_max)),
        entry("rollout.too_little_data", text(too_little_data)),
        entry("rollout.ready_within", time(plan.ready_within)),
        entry("rollout.armed_for", time(plan.armed_for)),
        entry("rollout.rollback.profile", text(profile)),
        entry("rollout.rollback.takes_back_per_second", text(takes_back)),
        entry("rollout.cool_down", time(plan.cool_down)),
        entry("rollout.attempts_max", text(plan.attempts_max)),
        entry("rollout.limits.error_rate", text(limits.error_rate_max)),
        entry("rollout.limits.latency_p99", time(limits.latency_p99_max)),
        entry("rollout.limits.quality", optional(quality)),
        entry("rollout.comparison.window", time(comparison.window)),
        entry("rollout.comparison.latency_p99_margin", time(comparison.latency_p99_margin)),
        entry("rollout.comparison.error_rate", text(comparison.error_rate_max)),
        entry("rollout.comparison.quality_loss", text(comparison.quality_loss_max)),
    ];
    for (name, steps) in &plans.others {
        entries.push(entry(&format!("rollout.plans.{name}"), list(steps)));
    }
    entries
}
