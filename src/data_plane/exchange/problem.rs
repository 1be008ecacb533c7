//! Why attempts to reach an upstream failed: for operators, in the access log. Clients are told no addresses.

use super::Exchange;

/// Most characters that are kept of all attempts together.
const CHARS_MAX: usize = 300;

impl Exchange {
    /// Takes down why an attempt failed, where anybody is told of single exchanges.
    pub(super) fn note_problem(&mut self, problem: &str) {
        if !self.recorder.is_logging() {
            return;
        }
        let upstream = self.place.as_ref().and_then(|place| place.upstream.as_ref());
        let upstream = upstream.map(|(upstream, _)| upstream.spec.to_string()).unwrap_or_default();
        let before = self.problem.take().unwrap_or_default();
        self.problem = Some(joined(&before, &upstream, problem).into());
    }
}

/// The problems so far with one more, each behind the upstream that it was met at.
fn joined(before: &str, upstream: &str, problem: &str) -> String {
    let end = if before.is_empty() { "" } else { "; " };
    let is_named = upstream.is_empty() || problem.starts_with(upstream);
    let name = if is_named { String::new() } else { format!("{upstream}: ") };
    let text = format!("{before}{end}{name}{problem}");
    match text.char_indices().nth(CHARS_MAX) {
        Some(_) => text.chars().take(CHARS_MAX - 1).chain(['…']).collect(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_is_told_with_its_upstream_once() {
        let first = joined("", "http://a", "http://a: refused");
        assert_eq!(first, "http://a: refused");
        let second = joined(&first, "http://b", "no connection within 5 ms");
        assert_eq!(second, "http://a: refused; http://b: no connection within 5 ms");
    }

    #[test]
    fn it_stays_short_whatever_a_server_says() {
        let mut text = String::new();
        for _ in 0..20 {
            text = joined(&text, "http://a", &"ä".repeat(100));
        }
        assert_eq!((text.chars().count(), text.ends_with('…')), (CHARS_MAX, true));
    }
}
