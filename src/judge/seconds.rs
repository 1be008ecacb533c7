//! Durations as records write them: a number of seconds, so that other programs can read and write it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// The longest that a record may name: a year.
const SECONDS_MAX: f64 = 365.0 * 24.0 * 3_600.0;

/// `90.5`
pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

/// The same back.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(from)?;
    if (0.0..=SECONDS_MAX).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    let rule = format!("`{seconds}` is no number of seconds; write 0 to {SECONDS_MAX}");
    Err(serde::de::Error::custom(rule))
}

/// The same where it may be missing.
pub mod optional {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    /// `90.5` or `null`
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    /// The same back; whoever has none leaves the field out.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        super::deserialize(from).map(Some)
    }
}
