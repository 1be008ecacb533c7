//! What one poll works with. Everything that runs on a core shares it, since nothing stays on it longer
//! than a poll: a stream that waits holds no buffer at all.

use super::date::Date;
use super::fields::Line;
use super::names::Names;
use crate::data_plane::exchange::edits::Edits;

/// Most bytes read from an upstream at once, and the longest head of an answer.
pub const INPUT_BYTES: usize = 60 * 1024;
/// A buffer that has grown beyond this is given back.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// The desk of one core.
pub struct Desk {
    /// What was just read from an upstream.
    pub input: Box<[u8]>,
    /// What is to be written next.
    pub output: Vec<u8>,
    /// Changes of the head at hand.
    pub edits: Edits,
    /// Lines of the answer at hand.
    pub lines: Vec<Line>,
    /// Header names by number.
    pub names: Names,
    /// The date.
    pub date: Date,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            input: vec![0; INPUT_BYTES].into(),
            output: Vec::new(),
            edits: Edits::default(),
            lines: Vec::new(),
            names: Names::default(),
            date: Date::default(),
        }
    }
}

impl Desk {
    /// Takes what lay there off.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.output.clear();
        self.output.shrink_to(KEPT_BYTES_MAX);
    }
}
