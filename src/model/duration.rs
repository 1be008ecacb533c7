//! Durations as a config writes them: `250ms`, `5s`, `1h30m`.
//!
//! An own parser, because the unit is never left out (is `30` seconds or milliseconds?) and the refusal
//! has to say what to write instead.

use std::time::Duration;

/// Longest duration that a config may hold: a year. Deadlines computed from it cannot overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of sentences, with their seconds.
const SPOKEN_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No number with a unit, a unit twice, or a smaller one before a larger one.
    #[error("`{0}` is not a duration; write a number and a unit, e.g. 250ms, 5s, 2m, 1h30m, 7d")]
    Form(String),
    /// Beyond a year.
    #[error("`{0}` is longer than a year; write at most 365d")]
    TooLong(String),
}

/// The duration that `text` means.
///
/// # Errors
/// When it is not of the form, or longer than a year.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let form = || DurationError::Form(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let (count, after) = split_where(rest, |b| !b.is_ascii_digit());
        let (unit, after) = split_where(after, |b| b.is_ascii_digit());
        let position = units.iter().position(|(name, _)| *name == unit).ok_or_else(form)?;
        if count.is_empty() {
            return Err(form());
        }
        let ms = count.parse::<u64>().ok().and_then(|count| count.checked_mul(units[position].1));
        total_ms = ms.and_then(|ms| total_ms.checked_add(ms)).ok_or_else(too_long)?;
        units = &units[position + 1..];
        rest = after;
    }
    let total = Duration::from_millis(total_ms);
    match text {
        "" => Err(form()),
        _ if total > DURATION_MAX => Err(too_long()),
        _ => Ok(total),
    }
}

/// The shortest text that [`parse`] reads as `duration`. Anything below a millisecond is dropped.
pub fn print(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut part = |(unit, ms): (&str, u64)| {
        let count = rest / ms;
        rest %= ms;
        if count == 0 { String::new() } else { format!("{count}{unit}") }
    };
    let text: String = UNITS.into_iter().map(&mut part).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// The duration in a sentence, in two units at most: `120 ms`, `2.1 s`, `45 s`, `3 min 10 s`, `1 h 5 min`.
/// What is cut off is less than a hundredth.
pub fn spoken(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match ms {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{ms} ms"),
        1_000..10_000 if ms % 1_000 >= 100 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => {
            let mut rest = ms / 1_000;
            let parts = SPOKEN_UNITS.into_iter().map(|(unit, seconds)| {
                let count = rest / seconds;
                rest %= seconds;
                (count, unit)
            });
            let parts = parts.skip_while(|(count, _)| *count == 0).take(2);
            let said = parts.filter(|(count, _)| *count > 0);
            said.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
        }
    }
}

/// `text` up to its first byte that `ends`, and the rest.
fn split_where(text: &str, ends: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        for (text, ms, printed) in [
            ("250ms", 250, "250ms"),
            ("5s", 5_000, "5s"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1m500ms", 60_500, "1m500ms"),
            ("0s", 0, "0s"),
            ("365d", 31_536_000_000, "365d"),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(print(Duration::from_millis(ms)), printed);
        }
    }

    #[test]
    fn a_sentence_has_two_units_at_most() {
        for (ms, spoken) in [
            (0, "0 s"),
            (120, "120 ms"),
            (2_096, "2 s"),
            (2_196, "2.1 s"),
            (9_950, "9.9 s"),
            (45_900, "45 s"),
            (60_000, "1 min"),
            (190_000, "3 min 10 s"),
            (3_605_000, "1 h"),
            (3_900_000, "1 h 5 min"),
            (180_000_000, "2 d 2 h"),
        ] {
            assert_eq!(super::spoken(Duration::from_millis(ms)), spoken);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5x", "1m1h", "1s1s", "5s3", "٣s"] {
            assert_eq!(parse(text), Err(DurationError::Form(text.to_owned())), "{text}");
        }
        for text in ["366d", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse(text), Err(DurationError::TooLong(text.to_owned())), "{text}");
        }
        assert_eq!(
            parse("30").unwrap_err().to_string(),
            "`30` is not a duration; write a number and a unit, e.g. 250ms, 5s, 2m, 1h30m, 7d"
        );
    }
}
