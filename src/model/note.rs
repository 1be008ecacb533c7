//! What happened to one exchange of an environment that somebody observes.
//!
//! Counts are enough for people who look; a judge of a rollout must know which requests are one user's
//! and what had become of those that arrived together. So while a rollout runs, and only then, each core
//! writes a few notes per exchange.

use std::time::Duration;

use super::environment::EnvironmentId;

/// Quarters of a second in a second: arrivals are told apart this finely.
const QUARTERS_PER_SECOND: u64 = 4;

/// One thing that happened to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// The environment that the exchange counts for.
    pub environment: EnvironmentId,
    /// The quarter of a second since the epoch in which it was given its environment.
    pub arrived: u32,
    /// The exchange's own number.
    pub exchange: u64,
    key: u64,
    /// Milliseconds since its request head came, rounded up: it happened by this age. (But see `Paced`.)
    pub age_ms: u32,
    has_key: bool,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum What {
    /// It was given its environment.
    Began,
    /// It was given another one before anything was sent: as if it had never begun.
    Withdrawn,
    /// Its request asks for a stream.
    AsksStream,
    /// Its request asks for an answer in one piece.
    AsksWhole,
    /// First content of a stream.
    FirstContent,
    /// Last byte of a good answer that is no stream.
    Answered,
    /// A stream that had content has a pace: its time per output token, in microseconds, stands in place of
    /// an age. Right before `Ended`.
    Paced,
    /// A stream that had content ended, however.
    Ended,
    /// A tunnel was opened: whatever comes of it, it says nothing about speed.
    Opened,
    /// It failed before its first content.
    FailedEarly,
    /// It failed after its first content.
    FailedLate,
    /// The upstream refused it.
    Refused,
    /// It ended in a way that may hold a rollout. A client that left is noted so first, and as `Left`
    /// right after, which takes this back.
    Watched,
    /// The client left.
    Left,
}

impl Note {
    /// A note of an exchange with this sticky key, if it brought one.
    pub fn new(
        environment: EnvironmentId,
        (arrived, exchange): (u32, u64),
        key: Option<u64>,
        what: What,
        age: Duration,
    ) -> Self {
        let age_ms = u64::from(age.subsec_nanos().div_ceil(1_000_000));
        let age_ms = age.as_secs().saturating_mul(1_000).saturating_add(age_ms);
        Self {
            environment,
            arrived,
            exchange,
            key: key.unwrap_or(0),
            age_ms: u32::try_from(age_ms).unwrap_or(u32::MAX),
            has_key: key.is_some(),
            what,
        }
    }

    /// The note of a stream's pace.
    pub fn paced(
        environment: EnvironmentId,
        whose: (u32, u64),
        key: Option<u64>,
        per_token: Duration,
    ) -> Self {
        let us = u32::try_from(per_token.as_micros()).unwrap_or(u32::MAX);
        Self { age_ms: us, ..Self::new(environment, whose, key, What::Paced, Duration::ZERO) }
    }

    /// Hash of the sticky key; `None` for a request without.
    pub fn key(&self) -> Option<u64> {
        self.has_key.then_some(self.key)
    }
}

/// The quarter of a second that a moment lies in.
pub fn quarter(since_epoch: Duration) -> u32 {
    let quarters = since_epoch.as_secs() * QUARTERS_PER_SECOND
        + u64::from(since_epoch.subsec_millis()) * QUARTERS_PER_SECOND / 1_000;
    u32::try_from(quarters).unwrap_or(u32::MAX)
}

/// When a quarter of a second begins, since the epoch.
pub fn quarter_begins(quarter: u32) -> Duration {
    Duration::from_millis(u64::from(quarter) * 1_000 / QUARTERS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_small_and_rounds_its_age_up() {
        assert!(size_of::<Note>() <= 32);
        let age_ms = |us| {
            let age = Duration::from_micros(us);
            Note::new(EnvironmentId(1), (0, 7), None, What::Began, age).age_ms
        };
        assert_eq!([0, 1, 250_000, 250_001].map(age_ms), [0, 1, 250, 251]);
        assert_eq!(age_ms(u64::MAX), u32::MAX);
        let keyed = |key| Note::new(EnvironmentId(1), (0, 7), key, What::Began, Duration::ZERO);
        assert_eq!([None, Some(0)].map(|key| keyed(key).key()), [None, Some(0)]);
    }

    #[test]
    fn a_pace_is_told_in_microseconds() {
        let paced = |us| Note::paced(EnvironmentId(1), (0, 7), Some(5), Duration::from_micros(us));
        let note = paced(20_150);
        assert_eq!((note.age_ms, note.what, note.key()), (20_150, What::Paced, Some(5)));
        assert_eq!(paced(u64::MAX).age_ms, u32::MAX);
    }

    #[test]
    fn quarters_begin_every_250_ms() {
        let of = |ms| quarter(Duration::from_millis(ms));
        assert_eq!([0, 249, 250, 999, 1_000, 61_250].map(of), [0, 0, 1, 3, 4, 245]);
        assert_eq!(quarter_begins(245), Duration::from_millis(61_250));
    }
}
