//! What all events of an answer said so far.
//!
//! The dialects write it, the judgement reads it. It has the size it has: nothing in it grows with the
//! answer.

use super::choices::Choices;
use super::dialect::Dialect;
use super::facts::{Facts, Kind};
use super::reason::Reason;
use super::usage::Usage;
use crate::model::answer::Tokens;
use crate::model::api::Api;
use crate::model::response_id::ResponseId;

/// What an answer said so far.
#[expect(clippy::struct_excessive_bools, reason = "statements that may come in any combination")]
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// What was asked for.
    pub api: Api,
    /// An event of it was more than `{}`.
    pub is_filled: bool,
    /// What it is written in: the first dialect that was recognised.
    pub dialect: Option<Dialect>,
    /// Events that said something while no dialect was known.
    pub foreign_events: u32,
    /// Events that carried content.
    pub content_events: u32,
    /// Deltas that carried content: several in an event with several choices. The estimate of tokens.
    pub content_deltas: u64,
    /// The model refused in words.
    pub has_refusal: bool,
    /// The server said that it failed.
    pub has_error: bool,
    /// It did so by an event of that name, which means the same in any stream.
    pub has_error_event: bool,
    /// Why the model stopped, where there are no choices.
    pub reason: Option<Reason>,
    /// The choices.
    pub choices: Choices,
    /// The dialect's own last event came.
    pub has_ended: bool,
    /// `[DONE]` came: nothing after it counts.
    pub has_done_mark: bool,
    /// It rightly has no content: it is made elsewhere, or nothing was to be generated.
    pub is_without_words: bool,
    /// A part of it was not followed, because it was deeper or wider than what is kept of it.
    pub is_given_up: bool,
    /// The id of the response.
    pub response_id: Option<ResponseId>,
    /// The last number of an event, where events have numbers.
    pub sequence: Option<u64>,
    /// The tokens used.
    pub usage: Usage,
}

impl Tally {
    /// Nothing was said yet.
    pub fn new(api: Api) -> Self {
        Self { api, ..Self::default() }
    }

    /// Takes in a whole event.
    pub fn read(&mut self, facts: &Facts) {
        self.is_filled |= !facts.is_blank;
        self.sequence = facts.sequence.or(self.sequence);
        self.response_id = self.response_id.or(facts.id);
        self.has_error |= facts.has_error || facts.kind == Kind::Error;
        if let Some(dialect) = Dialect::of(facts, self) {
            self.dialect.get_or_insert(dialect);
            self.has_refusal |= facts.has_refusal;
            dialect.read(facts, self);
        } else if self.dialect.is_none() && !facts.is_blank && facts.kind != Kind::Ping {
            self.foreign_events = self.foreign_events.saturating_add(1);
        }
    }

    /// Whether it says something in words that nobody here knows, as far as has been read.
    pub fn is_foreign(&self) -> bool {
        self.dialect.is_none() && self.foreign_events > 0
    }

    /// An event carried content in so many deltas, perhaps in none.
    pub fn add_content(&mut self, deltas: u32) {
        self.content_events = self.content_events.saturating_add(u32::from(deltas > 0));
        self.content_deltas = self.content_deltas.saturating_add(u64::from(deltas));
    }

    /// The model stopped.
    pub fn stop(&mut self, reason: Option<Reason>) {
        self.reason = reason.or(self.reason);
        self.note_error(reason);
    }

    /// Choices as one event tells them.
    pub fn add_choices(&mut self, choices: &Choices) {
        self.choices.add(choices);
        self.is_given_up |= choices.is_overflowed();
        self.note_error(choices.worst());
    }

    /// Why the model stopped: of several choices, the worst.
    pub fn finish(&self) -> Option<Reason> {
        self.reason.or(self.choices.worst())
    }

    /// Whether no more content is to come, as far as the events so far tell.
    pub fn is_finished(&self) -> bool {
        let have_all_stopped = self.choices.is_any() && self.choices.have_all_finished();
        self.is_terminated() || self.reason.is_some() || have_all_stopped
    }

    /// Whether the terminator of the stream came, and not only why one choice of it stopped.
    pub fn is_terminated(&self) -> bool {
        self.has_done_mark || self.has_ended
    }

    /// The tokens; counted ones only where the answer came in pieces that can stand for them.
    pub fn tokens(&self, is_stream: bool) -> Tokens {
        let usage =
            if self.choices.are_several() { self.usage.without_timings() } else { self.usage };
        let Usage { cached, cache_read, cache_creation, .. } = usage;
        let (input, output) = (usage.input(), usage.output());
        let beside = match self.dialect {
            Some(Dialect::Messages) => {
                cache_read.unwrap_or(0).saturating_add(cache_creation.unwrap_or(0))
            }
            _ => 0,
        };
        let counted = (is_stream && self.content_deltas > 0).then_some(self.content_deltas);
        Tokens {
            input: input.map(|input| input.saturating_add(beside)),
            cached: cached.or(cache_read).or(usage.timed_cached),
            output: output.or(counted),
            is_output_estimated: output.is_none() && counted.is_some(),
        }
    }

    fn note_error(&mut self, reason: Option<Reason>) {
        self.has_error |= reason.is_some_and(|reason| reason.is_error);
    }
}
