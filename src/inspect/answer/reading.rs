//! The event that is being read, and what all before it said.

use super::facts::Facts;
use super::json_walk::{JsonWalk, Progress};
use super::tally::Tally;
use crate::model::api::Api;
use crate::model::response_id::ResponseId;

/// An answer as far as it has been read.
#[derive(Debug, Clone)]
pub struct Reading {
    walk: JsonWalk,
    facts: Facts,
    /// What the events so far said.
    pub tally: Tally,
}

impl Reading {
    /// Before the first byte of an answer to what was asked for.
    pub fn new(api: Api) -> Self {
        let tally = Tally::new(api);
        Self { walk: JsonWalk::new(), facts: Facts::before(&tally), tally }
    }

    /// The id of the response, as soon as it was read.
    pub fn response_id(&self) -> Option<ResponseId> {
        self.tally.response_id.or(self.facts.id)
    }

    /// The next bytes of the event's JSON.
    #[inline]
    pub fn push(&mut self, piece: &[u8]) {
        self.walk.push(piece, &mut self.facts);
    }

    /// The next bytes, up to the end of the event's JSON. Returns how many that are.
    pub fn push_value(&mut self, piece: &[u8]) -> usize {
        self.walk.push_value(piece, &mut self.facts)
    }

    /// How far the JSON of the event has come.
    pub fn progress(&self) -> Progress {
        self.walk.progress()
    }

    /// The last number of an event, this one included.
    pub fn sequence(&self) -> Option<u64> {
        self.facts.sequence.or(self.tally.sequence)
    }

    /// The event is over. It counts if it is one JSON and nothing else; returns what it is.
    pub fn end_of_event(&mut self) -> Progress {
        let progress = self.walk.end(&mut self.facts);
        match progress {
            Progress::Complete => self.tally.read(&self.facts),
            Progress::TooDeep => self.tally.is_given_up = true,
            Progress::Nothing | Progress::Open | Progress::Broken => {}
        }
        self.walk.restart();
        self.facts = Facts::before(&self.tally);
        progress
    }
}
