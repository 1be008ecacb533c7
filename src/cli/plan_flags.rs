//! Flags by which one rollout goes by other rules than its plan. They are the keys of
//! `[service.NAME.rollout]`; Cyan checks them as it checks the file, so that nothing is checked here.

use std::fmt;

use serde_json::{Map, Value};

/// Rules for this rollout alone.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Other rules than the plan's")]
pub struct PlanFlags {
    /// How long a step lasts at least: `10m`
    #[arg(long, value_name = "DURATION")]
    bake: Option<String>,
    /// Requests of the candidate that a step needs; a quarter of it at 1 % and below
    #[arg(long, value_name = "NUMBER")]
    requests_min: Option<u32>,
    /// `evidence`, or `window`, which compares the last minute with the limits
    #[arg(long, value_name = "JUDGE")]
    judge: Option<String>,
    /// How often the window judge looks
    #[arg(long, value_name = "DURATION")]
    check_interval: Option<String>,
    /// What latency means: `ttft`, `tpot`, `total` or `auto`
    #[arg(long, value_name = "SIGNAL")]
    latency_signal: Option<String>,
    /// Share of requests that may fail: `8%` or `0.08`
    #[arg(long, value_name = "SHARE")]
    error_rate: Option<Share>,
    /// Limit of the p99 of latency: `3s`
    #[arg(long, value_name = "DURATION")]
    latency_p99: Option<String>,
    /// Mean quality score that must be reached: `0.8`
    #[arg(long, value_name = "SHARE")]
    quality: Option<Share>,
    /// How far back the comparison before the switch looks
    #[arg(long, value_name = "DURATION")]
    compare_window: Option<String>,
    /// How much slower the p99 may be than the active environment's: `200ms`
    #[arg(long, value_name = "DURATION")]
    compare_latency_p99_margin: Option<String>,
    /// Share of its requests that may fail, for the comparison
    #[arg(long, value_name = "SHARE")]
    compare_error_rate: Option<Share>,
    /// How much lower the mean score may be than the active environment's: `0.02`
    #[arg(long, value_name = "SHARE")]
    compare_quality_loss: Option<Share>,
    /// How long a step may wait for its requests
    #[arg(long, value_name = "DURATION")]
    wait_max: Option<String>,
    /// What comes then: `hold`, `advance` or `roll-back`
    #[arg(long, value_name = "WORD")]
    too_little_data: Option<String>,
    /// How long the candidate may take to become ready
    #[arg(long, value_name = "DURATION")]
    ready_within: Option<String>,
    /// How long after the switch limits go on rolling back
    #[arg(long, value_name = "DURATION")]
    armed_for: Option<String>,
}

/// A share as people write it: `8%` or `0.08`. Whether it is one is for Cyan to say.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share(f64);

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, of) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text, 1.0),
        };
        let number = number.parse::<f64>().ok().filter(|number| number.is_finite());
        let wrong = || format!("`{text}` is no share; write a percentage or a fraction: 8%, 0.08");
        number.map(|number| Self(number / of)).ok_or_else(wrong)
    }
}

impl PlanFlags {
    /// What is said, as the API takes it.
    pub(super) fn overrides(&self) -> Map<String, Value> {
        let (mut plan, mut limits, mut comparison) = (Map::new(), Map::new(), Map::new());
        for (key, value) in [
            ("bake", self.bake.as_deref().map(Value::from)),
            ("requests_min", self.requests_min.map(Value::from)),
            ("judge", self.judge.as_deref().map(Value::from)),
            ("check_interval", self.check_interval.as_deref().map(Value::from)),
            ("latency_signal", self.latency_signal.as_deref().map(Value::from)),
            ("wait_max", self.wait_max.as_deref().map(Value::from)),
            ("too_little_data", self.too_little_data.as_deref().map(Value::from)),
            ("ready_within", self.ready_within.as_deref().map(Value::from)),
            ("armed_for", self.armed_for.as_deref().map(Value::from)),
        ] {
            plan.extend(value.map(|value| (key.to_owned(), value)));
        }
        for (key, value) in [
            ("error_rate", self.error_rate.map(Value::from)),
            ("latency_p99", self.latency_p99.as_deref().map(Value::from)),
            ("quality", self.quality.map(Value::from)),
        ] {
            limits.extend(value.map(|value| (key.to_owned(), value)));
        }
        for (key, value) in [
            ("window", self.compare_window.as_deref().map(Value::from)),
            ("latency_p99_margin", self.compare_latency_p99_margin.as_deref().map(Value::from)),
            ("error_rate", self.compare_error_rate.map(Value::from)),
            ("quality_loss", self.compare_quality_loss.map(Value::from)),
        ] {
            comparison.extend(value.map(|value| (key.to_owned(), value)));
        }
        for (key, table) in [("limits", limits), ("comparison", comparison)] {
            if !table.is_empty() {
                plan.insert(key.to_owned(), table.into());
            }
        }
        plan
    }
}

impl From<Share> for Value {
    fn from(Share(share): Share) -> Self {
        share.into()
    }
}

/// Overrides in words: `bake 1m, limits.error_rate 0.08`.
pub(super) struct InWords<'a>(pub(super) &'a Map<String, Value>);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |(key, value): (&String, &Value)| match value {
            Value::Object(table) => {
                let inner =
                    table.iter().map(|(inner, value)| format!("{key}.{inner} {}", plain(value)));
                inner.collect::<Vec<_>>().join(", ")
            }
            value => format!("{key} {}", plain(value)),
        };
        f.write_str(&self.0.iter().map(words).collect::<Vec<_>>().join(", "))
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: PlanFlags,
    }

    #[test]
    fn flags_are_the_keys_of_the_config() {
        let line = "start --error-rate 8% --latency-p99 3s --quality 0.8 --bake 1m --requests-min 20 \
                    --judge window --compare-error-rate 2%";
        let overrides = Line::parse_from(line.split_whitespace()).flags.overrides();
        assert_eq!(
            Value::from(overrides.clone()),
            json!({
                "bake": "1m", "requests_min": 20, "judge": "window",
                "limits": {"error_rate": 0.08, "latency_p99": "3s", "quality": 0.8},
                "comparison": {"error_rate": 0.02},
            })
        );
        assert_eq!(
            InWords(&overrides).to_string(),
            "bake 1m, comparison.error_rate 0.02, judge window, limits.error_rate 0.08, \
             limits.latency_p99 3s, limits.quality 0.8, requests_min 20"
        );
        assert!(Line::parse_from(["start"]).flags.overrides().is_empty());
        assert!("x%".parse::<Share>().is_err() && "nan".parse::<Share>().is_err());
    }
}
