//! The choices of an answer (`n` > 1): which were seen, which have come to an end, and why.
//!
//! A set of bits each, for the first 128 indices; that is as many as `OpenAI` allows. A server that uses
//! a higher index is not followed.

use super::reason::Reason;

/// How many choices are told apart.
const COUNT: u64 = 128;

/// What is known of the choices, by one event or by all.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    seen: u128,
    finished: u128,
    /// The worst reason of those that have one.
    worst: Option<Reason>,
    /// How many of them brought content.
    with_content: u32,
    /// One of them has what only those of a model have.
    is_of_model: bool,
    /// One had an index that is too high.
    is_overflowed: bool,
    /// The one that is being read.
    current: Choice,
    /// How many there were, for those that do not say their index.
    count: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Choice {
    index: u64,
    reason: Option<Reason>,
    has_content: bool,
}

impl Choices {
    /// A choice begins.
    pub fn begin(&mut self) {
        self.current = Choice { index: self.count, ..Choice::default() };
        self.count += 1;
    }

    /// The index of the one that began.
    pub fn index(&mut self, index: Option<u64>) {
        self.current.index = index.unwrap_or(self.current.index);
    }

    /// It has what only those of a model have: `delta`, `message`, or `finish_reason`, even without a value.
    pub fn hear(&mut self) {
        self.is_of_model = true;
    }

    /// Why it ended, if it has.
    pub fn finish(&mut self, reason: Option<Reason>) {
        self.hear();
        self.current.reason = reason;
    }

    /// It says something.
    pub fn add_content(&mut self) {
        self.current.has_content = true;
    }

    /// The choice that began is read to its end.
    pub fn end(&mut self) {
        let Choice { index, reason, has_content } = self.current;
        self.with_content += u32::from(has_content);
        self.note(index, reason);
    }

    /// A choice, and why it ended, if it has.
    pub fn note(&mut self, index: u64, reason: Option<Reason>) {
        if index >= COUNT {
            self.is_overflowed = true;
            return;
        }
        self.seen |= 1 << index;
        if let Some(reason) = reason {
            self.finished |= 1 << index;
            self.worst = Some(self.worst.map_or(reason, |worst| worst.or_worse(reason)));
        }
    }

    /// Adds what a later event says.
    pub fn add(&mut self, later: &Self) {
        self.seen |= later.seen;
        self.finished |= later.finished;
        self.is_overflowed |= later.is_overflowed;
        self.with_content = self.with_content.saturating_add(later.with_content);
        self.worst = match (self.worst, later.worst) {
            (Some(one), Some(other)) => Some(one.or_worse(other)),
            (one, other) => one.or(other),
        };
    }

    /// Whether there was any.
    pub fn is_any(&self) -> bool {
        self.seen != 0
    }

    /// Whether they are those of a model, and not what another service calls so.
    pub fn are_of_model(&self) -> bool {
        self.is_of_model
    }

    /// Whether there was more than one.
    pub fn are_several(&self) -> bool {
        self.seen.count_ones() > 1
    }

    /// Whether all that were seen have ended.
    pub fn have_all_finished(&self) -> bool {
        self.seen == self.finished
    }

    /// Whether one was not followed.
    pub fn is_overflowed(&self) -> bool {
        self.is_overflowed
    }

    /// Why they ended: the worst reason.
    pub fn worst(&self) -> Option<Reason> {
        self.worst
    }

    /// How many brought content.
    pub fn with_content(&self) -> u32 {
        self.with_content
    }
}
