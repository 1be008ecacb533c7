//! `[service.NAME.rollout]`: what a release goes through.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::duration;
use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::value::Value;
use super::access_log::read_share;
use super::environment::one_of_or;
use crate::model::name::Name;
use crate::model::plan::rollback::RollbackProfile;
use crate::model::plan::{
    self, COMPARED_MAX, ComparisonRule, JudgeKind, LatencySignal, Limits, Pace, Plan, PlanError,
    Plans, Step, TooLittleData, WrittenStep,
};
use crate::model::weight::Weight;

const REQUESTS_MOST: u32 = 100_000_000;
const ATTEMPTS_MOST: u32 = 1_000;

/// The plans; those of a service without the table are the usual ones.
pub(super) fn read(section: &Section<'_>) -> Plans {
    read_over(section, &Plans::default())
}

/// The same, where what is not written is as in `usual`.
pub(in super::super) fn read_over(section: &Section<'_>, usual: &Plans) -> Plans {
    let pace = read_pace(section, usual.pace);
    let usual = &usual.default;
    let default = Plan {
        steps: read_steps(section, pace, &usual.steps).unwrap_or_else(|| usual.steps.clone()),
        judge: one_of_or(
            section,
            "judge",
            &[("evidence", JudgeKind::Evidence), ("window", JudgeKind::Window)],
            usual.judge,
        ),
        check_interval: section.duration("check_interval", usual.check_interval),
        latency_signal: one_of_or(
            section,
            "latency_signal",
            &[
                ("auto", LatencySignal::Auto),
                ("ttft", LatencySignal::Ttft),
                ("total", LatencySignal::Total),
                ("tpot", LatencySignal::Tpot),
            ],
            usual.latency_signal,
        ),
        limits: read_limits(&section.section("limits"), &usual.limits),
        wait_max: section.duration("wait_max", usual.wait_max),
        too_little_data: one_of_or(
            section,
            "too_little_data",
            &[
                ("hold", TooLittleData::Hold),
                ("advance", TooLittleData::Advance),
                ("roll-back", TooLittleData::RollBack),
            ],
            usual.too_little_data,
        ),
        comparison: read_comparison(&section.section("comparison"), &usual.comparison),
        ready_within: section.duration("ready_within", usual.ready_within),
        armed_for: section.duration("armed_for", usual.armed_for),
        rollback: read_rollback(&section.section("rollback"), usual.rollback),
        cool_down: section.duration_or_zero("cool_down", usual.cool_down),
        attempts_max: section
            .whole("attempts_max", 1..=ATTEMPTS_MOST)
            .unwrap_or(usual.attempts_max),
    };
    Plans { default, others: read_others(&section.section("plans"), pace), pace }
}

fn read_pace(section: &Section<'_>, usual: Pace) -> Pace {
    Pace {
        bake: section.duration("bake", usual.bake),
        requests_min: section
            .whole("requests_min", 1..=REQUESTS_MOST)
            .unwrap_or(usual.requests_min),
    }
}

/// Steps; `None` when they cannot be read. When they are not written, the usual ones take the pace that is.
fn read_steps(section: &Section<'_>, pace: Pace, usual: &[Step]) -> Option<Vec<Step>> {
    let Some(value) = section.value("steps", Kind::Texts) else {
        let paced = |step: &Step| WrittenStep {
            share: step.share,
            bake: (!section.has("bake")).then_some(step.bake),
            requests_min: (!section.has("requests_min")).then_some(step.requests_min),
        };
        return Some(usual.iter().map(|step| paced(step).complete(pace)).collect());
    };
    steps(section, &value, pace)
}

fn steps(section: &Section<'_>, value: &Value<'_>, pace: Pace) -> Option<Vec<Step>> {
    let texts = value.texts();
    let mut steps = Vec::with_capacity(texts.len());
    for (place, text) in &texts {
        match text.parse::<WrittenStep>() {
            Ok(step) => steps.push(step.complete(pace)),
            Err(error) => section.reader.error(place, error),
        }
    }
    if steps.len() < texts.len() {
        return None;
    }
    match (Plan { steps: steps.clone(), ..Plan::default() }).check() {
        Ok(()) => Some(steps),
        Err(PlanError::Empty) if !value.is_empty_list() => None, // what stands there was refused
        Err(error) => {
            value.error(error);
            None
        }
    }
}

fn read_others(section: &Section<'_>, pace: Pace) -> BTreeMap<Name, Vec<Step>> {
    let mut others = BTreeMap::new();
    for (name, value) in section.chosen_values(Kind::Texts) {
        match Name::new(name) {
            Ok(name) if name.as_str() == plan::DEFAULT => {
                value.error(
                    "`default` is the plan above; write its `steps`, or choose another name",
                );
            }
            Ok(name) => {
                others.extend(steps(section, &value, pace).map(|steps| (name, steps)));
            }
            Err(error) => value.error(error),
        }
    }
    others
}

fn read_limits(section: &Section<'_>, usual: &Limits) -> Limits {
    let quality = read_share(section, "quality");
    Limits {
        error_rate_max: read_share(section, "error_rate").unwrap_or(usual.error_rate_max),
        latency_p99_max: section.duration("latency_p99", usual.latency_p99_max),
        quality_min: quality.unwrap_or(usual.quality_min),
        is_quality_set: usual.is_quality_set || quality.is_some(),
    }
}

fn read_rollback(section: &Section<'_>, usual: RollbackProfile) -> RollbackProfile {
    let usual_cap = match usual {
        RollbackProfile::Staged { takes_back_per_second } => Some(takes_back_per_second),
        RollbackProfile::Instant => Weight::from_percent(RollbackProfile::PERCENT_USUAL).ok(),
    };
    let cap = read_takes_back(section).or(usual_cap);
    let staged = cap.map_or(RollbackProfile::Instant, |takes_back_per_second| {
        RollbackProfile::Staged { takes_back_per_second }
    });
    let known = [("instant", RollbackProfile::Instant), ("staged", staged)];
    let is_staged = usual != RollbackProfile::Instant;
    one_of_or(section, "profile", &known, if is_staged { staged } else { usual })
}

fn read_takes_back(section: &Section<'_>) -> Option<Weight> {
    let value = section.value("takes_back_per_second", Kind::Number)?;
    let percent = value.number()?;
    let least = RollbackProfile::PERCENT_LEAST;
    if !(least..=100.0).contains(&percent) {
        value.error(format!("{percent} is out of range; write {least} to 100, in percent"));
        return None;
    }
    Weight::from_percent(percent).map_err(|error| value.error(error)).ok()
}

fn read_comparison(section: &Section<'_>, usual: &ComparisonRule) -> ComparisonRule {
    ComparisonRule {
        window: read_window(section, usual.window),
        latency_p99_margin: section
            .duration_or_zero("latency_p99_margin", usual.latency_p99_margin),
        error_rate_max: read_share(section, "error_rate").unwrap_or(usual.error_rate_max),
        quality_loss_max: read_share(section, "quality_loss").unwrap_or(usual.quality_loss_max),
    }
}

/// Longer ones would seem to compare what is not kept any more.
fn read_window(section: &Section<'_>, usual: Duration) -> Duration {
    let window = section.duration("window", usual);
    if window > COMPARED_MAX {
        let sentence = format!(
            "{} is longer than what is kept; write at most {}",
            duration::print(window),
            duration::print(COMPARED_MAX)
        );
        section.reader.error(&section.place_of("window"), sentence);
    }
    window
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};
    use super::*;

    #[test]
    fn without_a_table_the_usual_plan_holds() {
        assert_eq!(service("").plans, Plans::default());
    }

    #[test]
    fn steps_take_what_they_do_not_say_from_the_plan() {
        let plans = service("rollout.bake = '1m'\nrollout.requests_min = 20\nrollout.plans.fast = ['10% 5s', '100']").plans;
        let shown: Vec<_> = plans
            .default
            .steps
            .iter()
            .map(|s| (s.share.percent(), s.bake.as_secs(), s.requests_min))
            .collect();
        assert_eq!(shown[..2], [(1.0, 60, 5), (5.0, 60, 20)]);
        let fast = plans.find("fast").unwrap();
        assert_eq!((fast.steps.len(), fast.steps[0].bake.as_secs()), (2, 5));
        assert_eq!(plans.names().collect::<Vec<_>>(), ["default", "fast"]);
    }

    #[test]
    fn a_staged_rollback_has_a_cap() {
        let rollback = |keys: &str| service(keys).plans.default.rollback;
        let staged = |percent| RollbackProfile::Staged {
            takes_back_per_second: Weight::from_percent(percent).unwrap(),
        };
        assert_eq!(rollback(""), RollbackProfile::Instant);
        assert_eq!(rollback("rollout.rollback.profile = 'staged'"), staged(10.0));
        let own = "rollout.rollback = { profile = 'staged', takes_back_per_second = 2.5 }";
        assert_eq!(rollback(own), staged(2.5));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (keys, expected) in [
            (
                "rollout.steps = ['5%', '5%', '100%']",
                "rollout.steps: step 2 is 5 %, not above the 5 % before it; steps must rise",
            ),
            (
                "rollout.steps = ['5%']",
                "rollout.steps: the last step is 5 %, must be 100; to stay there, pause it",
            ),
            ("rollout.steps = []", "rollout.steps: no steps; write at least the switch, 100 %"),
            (
                "rollout.steps = ['5% soon', '100%']",
                "rollout.steps: `5% soon` is no step; write a percentage, and if need be time and requests: 5%, 5% 10m, 5% 10m 500",
            ),
            (
                "rollout.plans.default = ['100%']",
                "rollout.plans.default: `default` is the plan above; write its `steps`, or choose another name",
            ),
            (
                "rollout.limits.error_rate = 5",
                "rollout.limits.error_rate: 5 is no share; write 0 to 1, e.g. 0.1 for every tenth",
            ),
            (
                "rollout.rollback.takes_back_per_second = 0.5",
                "rollout.rollback.takes_back_per_second: 0.5 is out of range; write 1 to 100, in percent",
            ),
            (
                "rollout.rollback.profile = 'slow'",
                "rollout.rollback.profile: `slow` is not known; write instant or staged",
            ),
            (
                "rollout.comparison.window = '1h'",
                "rollout.comparison.window: 1h is longer than what is kept; write at most 15m",
            ),
            ("rollout.judge = 'me'", "rollout.judge: `me` is not known; write evidence or window"),
        ] {
            let errors = service_errors(keys);
            assert_eq!(errors.first().map(String::as_str), Some(expected), "{errors:?}");
        }
    }
}
