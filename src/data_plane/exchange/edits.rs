//! What is to be changed in a head: a small list that the engine carries out.
//!
//! One list serves all requests of a core, one after the other, so that a request allocates nothing
//! for it once the list has grown to its usual size.

use std::ops::Range;

use crate::model::header_id::HeaderId;

/// One change of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Remove every value of a header.
    Remove(HeaderId),
    /// Remove a header that has no number, because a client made it up.
    RemoveNamed(Box<str>),
    /// Replace every value of a header by one.
    Set(HeaderId, ValueRange),
    /// Add a value to a header.
    Append(HeaderId, ValueRange),
}

/// Where a value lies in the list's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueRange(Range<usize>);

/// The changes of one head.
#[derive(Debug, Default)]
pub struct Edits {
    list: Vec<Edit>,
    bytes: Vec<u8>,
    path: Option<ValueRange>,
}

impl Edits {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
        self.path = None;
    }

    /// The changes, in the order in which they apply.
    pub fn iter(&self) -> impl Iterator<Item = &Edit> {
        self.list.iter()
    }

    /// The bytes of a value.
    pub fn value(&self, range: &ValueRange) -> &[u8] {
        &self.bytes[range.0.clone()]
    }

    /// The new path and query, if it changes.
    pub fn path(&self) -> Option<&[u8]> {
        self.path.as_ref().map(|range| self.value(range))
    }

    /// Removes a header.
    pub fn remove(&mut self, id: HeaderId) {
        self.list.push(Edit::Remove(id));
    }

    /// Removes a header by a name that came from a client.
    pub fn remove_named(&mut self, name: &str) {
        self.list.push(Edit::RemoveNamed(name.into()));
    }

    /// Sets a header to the pieces, joined.
    pub fn set(&mut self, id: HeaderId, pieces: &[&[u8]]) {
        let value = self.push(pieces);
        self.list.push(Edit::Set(id, value));
    }

    /// Adds a value to a header.
    pub fn append(&mut self, id: HeaderId, pieces: &[&[u8]]) {
        let value = self.push(pieces);
        self.list.push(Edit::Append(id, value));
    }

    /// Sets path and query to the pieces, joined.
    pub fn set_path(&mut self, pieces: &[&[u8]]) {
        self.path = Some(self.push(pieces));
    }

    fn push(&mut self, pieces: &[&[u8]]) -> ValueRange {
        let start = self.bytes.len();
        pieces.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
        ValueRange(start..self.bytes.len())
    }
}
