//! A request, and what its client tells of it.

use std::fmt;
use std::time::Instant;

use super::script::Script;

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Its number, unlike all others.
    pub number: u64,
    /// What its upstream is to do.
    pub script: Script,
    /// When its client leaves before its end.
    pub leaves: Option<Leave>,
    /// Its client takes its time.
    pub is_slow: bool,
    /// It goes to the service with short limits.
    pub is_brisk: bool,
    /// Whose it is.
    pub user: u32,
}

/// When a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// After so many bytes of its own body.
    Upload(usize),
    /// While it waits for an answer.
    Waiting,
    /// After so many bytes of the answer.
    Answer(usize),
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As the framing says.
    Whole,
    /// In the middle of the answer, and not as a clean end.
    Broken,
    /// Before any answer.
    Nothing,
    /// The client left.
    Left,
    /// Not at all, for longer than anybody waits.
    Hung,
}

/// What a client tells of a request.
#[derive(Debug, Clone)]
pub struct Told {
    /// The request.
    pub ask: Ask,
    /// How it was sent.
    pub via: &'static str,
    /// When it was sent.
    pub began: Instant,
    /// When it had ended.
    pub ended: Instant,
    /// The status of the answer.
    pub status: Option<u16>,
    /// An upstream has answered, not Cyan itself.
    pub is_upstreams: bool,
    /// How much of the body came.
    pub received: usize,
    /// The first byte that is not as it should be.
    pub wrong_at: Option<usize>,
    /// How it ended.
    pub end: End,
    /// What Cyan itself answered.
    pub words: String,
}

/// The request's story, as far as its client knows it.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ask, via, status, received, wrong_at, end, words, .. } = self;
        let took = self.ended.saturating_duration_since(self.began);
        write!(
            f,
            "{ask:?} over {via}: {status:?} and {received} bytes in {took:?}, ended {end:?}"
        )?;
        if let Some(at) = wrong_at {
            write!(f, ", wrong at byte {at}")?;
        }
        if self.is_upstreams { Ok(()) } else { write!(f, ", Cyan says: {words}") }
    }
}

impl Told {
    /// Whether it was answered as if nothing had been.
    pub fn is_well(&self) -> bool {
        self.end == End::Whole
            && self.is_upstreams
            && self.ask.script.finishes()
            && self.status == Some(self.ask.script.status())
    }
}
