//! How long steps will wait for their requests, from the traffic that there is.

use std::time::Duration;

use super::start::BaseMeasured;
use crate::model::duration;
use crate::model::plan::{Plan, Step};

/// A sentence for each step before the switch that would wait for its requests longer than it may.
pub(super) fn too_long_steps(plan: &Plan, base: &BaseMeasured) -> Vec<String> {
    let per_second = f64::from(base.requests) / base.time.as_secs_f64().max(1.0);
    let ramp = plan.steps.iter().filter(|step| !step.is_switch());
    ramp.filter_map(|step| too_long(step, per_second, plan.wait_max)).collect()
}

fn too_long(step: &Step, per_second: f64, wait_max: Duration) -> Option<String> {
    let rate = per_second * step.share.percent() / 100.0;
    let needed = Duration::try_from_secs_f64(f64::from(step.requests_min) / rate).ok();
    if needed.is_some_and(|needed| needed <= wait_max) {
        return None;
    }
    let needed = needed.map_or("ages".to_owned(), |needed| duration::spoken(whole_minutes(needed)));
    Some(format!(
        "the step to {} % needs {} requests, about {needed} at {per_second:.1} requests/s, and may wait {}",
        step.share,
        step.requests_min,
        duration::spoken(wait_max)
    ))
}

fn whole_minutes(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().div_ceil(60) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_take_too_long_are_told_before() {
        let time = Duration::from_secs(900);
        let base = |requests| BaseMeasured { requests, time, ..BaseMeasured::default() };
        assert_eq!(too_long_steps(&Plan::default(), &base(90_000)), [""; 0]);
        let told = too_long_steps(&Plan::default(), &base(90));
        let first = "the step to 1 % needs 50 requests, about 13 h 54 min at 0.1 requests/s, and may wait 2 h";
        assert_eq!(told.first().map(String::as_str), Some(first));
    }
}
