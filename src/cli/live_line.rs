//! Progress in one line: redrawn on a terminal; elsewhere a line for each change, and one a minute, so
//! that neither a log is flooded nor somebody thinks that nothing happens.

use std::time::Duration;

use ratatui::crossterm;
use tokio::time::Instant;

use super::terminal::{Terminal, say, write_beside};
use crate::model::printable::printable;

/// Where lines do not replace each other, one is printed this often though nothing changes.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// To the beginning of the line, and nothing in it.
const WIPE: &str = "\r\x1b[K";

/// How often passing seconds are counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// The line; it is wiped from a terminal when dropped.
#[derive(Debug)]
pub(super) struct LiveLine {
    redraws: bool,
    is_silent: bool,
    /// What stood for the last one, and when it was shown.
    last: Option<(String, Instant)>,
}

impl LiveLine {
    /// A line on standard error; `is_silent` shows none at all.
    pub(super) fn new(terminal: Terminal, is_silent: bool) -> Self {
        Self { redraws: terminal.redraws, is_silent, last: None }
    }

    /// Shows a line. Where it is not redrawn, only when `state` is another than that of the line before.
    pub(super) fn show(&mut self, state: &str, line: &str) {
        let now = Instant::now();
        if self.is_silent {
            return;
        }
        if self.redraws {
            write_beside(&format!("{WIPE}{}", fitting(&printable(line), columns())));
        } else if self.is_news(state, now) {
            say(line);
        } else {
            return;
        }
        self.last = Some((state.to_owned(), now));
    }

    /// Leaves a line above: what is finished stays readable. Where lines are not redrawn, it stands there.
    pub(super) fn finish(&mut self, line: &str) {
        if self.redraws && !self.is_silent {
            write_beside(WIPE);
            say(line);
        }
    }

    /// Tells something beside it, once.
    pub(super) fn remark(&mut self, text: &str) {
        if self.is_silent {
            return;
        }
        if self.redraws {
            write_beside(WIPE);
        }
        say(text);
    }

    /// Says for how long something has been going on, while it is.
    pub(super) async fn during<T>(mut self, what: &str, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(COUNT_EVERY) => {
                    self.show(what, &format!("{what}, {} s", began.elapsed().as_secs()));
                }
            }
        }
    }

    fn is_news(&self, state: &str, now: Instant) -> bool {
        let Some((last, at)) = &self.last else { return true };
        last != state || now.saturating_duration_since(*at) >= TELL_EVERY
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        if self.redraws && self.last.is_some() {
            write_beside(WIPE);
        }
    }
}

/// As many columns as the terminal has; 80 where it does not say.
fn columns() -> usize {
    crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns))
}

/// A line that wraps could not be wiped again: what is too much is left out.
fn fitting(line: &str, columns: usize) -> String {
    if line.chars().count() < columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(4)).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_news_and_so_is_a_minute() {
        let now = Instant::now();
        let line = |last: Option<&str>| LiveLine {
            redraws: false,
            is_silent: false,
            last: last.map(|state| (state.to_owned(), now)),
        };
        assert!(line(None).is_news("5 %", now));
        assert!(line(Some("1 %")).is_news("5 %", now));
        assert!(!line(Some("5 %")).is_news("5 %", now + TELL_EVERY / 2));
        assert!(line(Some("5 %")).is_news("5 %", now + TELL_EVERY));
    }

    #[test]
    fn a_line_leaves_the_last_column_free() {
        for (columns, shown) in [(6, "12345"), (5, "1..."), (2, "...")] {
            assert_eq!(fitting("12345", columns), shown);
        }
    }
}
