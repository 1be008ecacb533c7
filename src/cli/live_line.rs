//! Progress in one line: redrawn on a terminal; elsewhere a line for each change, and one a minute, so
//! that neither a log is flooded nor somebody thinks that nothing happens.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use super::terminal::Terminal;

/// Where lines do not replace each other, one is printed this often though nothing changes.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The line; it is wiped from a terminal when dropped.
#[derive(Debug)]
pub(super) struct LiveLine {
    redraws: bool,
    /// What stood for the last one, and when it was shown.
    last: Option<(String, Instant)>,
}

impl LiveLine {
    pub(super) fn on(terminal: Terminal) -> Self {
        Self { redraws: terminal.redraws, last: None }
    }

    /// Shows a line. Where it is not redrawn, only when `state` is another than that of the line before.
    pub(super) fn show(&mut self, state: &str, line: &str) {
        let now = Instant::now();
        if self.redraws {
            eprint!("\r\x1b[K{line}");
            // A line that cannot be shown is only progress lost.
            let _ = std::io::stderr().flush();
        } else if self.is_news(state, now) {
            eprintln!("{line}");
        } else {
            return;
        }
        self.last = Some((state.to_owned(), now));
    }

    fn is_news(&self, state: &str, now: Instant) -> bool {
        let Some((last, at)) = &self.last else { return true };
        last != state || now.saturating_duration_since(*at) >= TELL_EVERY
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        if self.redraws && self.last.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_news_and_so_is_a_minute() {
        let now = Instant::now();
        let line = |last: Option<&str>| LiveLine {
            redraws: false,
            last: last.map(|state| (state.to_owned(), now)),
        };
        assert!(line(None).is_news("5 %", now));
        assert!(line(Some("1 %")).is_news("5 %", now));
        assert!(!line(Some("5 %")).is_news("5 %", now + TELL_EVERY / 2));
        assert!(line(Some("5 %")).is_news("5 %", now + TELL_EVERY));
    }
}
