//! Delays and lengths of answers, drawn from a distribution that one word of text describes.
//!
//! Written as `fixed:20ms` (or just `20ms`), `uniform:10ms..30ms` or `lognormal:20ms,0.5` (median and
//! sigma). Latencies of LLM servers are close to log-normal, so that is the one to take for realism.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Longest delay that is ever drawn: a log-normal tail must not park a stream for days.
const DELAY_SECONDS_MAX: f64 = 3600.0;

/// Most tokens that are ever drawn for one answer.
const TOKENS_MAX: f64 = 1_000_000.0;

/// A distribution of times: to the first token, or between two tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay(Shape);

/// A distribution of answer lengths in tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenCount(Shape);

/// Why a text is no distribution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DistributionError {
    /// Neither a plain value nor one of the three forms.
    #[error("`{0}` is no distribution; write `20ms`, `uniform:10ms..30ms` or `lognormal:20ms,0.5`")]
    Form(String),
    /// A value inside it cannot be read, is negative, or has the wrong unit.
    #[error("`{0}` is no value here; write times as `20ms` or `1.5s`, lengths as `64`")]
    Value(String),
    /// The range runs backwards.
    #[error("`{0}` runs backwards; write the smaller value first")]
    Backwards(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Fixed(f64),
    Uniform { low: f64, high: f64 },
    LogNormal { median: f64, sigma: f64 },
}

impl Delay {
    /// Always the same delay.
    pub const fn fixed(delay: Duration) -> Self {
        Self(Shape::Fixed(delay.as_secs_f64()))
    }

    pub(super) fn draw(self, rng: &mut fastrand::Rng) -> Duration {
        Duration::from_secs_f64(self.0.draw(rng).clamp(0.0, DELAY_SECONDS_MAX))
    }
}

impl TokenCount {
    /// Always the same length.
    pub const fn fixed(tokens: u32) -> Self {
        Self(Shape::Fixed(tokens as f64))
    }

    /// At least one token.
    pub(super) fn draw(self, rng: &mut fastrand::Rng) -> usize {
        let tokens = self.0.draw(rng).round().clamp(1.0, TOKENS_MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 1..=1_000_000 in the line above"
        )]
        let tokens = tokens as usize;
        tokens
    }
}

impl FromStr for Delay {
    type Err = DistributionError;

    fn from_str(text: &str) -> Result<Self, DistributionError> {
        Shape::parse(text, |value| parse_duration(value).map(|d| d.as_secs_f64())).map(Self)
    }
}

impl FromStr for TokenCount {
    type Err = DistributionError;

    fn from_str(text: &str) -> Result<Self, DistributionError> {
        Shape::parse(text, |value| value.parse::<u32>().ok().map(f64::from)).map(Self)
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |seconds: f64| format!("{}ms", (seconds * 1e6).round() / 1e3);
        match self.0 {
            Shape::Fixed(value) => write!(f, "fixed:{}", ms(value)),
            Shape::Uniform { low, high } => write!(f, "uniform:{}..{}", ms(low), ms(high)),
            Shape::LogNormal { median, sigma } => write!(f, "lognormal:{},{sigma}", ms(median)),
        }
    }
}

impl fmt::Display for TokenCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shape::Fixed(value) => write!(f, "fixed:{value}"),
            Shape::Uniform { low, high } => write!(f, "uniform:{low}..{high}"),
            Shape::LogNormal { median, sigma } => write!(f, "lognormal:{median},{sigma}"),
        }
    }
}

impl Shape {
    fn parse(text: &str, value: impl Fn(&str) -> Option<f64>) -> Result<Self, DistributionError> {
        let read = |part: &str| {
            value(part.trim()).ok_or_else(|| DistributionError::Value(part.trim().to_owned()))
        };
        let form = || DistributionError::Form(text.to_owned());
        match text.split_once(':') {
            None => read(text).map(Self::Fixed),
            Some(("fixed", rest)) => read(rest).map(Self::Fixed),
            Some(("uniform", rest)) => {
                let (low, high) = rest.split_once("..").ok_or_else(form)?;
                let (low, high) = (read(low)?, read(high)?);
                if low > high {
                    return Err(DistributionError::Backwards(rest.to_owned()));
                }
                Ok(Self::Uniform { low, high })
            }
            Some(("lognormal", rest)) => {
                let (median, sigma) = rest.split_once(',').ok_or_else(form)?;
                let spread = sigma.trim().parse().ok();
                let sigma = spread
                    .filter(|s: &f64| s.is_finite() && *s >= 0.0)
                    .ok_or_else(|| DistributionError::Value(sigma.to_owned()))?;
                Ok(Self::LogNormal { median: read(median)?, sigma })
            }
            Some(_) => Err(form()),
        }
    }

    fn draw(self, rng: &mut fastrand::Rng) -> f64 {
        match self {
            Self::Fixed(value) => value,
            Self::Uniform { low, high } => low + (high - low) * rng.f64(),
            Self::LogNormal { median, sigma } => median * (sigma * standard_normal(rng)).exp(),
        }
    }
}

/// Box and Muller's transform; one of its two values is enough here.
fn standard_normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Reads `500us`, `20ms`, `1.5s` or `2m`; `None` for everything else.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_printed_alike() {
        for (text, printed) in [
            ("20ms", "fixed:20ms"),
            ("fixed:1.5s", "fixed:1500ms"),
            ("uniform:10ms..30ms", "uniform:10ms..30ms"),
            ("lognormal:500us,0.5", "lognormal:0.5ms,0.5"),
        ] {
            assert_eq!(text.parse::<Delay>().unwrap().to_string(), printed);
        }
        assert_eq!("uniform:1..9".parse::<TokenCount>().unwrap().to_string(), "uniform:1..9");
    }

    #[test]
    fn what_is_no_distribution_is_refused_with_the_remedy() {
        for (text, problem) in [
            (
                "normal:1ms",
                "`normal:1ms` is no distribution; write `20ms`, `uniform:10ms..30ms` or `lognormal:20ms,0.5`",
            ),
            ("uniform:30ms..10ms", "`30ms..10ms` runs backwards; write the smaller value first"),
            ("20", "`20` is no value here; write times as `20ms` or `1.5s`, lengths as `64`"),
            ("-3ms", "`-3ms` is no value here; write times as `20ms` or `1.5s`, lengths as `64`"),
            (
                "lognormal:2ms,x",
                "`x` is no value here; write times as `20ms` or `1.5s`, lengths as `64`",
            ),
        ] {
            assert_eq!(text.parse::<Delay>().unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn draws_follow_their_distribution() {
        let mut rng = fastrand::Rng::with_seed(7);
        let uniform: Delay = "uniform:10ms..30ms".parse().unwrap();
        let log_normal: Delay = "lognormal:20ms,0.5".parse().unwrap();
        let mut below_the_median = 0;
        for _ in 0..10_000 {
            let drawn = uniform.draw(&mut rng);
            assert!((Duration::from_millis(10)..=Duration::from_millis(30)).contains(&drawn));
            below_the_median += i32::from(log_normal.draw(&mut rng) < Duration::from_millis(20));
        }
        // Half of 10 000, within 5 standard deviations of 50.
        assert!((below_the_median - 5000).abs() < 250, "{below_the_median} below the median");
    }
}
