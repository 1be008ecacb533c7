//! The rules of one rollout, fixed when it starts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metric::Metrics;
use super::seconds;
use super::window::WindowRules;
use crate::model::plan::JudgeKind;
pub use crate::model::plan::TooLittleData;

/// Limits that hold by themselves, without a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Share of requests that may fail.
    pub error_rate_max: f64,
    /// Share of requests that may be slower than the latency limit: 0.01 for a p99.
    pub slow_share_max: f64,
    /// Mean quality score that must be reached.
    pub quality_min: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { error_rate_max: 0.05, slow_share_max: 0.01, quality_min: 0.70 }
    }
}

/// At which numbers the judge acts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// Evidence that rolls back: 100 is one healthy rollout in a hundred at most.
    pub roll_back: f64,
    /// Evidence by users that a rollback needs as well.
    pub confirm: f64,
    /// Evidence that is shown and written down, and holds if users confirm it.
    pub notice: f64,
    /// Evidence by users that a hold needs as well.
    pub hold_confirm: f64,
    /// Below this a step may be taken, and a hold ends.
    pub calm: f64,
    /// ... or evidence by users below this.
    pub calm_confirm: f64,
    /// Evidence at which the split itself is not believed.
    pub split: f64,
    /// Failures must exceed the active side's share by this much.
    pub excess_errors_min: f64,
    /// Mean quality must lie below the active side's by this much.
    pub quality_loss_min: f64,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            roll_back: 100.0,
            confirm: 10.0,
            notice: 20.0,
            hold_confirm: 2.0,
            calm: 5.0,
            calm_confirm: 1.0,
            split: 1_000.0,
            excess_errors_min: 0.005,
            quality_loss_min: 0.03,
        }
    }
}

/// What a step needs before the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bake {
    /// Time, at least; it is never shorter than the last age at which requests are read.
    #[serde(rename = "time_min_s", with = "seconds")]
    pub time_min: Duration,
    /// Requests of the candidate, at least.
    pub requests_min: u32,
    /// The same in steps of at most 1 %.
    pub requests_min_at_one_percent: u32,
    /// How long a step may wait for them.
    #[serde(rename = "wait_max_s", with = "seconds")]
    pub wait_max: Duration,
    /// What comes then.
    pub too_little_data: TooLittleData,
}

impl Default for Bake {
    fn default() -> Self {
        Self {
            time_min: Duration::from_secs(5 * 60),
            requests_min: 200,
            requests_min_at_one_percent: 50,
            wait_max: Duration::from_secs(2 * 3_600),
            too_little_data: TooLittleData::Hold,
        }
    }
}

impl Bake {
    /// Requests that a step at this share needs.
    pub fn requests_min_at(&self, share: f64) -> u32 {
        if share <= 0.01 { self.requests_min_at_one_percent } else { self.requests_min }
    }
}

/// Everything that is settled before a rollout starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which of the two judges decides.
    pub judge: JudgeKind,
    /// Steps of the plan, the switch included.
    pub planned_steps: u32,
    /// What is judged.
    pub metrics: Metrics,
    /// Absolute limits.
    pub limits: Limits,
    /// Numbers at which the judge acts.
    pub levels: Levels,
    /// What a step needs.
    pub bake: Bake,
    /// The candidate may fail this many times as often; 1: no worse.
    pub error_tolerance: f64,
    /// What only the window judge asks.
    pub window: WindowRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            judge: JudgeKind::default(),
            planned_steps: 5,
            metrics: Metrics::default(),
            limits: Limits::default(),
            levels: Levels::default(),
            bake: Bake::default(),
            error_tolerance: 1.0,
            window: WindowRules::default(),
        }
    }
}

/// A setting that no judge can work with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Outside of what it may be.
    #[error("`{setting}` is {value}; write {range}")]
    Range {
        /// Its dotted name.
        setting: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Nothing to judge by.
    #[error("`metrics` is empty; name one at least, e.g. [\"errors\"]")]
    NoMetrics,
}

impl Settings {
    /// Whether a judge can work with them.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.metrics.iter().next().is_none() {
            return Err(SettingsError::NoMetrics);
        }
        let share = |setting, value: f64| {
            let is_share = value > 0.0 && value < 1.0;
            in_range(is_share, setting, value, "a share above 0 and below 1")
        };
        let level = |setting, value: f64| {
            in_range(value > 0.0 && value.is_finite(), setting, value, "a number above 0")
        };
        let Self { limits, levels, window, .. } = self;
        share("limits.error_rate_max", limits.error_rate_max)?;
        share("limits.slow_share_max", limits.slow_share_max)?;
        share("limits.quality_min", limits.quality_min)?;
        level("levels.roll_back", levels.roll_back)?;
        level("levels.confirm", levels.confirm)?;
        level("levels.notice", levels.notice)?;
        level("levels.hold_confirm", levels.hold_confirm)?;
        level("levels.calm", levels.calm)?;
        level("levels.calm_confirm", levels.calm_confirm)?;
        level("levels.split", levels.split)?;
        let points = "a number from 0 to 1";
        let is_point = |value: f64| (0.0..=1.0).contains(&value);
        let (excess, loss) = (levels.excess_errors_min, levels.quality_loss_min);
        in_range(is_point(excess), "levels.excess_errors_min", excess, points)?;
        in_range(is_point(loss), "levels.quality_loss_min", loss, points)?;
        let tolerance = self.error_tolerance;
        let is_tolerance = (1.0..=1_000.0).contains(&tolerance);
        in_range(is_tolerance, "error_tolerance", tolerance, "1 to 1000")?;
        let steps = self.planned_steps;
        in_range((1..=1_000).contains(&steps), "planned_steps", steps.into(), "1 to 1000")?;
        let seconds = window.window.as_secs_f64();
        in_range((1.0..=3_600.0).contains(&seconds), "window.window_s", seconds, "1 to 3600")?;
        let interval = window.check_interval.as_secs_f64();
        in_range(interval >= 1.0, "window.check_interval_s", interval, "1 or more")?;
        let samples = window.samples_min;
        in_range(samples >= 1, "window.samples_min", samples.into(), "1 or more")
    }
}

fn in_range(
    is_in: bool,
    setting: &'static str,
    value: f64,
    range: &'static str,
) -> Result<(), SettingsError> {
    if is_in { Ok(()) } else { Err(SettingsError::Range { setting, value, range }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_judge_can_work_with_is_named_with_its_rule() {
        assert_eq!(Settings::default().check(), Ok(()));
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().expect_err("it is refused").to_string()
        };
        for (change, expected) in [
            (
                (|s| s.limits.error_rate_max = 5.0) as fn(&mut Settings),
                "`limits.error_rate_max` is 5; write a share above 0 and below 1",
            ),
            (
                |s| s.levels.roll_back = f64::NAN,
                "`levels.roll_back` is NaN; write a number above 0",
            ),
            (|s| s.error_tolerance = 0.5, "`error_tolerance` is 0.5; write 1 to 1000"),
            (
                |s| s.window.window = Duration::from_millis(500),
                "`window.window_s` is 0.5; write 1 to 3600",
            ),
            (
                |s| s.metrics = Metrics::new([]),
                "`metrics` is empty; name one at least, e.g. [\"errors\"]",
            ),
        ] {
            assert_eq!(refused(change), expected);
        }
    }

    #[test]
    fn are_written_with_units_and_come_back() {
        let text = serde_json::to_string(&Settings::default()).unwrap();
        assert!(text.contains(r#""time_min_s":300.0"#), "{text}");
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), Settings::default());
        assert!(serde_json::from_str::<Settings>(r#"{"limts":{}}"#).is_err());
    }
}
