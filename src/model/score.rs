//! A quality score: what somebody thinks of one answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::Name;

/// 0 to 1, higher is better.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Score(f64);

/// Why a number is no score.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no score; send a number from 0 to 1, higher is better")]
pub struct ScoreError(f64);

impl Score {
    /// The best.
    pub const ONE: Self = Self(1.0);
    /// The worst.
    pub const ZERO: Self = Self(0.0);

    /// Checks `value` and keeps it.
    ///
    /// # Errors
    /// When it is below 0, above 1 or no number.
    pub fn new(value: f64) -> Result<Self, ScoreError> {
        // A negative zero compares as zero and prints as `-0`.
        if (0.0..=1.0).contains(&value) { Ok(Self(value.abs())) } else { Err(ScoreError(value)) }
    }

    /// The number.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Score {
    type Error = ScoreError;

    fn try_from(value: f64) -> Result<Self, ScoreError> {
        Self::new(value)
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> Self {
        score.0
    }
}

impl schemars::JsonSchema for Score {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Score".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "0 to 1, higher is better.",
            "type": "number",
            "minimum": 0,
            "maximum": 1,
        })
    }
}

/// Three decimals at most, since 40 answers tell no more; cut and not rounded, so that what is just below
/// a threshold never reads as the threshold.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The little that is added makes up for numbers like 0.57, which are kept a bit too low.
        let cut = (self.0 * 1e3 + 1e-9).floor() / 1e3;
        let text = format!("{cut:.3}");
        f.write_str(text.strip_suffix('0').unwrap_or(&text))
    }
}

/// What a score is called when nobody says otherwise; the judge reads these and no others.
#[expect(clippy::missing_panics_doc, reason = "the word is a name")]
pub fn quality() -> Name {
    Name::new("quality").expect("a word of small letters is a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_lie_between_zero_and_one() {
        for (value, shown) in [
            (0.0, "0.00"),
            (-0.0, "0.00"),
            (0.87, "0.87"),
            (0.8759, "0.875"),
            (0.57, "0.57"),
            (0.849_999, "0.849"),
            (1.0, "1.00"),
        ] {
            assert_eq!(Score::new(value).unwrap().to_string(), shown);
        }
        for value in [-0.01, 1.000_001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Score::new(value).unwrap_err().to_string();
            assert!(
                error.ends_with(" is no score; send a number from 0 to 1, higher is better"),
                "{error}"
            );
        }
    }
}
