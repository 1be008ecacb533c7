//! What goes wrong, and how often: the faults of an emulated server.
//!
//! At most one fault per request, chosen by a single draw, so that the rates are exact shares of all
//! requests and never hide each other. The same names serve `--fault NAME=VALUE`, `POST /mock/faults`
//! and the library.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::distribution::parse_duration;

/// All faults of a server. Rates are shares of requests, 0 to 1; everything is off by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Requests answered with `status_code` instead of content.
    pub status: f64,
    /// The status of those answers. Default 500.
    pub status_code: u16,
    /// Answers 200 that carry an error object before any content.
    pub error_first: f64,
    /// Answers 200 that carry an error object after some content.
    pub error_midway: f64,
    /// Answers whose connection is closed midway, without a terminator.
    pub cut: f64,
    /// Answers whose connection is reset (RST) midway.
    pub reset: f64,
    /// Answers that end midway as if they were whole: framing is correct, `[DONE]` and the like are missing.
    pub truncate: f64,
    /// Answers that fall silent midway for `stall_for`, then go on.
    pub stall: f64,
    /// How long they are silent. Default 30 s.
    #[serde(serialize_with = "write_duration", deserialize_with = "read_duration")]
    pub stall_for: Duration,
    /// Answers 200 without content: no event at all in a stream, an empty text otherwise.
    pub empty: f64,
    /// Requests whose connection is closed without an answer.
    pub no_answer: f64,
    /// Answers whose first token takes `slow_factor` as long. Drawn apart from the other faults.
    pub slow: f64,
    /// How much longer. Default 10.
    pub slow_factor: f64,
    /// Answers whose third word is `wrong`, for graders to find. Drawn apart from the other faults.
    pub wrong: f64,
    /// What happens to new connections.
    pub connections: Connections,
    /// What `/health` and `/ready` answer.
    pub health: Health,
    /// Whether a connection is closed, unannounced, after each stream, as llama-server does.
    pub close_after_stream: bool,
    /// Whether all running streams stand still, as after SIGTERM in vLLM and llama-server.
    pub freeze: bool,
}

/// What happens to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connections {
    /// They are served.
    #[default]
    Accept,
    /// The listener is closed: connecting fails. Open connections go on.
    Refuse,
    /// They are accepted and closed at once.
    Close,
}

/// What `/health` and `/ready` answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// 200.
    #[default]
    Ok,
    /// 503 `Loading model`, what llama-server says until it is ready.
    Loading,
    /// Nothing, for as long as the client waits.
    Hang,
}

/// Why faults were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FaultsError {
    /// No share of requests.
    #[error("`{name}` is {value}, which is not a rate; write a share of requests from 0 to 1")]
    Rate {
        /// The field.
        name: &'static str,
        /// What it held.
        value: f64,
    },
    /// A request has at most one fault, so the rates cannot exceed all requests.
    #[error(
        "the rates sum up to {0}; a request has at most one fault, so keep the sum at 1 or below"
    )]
    Sum(f64),
    /// Not a status that an answer can have.
    #[error("`status_code` is {0}; write an error status from 400 to 599")]
    StatusCode(u16),
    /// A factor that would make time run backwards.
    #[error("`slow_factor` is {0}; write a number of 0 or more")]
    SlowFactor(f64),
    /// Not the form of faults at all.
    #[error("{0}")]
    Form(String),
}

/// The fault of one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum FaultKind {
    Status(u16),
    ErrorFirst,
    ErrorMidway,
    Cut,
    Reset,
    Truncate,
    Stall(Duration),
    Empty,
    NoAnswer,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            status: 0.0,
            status_code: 500,
            error_first: 0.0,
            error_midway: 0.0,
            cut: 0.0,
            reset: 0.0,
            truncate: 0.0,
            stall: 0.0,
            stall_for: Duration::from_secs(30),
            empty: 0.0,
            no_answer: 0.0,
            slow: 0.0,
            slow_factor: 10.0,
            wrong: 0.0,
            connections: Connections::default(),
            health: Health::default(),
            close_after_stream: false,
            freeze: false,
        }
    }
}

impl Faults {
    /// Faults from pairs such as `cut=0.1` or `health=hang`.
    ///
    /// # Errors
    /// When a pair has no `=`, a name is unknown, a value does not fit, or the whole is refused by
    /// [`Faults::check`].
    pub fn from_pairs<S: AsRef<str>>(pairs: &[S]) -> Result<Self, FaultsError> {
        let mut fields = serde_json::Map::new();
        for pair in pairs {
            let pair = pair.as_ref();
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                FaultsError::Form(format!("`{pair}` has no value; write for example `cut=0.1`"))
            })?;
            // Numbers and booleans read as JSON; words and durations are what is left.
            let value = serde_json::from_str(value)
                .unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
            fields.insert(name.to_owned(), value);
        }
        Self::from_json(serde_json::Value::Object(fields))
    }

    /// Faults from the body of `POST /mock/faults`.
    ///
    /// # Errors
    /// As [`Faults::from_pairs`].
    pub fn from_json(value: serde_json::Value) -> Result<Self, FaultsError> {
        let faults: Self =
            serde_json::from_value(value).map_err(|error| FaultsError::Form(error.to_string()))?;
        faults.check()?;
        Ok(faults)
    }

    /// Whether these faults can be acted out.
    ///
    /// # Errors
    /// When a rate lies outside 0 to 1, their sum is above 1, the status is none of an error, or the
    /// factor is negative.
    pub fn check(&self) -> Result<(), FaultsError> {
        let rates = self.rates();
        let apart = [("slow", self.slow), ("wrong", self.wrong)];
        for (name, value) in rates.iter().map(|(n, r, _)| (*n, *r)).chain(apart) {
            if !(0.0..=1.0).contains(&value) {
                return Err(FaultsError::Rate { name, value });
            }
        }
        let sum: f64 = rates.iter().map(|(_, rate, _)| rate).sum();
        if sum > 1.0 + 1e-9 {
            return Err(FaultsError::Sum(sum));
        }
        if !(400..=599).contains(&self.status_code) {
            return Err(FaultsError::StatusCode(self.status_code));
        }
        if !self.slow_factor.is_finite() || self.slow_factor < 0.0 {
            return Err(FaultsError::SlowFactor(self.slow_factor));
        }
        Ok(())
    }

    /// Draws the fault of one request: one number decides, whatever is switched on.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Option<FaultKind> {
        let drawn = rng.f64();
        let mut upper = 0.0;
        self.rates().into_iter().find_map(|(_, rate, kind)| {
            upper += rate;
            (drawn < upper).then_some(kind)
        })
    }

    /// Draws how much longer than usual the first token takes.
    pub(super) fn draw_slowness(&self, rng: &mut fastrand::Rng) -> f64 {
        if rng.f64() < self.slow { self.slow_factor } else { 1.0 }
    }

    /// Draws whether an answer is wrong, without a draw from what its pace follows from.
    pub(super) fn draw_wrongness(&self, seed: u64) -> bool {
        self.wrong > 0.0 && fastrand::Rng::with_seed(!seed).f64() < self.wrong
    }

    fn rates(&self) -> [(&'static str, f64, FaultKind); 9] {
        [
            ("status", self.status, FaultKind::Status(self.status_code)),
            ("error_first", self.error_first, FaultKind::ErrorFirst),
            ("error_midway", self.error_midway, FaultKind::ErrorMidway),
            ("cut", self.cut, FaultKind::Cut),
            ("reset", self.reset, FaultKind::Reset),
            ("truncate", self.truncate, FaultKind::Truncate),
            ("stall", self.stall, FaultKind::Stall(self.stall_for)),
            ("empty", self.empty, FaultKind::Empty),
            ("no_answer", self.no_answer, FaultKind::NoAnswer),
        ]
    }
}

fn write_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}ms", duration.as_millis()))
}

fn read_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is no duration; write `500ms` or `30s`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_json_say_the_same() {
        let pairs =
            ["cut=0.25", "stall=0.5", "stall_for=2s", "health=hang", "close_after_stream=true"];
        let from_pairs = Faults::from_pairs(&pairs).unwrap();
        let from_json = Faults::from_json(serde_json::json!({
            "cut": 0.25, "stall": 0.5, "stall_for": "2s", "health": "hang", "close_after_stream": true
        }))
        .unwrap();
        assert_eq!(from_pairs, from_json);
        assert_eq!(from_pairs.stall_for, Duration::from_secs(2));
        let written = serde_json::to_value(&from_pairs).unwrap();
        assert_eq!(Faults::from_json(written).unwrap(), from_pairs);
    }

    #[test]
    fn impossible_faults_are_refused_with_the_remedy() {
        for (pairs, problem) in [
            (
                vec!["cut=1.5"],
                "`cut` is 1.5, which is not a rate; write a share of requests from 0 to 1",
            ),
            (
                vec!["cut=0.6", "stall=0.6"],
                "the rates sum up to 1.2; a request has at most one fault, so keep the sum at 1 or below",
            ),
            (
                vec!["status_code=200"],
                "`status_code` is 200; write an error status from 400 to 599",
            ),
            (vec!["cut"], "`cut` has no value; write for example `cut=0.1`"),
            (vec!["stall_for=soon"], "`soon` is no duration; write `500ms` or `30s`"),
        ] {
            assert_eq!(Faults::from_pairs(&pairs).unwrap_err().to_string(), problem);
        }
        let unknown = Faults::from_pairs(&["cutt=1"]).unwrap_err().to_string();
        assert!(unknown.starts_with("unknown field `cutt`, expected one of"), "{unknown}");
    }

    #[test]
    fn rates_are_shares_of_all_requests() {
        let faults = Faults { cut: 0.2, empty: 0.3, ..Faults::default() };
        let mut rng = fastrand::Rng::with_seed(3);
        let drawn: Vec<_> = (0..10_000).map(|_| faults.draw(&mut rng)).collect();
        let share = |kind| drawn.iter().filter(|d| **d == kind).count();
        // Within 5 standard deviations (at most 50 each).
        assert!(share(Some(FaultKind::Cut)).abs_diff(2000) < 250);
        assert!(share(Some(FaultKind::Empty)).abs_diff(3000) < 250);
        assert!(share(None).abs_diff(5000) < 250);
    }
}
