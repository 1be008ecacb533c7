//! When the streams of an upstream make it suspect, and when it is trusted again.
//!
//! Pure: what was seen goes in, what is thought of it comes out. Evidence is silence while streams are
//! open, all of them together: one that brings content speaks for the engine behind all the others, also
//! for those that wait for a long prefill. Without an open stream there is no evidence, so the clock
//! stands still; it does not start anew, or a hung server whose clients give up one by one would never
//! be found out.

use std::time::Duration;

use crate::model::progress::Streams;
use crate::model::upstream::{Probe, Trust};

/// While no open stream has had any content, silence may last so many times the limit: all of them may
/// be waiting for a long prompt to be read, or for a slot.
const PREFILL_FACTOR: u32 = 3;

/// How an upstream is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Longest silence; `None` for any.
    pub(super) silence_max: Option<Duration>,
    /// Time without a stream after which a suspect is tried.
    pub(super) cool_down: Duration,
}

/// What is seen of an upstream in one look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Its streams.
    pub(super) streams: Streams,
    /// What probes say.
    pub(super) probe: Probe,
    /// Time since the look before.
    pub(super) elapsed: Duration,
}

/// What is thought of one upstream.
#[derive(Debug)]
pub(super) struct Suspicion {
    state: State,
    last: Streams,
    last_probe: Probe,
    /// Time since the last content in which streams were open.
    silent: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trusted,
    /// No stream has been open for this long.
    Suspect {
        idle: Duration,
    },
    Trial,
}

impl Suspicion {
    /// An upstream that nothing speaks against, with streams as they are.
    pub(super) fn new(streams: Streams) -> Self {
        Self {
            state: State::Trusted,
            last: streams,
            last_probe: Probe::Unknown,
            silent: Duration::ZERO,
        }
    }

    /// Takes a look. Returns what is thought from now on, if it has changed.
    pub(super) fn look(&mut self, look: &Look, rule: &Rule) -> Option<Trust> {
        let before = self.trust();
        let has_content = look.streams.content_mark != self.last.content_mark;
        let is_open = look.streams.open() > 0;
        if has_content {
            self.silent = Duration::ZERO;
        } else if is_open {
            self.silent = self.silent.saturating_add(look.elapsed);
        }
        let has_returned = self.last_probe == Probe::Down && look.probe == Probe::Up;
        self.state = match self.state {
            _ if has_content || rule.silence_max.is_none() => State::Trusted,
            State::Trusted if is_open && self.is_too_long(look, rule) => {
                State::Suspect { idle: Duration::ZERO }
            }
            State::Trusted => State::Trusted,
            // A trial that is under way has no answer yet; content will say how it ended.
            State::Suspect { .. } | State::Trial if is_open => {
                State::Suspect { idle: Duration::ZERO }
            }
            // A server that was started anew has nothing to do with what its predecessor did.
            State::Suspect { .. } if has_returned => State::Trial,
            State::Suspect { idle } if idle + look.elapsed >= rule.cool_down => State::Trial,
            State::Suspect { idle } => State::Suspect { idle: idle + look.elapsed },
            State::Trial => State::Trial,
        };
        (self.last, self.last_probe) = (look.streams, look.probe);
        (self.trust() != before).then(|| self.trust())
    }

    /// What is thought now.
    pub(super) fn trust(&self) -> Trust {
        match self.state {
            State::Trusted => Trust::Trusted,
            State::Suspect { .. } => Trust::Suspect,
            State::Trial => Trust::Trial,
        }
    }

    /// The evidence in words; `said` is what the last probe was answered.
    pub(super) fn reason(&self, health: Option<(&str, &str)>) -> String {
        let (open, seconds) = (self.last.open(), self.silent.as_secs());
        let streams = if open == 1 { "stream" } else { "streams" };
        let though = match (self.last_probe, health) {
            (Probe::Up, Some((path, said))) => {
                let status = said.split(' ').next().unwrap_or_default();
                format!(", though {path} says {status}")
            }
            _ => String::new(),
        };
        match self.state {
            State::Trial => {
                format!("no content in {seconds} s of streams; the next request is a trial")
            }
            _ => format!("{open} {streams} open, no content for {seconds} s{though}"),
        }
    }

    /// One look more than the limit is granted: a client that takes nothing makes its stream look silent,
    /// and with equal limits it is let go first (`timeouts.write_stall`).
    fn is_too_long(&self, look: &Look, rule: &Rule) -> bool {
        let factor = if look.streams.begun > 0 { 1 } else { PREFILL_FACTOR };
        let max = rule.silence_max.map(|max| max.saturating_mul(factor) + look.elapsed);
        max.is_some_and(|max| self.silent >= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule =
        Rule { silence_max: Some(Duration::from_secs(60)), cool_down: Duration::from_secs(30) };

    /// A look a second: `(seconds, awaited, begun, content)` for so many looks, with content in the first.
    fn looks(suspicion: &mut Suspicion, rule: &Rule, seen: &[(u64, u32, u32, bool)]) -> Vec<Trust> {
        let mut changes = Vec::new();
        for &(seconds, awaited, begun, has_content) in seen {
            for second in 0..seconds {
                let content_mark =
                    suspicion.last.content_mark + u64::from(has_content && second == 0);
                let streams = Streams { awaited, begun, content_mark };
                let elapsed = Duration::from_secs(1);
                changes.extend(suspicion.look(&Look { streams, probe: Probe::Up, elapsed }, rule));
            }
        }
        changes
    }

    #[test]
    fn silence_of_all_streams_makes_suspect_and_content_ends_it() {
        use Trust::{Suspect, Trial, Trusted};
        for (what, seen, expected) in [
            ("short of the limit", vec![(61, 0, 3, true)], vec![]),
            ("at the limit", vec![(62, 0, 3, true)], vec![Suspect]),
            ("content on any stream", vec![(60, 5, 1, true), (60, 5, 1, true)], vec![]),
            ("a long prefill", vec![(180, 4, 0, false)], vec![]),
            ("too long a prefill", vec![(181, 4, 0, false)], vec![Suspect]),
            (
                "a prefill beside a stream that stopped",
                vec![(1, 0, 1, true), (61, 3, 1, false)],
                vec![Suspect],
            ),
            ("nothing open", vec![(1, 0, 1, true), (900, 0, 0, false)], vec![]),
            (
                "clients that give up",
                vec![(1, 0, 0, true), (100, 1, 0, false), (500, 0, 0, false), (81, 1, 0, false)],
                vec![Suspect],
            ),
            ("content comes", vec![(62, 0, 2, true), (1, 0, 2, true)], vec![Suspect, Trusted]),
            ("streams stay", vec![(62, 0, 2, true), (900, 0, 2, false)], vec![Suspect]),
            ("streams end, not yet cool", vec![(62, 0, 2, true), (29, 0, 0, false)], vec![Suspect]),
            ("streams end", vec![(62, 0, 2, true), (30, 0, 0, false)], vec![Suspect, Trial]),
            (
                "the trial is answered",
                vec![(62, 0, 2, true), (30, 0, 0, false), (1, 0, 1, true)],
                vec![Suspect, Trial, Trusted],
            ),
            (
                "the trial hangs",
                vec![(62, 0, 2, true), (30, 0, 0, false), (9, 1, 0, false), (30, 0, 0, false)],
                vec![Suspect, Trial, Suspect, Trial],
            ),
        ] {
            let mut suspicion = Suspicion::new(Streams::default());
            assert_eq!(looks(&mut suspicion, &RULE, &seen), expected, "{what}");
        }
    }

    #[test]
    fn a_server_started_anew_is_tried_at_once() {
        let mut suspicion = Suspicion::new(Streams::default());
        looks(&mut suspicion, &RULE, &[(62, 0, 2, true)]);
        let streams = Streams { awaited: 0, begun: 0, ..suspicion.last };
        let elapsed = Duration::from_secs(1);
        let mut look = |probe| suspicion.look(&Look { streams, probe, elapsed }, &RULE);
        assert_eq!((look(Probe::Down), look(Probe::Up)), (None, Some(Trust::Trial)));
    }

    #[test]
    fn without_a_limit_nobody_is_suspect() {
        let rule = Rule { silence_max: None, ..RULE };
        let mut suspicion = Suspicion::new(Streams::default());
        assert_eq!(looks(&mut suspicion, &rule, &[(900, 0, 2, true)]), []);
        assert_eq!(looks(&mut suspicion, &RULE, &[(1, 0, 2, false)]), [Trust::Suspect]);
        assert_eq!(looks(&mut suspicion, &rule, &[(1, 0, 2, false)]), [Trust::Trusted]);
    }

    #[test]
    fn the_reason_names_the_evidence() {
        let mut suspicion = Suspicion::new(Streams::default());
        looks(&mut suspicion, &RULE, &[(1, 0, 12, true), (63, 0, 12, false)]);
        let reason = suspicion.reason(Some(("/health", "200 in 3 ms")));
        assert_eq!(reason, "12 streams open, no content for 63 s, though /health says 200");
        looks(&mut suspicion, &RULE, &[(1, 1, 0, false)]);
        assert_eq!(suspicion.reason(None), "1 stream open, no content for 64 s");
        looks(&mut suspicion, &RULE, &[(30, 0, 0, false)]);
        let on_trial = "no content in 64 s of streams; the next request is a trial";
        assert_eq!(suspicion.reason(None), on_trial);
    }
}
