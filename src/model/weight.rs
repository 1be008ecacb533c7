//! Weights: the configured shares of traffic, exact to a hundredth of a percent.

use std::fmt;

/// A share of traffic in hundredths of a percent, 0 to 10 000; written in percent (`2.5`).
///
/// Integers, because weights must sum to exactly 100 % and be compared for equality.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Weight(u16);

/// Why a number is no weight.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightError {
    /// Below 0, above 100, or not a number.
    #[error("`{0}` is not a share of traffic; write percent from 0 to 100")]
    Range(f64),
    /// Finer than 0.01 %.
    #[error("`{0}` is finer than 0.01 %; write at most two decimals")]
    TooFine(f64),
}

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(10_000);

    /// A weight written in percent.
    ///
    /// # Errors
    /// When it lies outside 0 to 100, or is finer than 0.01 %.
    pub fn from_percent(percent: f64) -> Result<Self, WeightError> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(WeightError::Range(percent));
        }
        let hundredths = (percent * 100.0).round();
        if (percent * 100.0 - hundredths).abs() > 1e-6 {
            return Err(WeightError::TooFine(percent));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie in 0..=10_000 above"
        )]
        Ok(Self(hundredths as u16))
    }

    /// A weight in hundredths of a percent; `None` above 10 000.
    pub const fn from_hundredths(hundredths: u16) -> Option<Self> {
        if hundredths <= 10_000 { Some(Self(hundredths)) } else { None }
    }

    /// The weight in hundredths of a percent.
    pub const fn hundredths(self) -> u16 {
        self.0
    }

    /// The weight in percent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Whether it gets no traffic at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Prints percent without the sign: `25`, `2.5`, `0.01`.
impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}"),
            r if r % 10 == 0 => write!(f, "{whole}.{}", r / 10),
            r => write!(f, "{whole}.{r:02}"),
        }
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} %")
    }
}

impl serde::Serialize for Weight {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.percent())
    }
}

impl<'de> serde::Deserialize<'de> for Weight {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        Self::from_percent(percent).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Weight {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Weight".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A share of traffic in percent, with two decimals at most.",
            "type": "number",
            "minimum": 0,
            "maximum": 100,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_exact_to_two_decimals() {
        for (percent, hundredths, text) in [
            (0.0, 0, "0"),
            (0.01, 1, "0.01"),
            (2.5, 250, "2.5"),
            (33.33, 3333, "33.33"),
            (100.0, 10_000, "100"),
        ] {
            let weight = Weight::from_percent(percent).unwrap();
            assert_eq!(weight.hundredths(), hundredths);
            assert_eq!(weight.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_share_is_refused_with_the_rule() {
        for (percent, problem) in [
            (-1.0, "`-1` is not a share of traffic; write percent from 0 to 100"),
            (100.01, "`100.01` is not a share of traffic; write percent from 0 to 100"),
            (0.005, "`0.005` is finer than 0.01 %; write at most two decimals"),
        ] {
            assert_eq!(Weight::from_percent(percent).unwrap_err().to_string(), problem);
        }
        assert!(Weight::from_percent(f64::NAN).is_err());
    }
}
