//! Moments as RFC 3339 writes them, in UTC: `2026-11-21T14:21:07.042Z`.
//!
//! A few lines of calendar instead of a crate: stamps are printed, and read in one place.

/// A moment in milliseconds of Unix time.
pub fn format(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The moment that a text says, in milliseconds of Unix time; `None` for what is none, or lies before 1970.
/// The offset may be `Z` or `+01:00`; fractions of a second are dropped.
pub fn parse(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<u64> {
        let digits = bytes.get(from..from + len)?;
        let all_digits = digits.iter().all(u8::is_ascii_digit);
        all_digits.then(|| digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
    };
    let separators = [(4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":")];
    if separators.iter().any(|(at, byte)| bytes.get(*at) != byte.first()) {
        return None;
    }
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = day_number(number(0, 4)?, number(5, 2)?, number(8, 2)?)?;
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    let rest = text.get(19..)?;
    let fraction =
        rest.strip_prefix('.').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let ahead = offset_s(fraction.unwrap_or(rest))?;
    u64::try_from(i64::try_from(local).ok()? - ahead).ok()?.checked_mul(1000)
}

/// How far a clock is ahead of UTC: `Z`, `+05:30`.
fn offset_s(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, time) = match text.split_at_checked(1)? {
        ("+", time) => (1, time),
        ("-", time) => (-1, time),
        _ => return None,
    };
    let (hours, minutes) = time.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes))
        .then_some(sign * (hours * 3600 + minutes * 60))
}

/// The way back from `civil`; `None` for days that there are not.
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year_from_march, month_from_march) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, in_era) = (year_from_march / 400, year_from_march % 400);
    let in_year = (153 * month_from_march + 2) / 5 + day;
    let since = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    let days = since.checked_sub(719_469)?;
    (civil(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of a day counted from 1970. Years begin in March here, so that the day a leap
/// year adds is its last one; they repeat every 400 years, which are 146 097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let since = days + 719_468; // days from 0000-03-01 to 1970-01-01
    let (era, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // months from March have 31 30 31 30 31 days, twice
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        // `date -u -d @SECONDS` says the same.
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_767_225_599_001, "2025-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(format(unix_ms), expected);
        }
    }

    #[test]
    fn what_was_printed_reads_back_and_offsets_count() {
        for unix_ms in [0, 951_782_400_000, 1_709_164_800_000, 4_107_542_400_000] {
            assert_eq!(parse(&format(unix_ms)), Some(unix_ms));
        }
        for (text, expected) in [
            ("2026-11-23T08:00:00Z", Some(1_795_420_800_000)),
            ("2026-11-23T08:00:00+01:00", Some(1_795_417_200_000)),
            ("2026-11-23T08:00:00.5-05:30", Some(1_795_440_600_000)),
            ("2026-02-29T08:00:00Z", None),
            ("2026-13-01T08:00:00Z", None),
            ("2026-11-23 08:00:00Z", None),
            ("2026-11-23T24:00:00Z", None),
            ("2026-11-23T08:00:00", None),
            ("2026-11-23T08:00:00é", None),
            ("tomorrow", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
