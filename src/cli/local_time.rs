//! The time of day as the clock on the reader's wall shows it.

use std::mem::MaybeUninit;

use crate::model::rfc3339;

/// `14:18:02`, of a moment in milliseconds of Unix time; with `UTC` behind it where no zone is known.
pub(super) fn time_of_day(unix_ms: u64) -> String {
    local(unix_ms).unwrap_or_else(|| {
        let stamp = rfc3339::format(unix_ms);
        format!("{} UTC", stamp.get(11..19).unwrap_or(&stamp))
    })
}

fn local(unix_ms: u64) -> Option<String> {
    let seconds = libc::time_t::try_from(unix_ms / 1000).ok()?;
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and a struct of zeros is a valid `tm`.
    let is_known = unsafe { !libc::localtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() };
    // SAFETY: it was all zeros, and is still a `tm` whatever of it was written.
    let parts = unsafe { parts.assume_init() };
    is_known.then(|| format!("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec))
}

/// The same, now.
pub(super) fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    time_of_day(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_seconds_are_those_of_a_clock() {
        let shown = time_of_day(1_000_000_005_000);
        assert_eq!((shown.len(), shown.get(6..)), (8, Some("45")), "{shown}");
    }
}
