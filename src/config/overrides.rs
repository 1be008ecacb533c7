//! What the start of one rollout says otherwise than its plan.
//!
//! Keys of `[service.NAME.rollout]` as JSON, read by the code that reads the file: what a file refuses
//! is refused here in the same words, by the name of its field. What is not said is as in the plan.

use serde_json::{Map, Value};
use toml::de::DeTable;

use super::element::rollout::read_over;
use super::reader::{Reader, Section};
use super::surroundings::{HAS_OTLP, Surroundings};
use crate::model::plan::{Plan, Plans};

/// The keys that a start may bring. The others describe the service and not one rollout of it.
const KEYS: [&str; 15] = [
    "steps",
    "bake",
    "requests_min",
    "judge",
    "check_interval",
    "latency_signal",
    "limits",
    "comparison",
    "wait_max",
    "too_little_data",
    "ready_within",
    "armed_for",
    "rollback",
    "cool_down",
    "attempts_max",
];

/// A value that the file would refuse too. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct OverrideError {
    /// The field as a dotted key: `limits.error_rate`; empty for all of them together.
    pub field: String,
    /// `problem; remedy`
    pub problem: String,
}

impl OverrideError {
    fn sentence(&self) -> String {
        let Self { field, problem } = self;
        if field.is_empty() { problem.clone() } else { format!("{field}: {problem}") }
    }
}

/// `plan` of a service with these keys replaced.
///
/// # Errors
/// Everything that is wrong with them, at once; at least one error.
pub fn laid_over(
    plan: Plan,
    plans: &Plans,
    overrides: &Map<String, Value>,
) -> Result<Plan, Vec<OverrideError>> {
    let broken = |problem: &dyn std::fmt::Display| {
        vec![OverrideError { field: String::new(), problem: format!("overrides: {problem}") }]
    };
    let text = toml::to_string(overrides).map_err(|error| broken(&error))?;
    let table = DeTable::parse(&text).map_err(|error| broken(&error.message()))?;
    let surroundings = Surroundings {
        // A caller of the API must not learn what is in the environment or on the disk of Cyan.
        variable: &|_| None,
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        has_otlp: HAS_OTLP,
    };
    let reader = Reader::new(&surroundings);
    let section = Section::only(&reader, table.get_ref(), "service.NAME.rollout", &KEYS);
    let usual = Plans { default: plan, pace: plans.pace, ..Plans::default() };
    let plan = read_over(&section, &usual).default;
    let errors = reader.finish().0.into_iter();
    let errors: Vec<OverrideError> = errors
        .map(|error| OverrideError { field: error.place.field, problem: error.sentence })
        .collect();
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::model::plan::JudgeKind;

    fn over(overrides: Value) -> Result<Plan, Vec<String>> {
        let Value::Object(overrides) = overrides else { panic!("an object") };
        let plans = Plans::default();
        let plan = laid_over(plans.default.clone(), &plans, &overrides);
        plan.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_said_is_as_in_the_plan() {
        assert_eq!(over(json!({})), Ok(Plan::default()));
        let plan = over(json!({
            "limits": {"error_rate": 0.08, "latency_p99": "3s"}, "judge": "window",
            "comparison": {"window": "1m"}, "armed_for": "1h", "wait_max": "30m",
        }));
        let mut expected = Plan { judge: JudgeKind::Window, ..Plan::default() };
        expected.limits.error_rate_max = 0.08;
        expected.limits.latency_p99_max = Duration::from_secs(3);
        expected.comparison.window = Duration::from_secs(60);
        expected.armed_for = Duration::from_secs(3600);
        expected.wait_max = Duration::from_secs(1800);
        assert_eq!(plan, Ok(expected));
    }

    #[test]
    fn a_pace_is_that_of_all_steps_that_do_not_say() {
        let shown = |overrides| -> Vec<String> {
            over(overrides).unwrap().steps.iter().map(ToString::to_string).collect()
        };
        let steps = shown(json!({"bake": "30s"}));
        assert_eq!(steps[..2], ["1% 30s 50", "5% 30s 200"], "the plan's own requests stay");
        let steps = shown(json!({"steps": ["10%", "50% 2m", "100%"], "requests_min": 20}));
        assert_eq!(steps, ["10% 5m 20", "50% 2m 20", "100% 5m 20"]);
    }

    #[test]
    fn what_a_file_refuses_is_refused_by_field() {
        for (overrides, expected) in [
            (
                json!({"limits": {"error_rate": 8}}),
                "limits.error_rate: 8 is no share; write 0 to 1, e.g. 0.1 for every tenth",
            ),
            (
                json!({"bake": "soon"}),
                "bake: `soon` is not a duration; write a number and a unit, e.g. 250ms, 5s, 2m, 1h30m, 7d",
            ),
            (json!({"bake": 60}), "bake: must be a duration; write for example \"10m\""),
            (json!({"judge": "me"}), "judge: `me` is not known; write evidence or window"),
            (json!({"requests_min": 0}), "requests_min: 0 is out of range; write 1 to 100000000"),
            (json!({"limit": {}}), "unknown key `limit`, did you mean `limits`?"),
            (json!({"limits": {"errors": 1}}), "limits: unknown key `errors`"),
            (json!({"limits": 1}), "limits: must be a table; write [limits]"),
            (json!({"steps": ["5%"]}), "steps: the last step is 5 %, must be 100; to stay there"),
            (json!({"latency_signal": "${HOME}"}), "latency_signal: variable `HOME` is not set"),
            (json!({"bake": null}), "overrides: "),
        ] {
            let errors = over(overrides).unwrap_err();
            assert!(errors[0].starts_with(expected), "{errors:?}");
        }
        assert!(over(json!({"quality": {"threshold": 0.9}})).is_err(), "it is the service's");
    }
}
