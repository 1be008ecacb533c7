//! The `Date` of answers that bring none (RFC 9110, section 6.6.1), written once per second.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// A date as HTTP writes it.
pub struct Date {
    text: Vec<u8>,
    second: u64,
}

impl Default for Date {
    fn default() -> Self {
        let mut date = Self { text: Vec::new(), second: 0 };
        date.refresh(SystemTime::now());
        date
    }
}

impl Date {
    /// Writes it anew when another second has begun.
    pub fn refresh(&mut self, now: SystemTime) {
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if std::mem::replace(&mut self.second, second) != second {
            self.text.clear();
            // Writing into memory cannot fail.
            let _ = write!(self.text, "{}", httpdate::HttpDate::from(now));
        }
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_follows_the_clock_by_seconds() {
        let mut date = Date::default();
        date.refresh(UNIX_EPOCH + Duration::from_secs(784_111_777));
        assert_eq!(date.text(), b"Sun, 06 Nov 1994 08:49:37 GMT");
        date.refresh(UNIX_EPOCH + Duration::from_millis(784_111_778_999));
        assert_eq!(date.text(), b"Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
