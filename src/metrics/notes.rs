//! Notes of single exchanges, from a core to whoever observes two environments.
//!
//! Bounded: what comes when a buffer is full is lost, and the reader is told which arrivals it was about,
//! so that it can leave them out on both sides.

use std::ops::Range;
use std::time::Instant;

use crate::model::note::Note;

/// Notes that wait on one core for one observer, who comes four times a second: 1 MB, enough for 50 000
/// requests per second.
pub const NOTES_MAX: usize = 1 << 15;

/// The notes that wait, and which are lost.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    kept: Vec<Note>,
    lost: Option<Range<u32>>,
    lost_count: u64,
}

/// What a core hands over.
#[derive(Debug, Clone)]
pub struct NoteReport {
    /// Exchanges that were given their environment before this are in no report.
    pub since: Instant,
    /// What happened before this is in this report, or in those before it.
    pub until: Instant,
    /// In the order in which it happened on this core.
    pub notes: Notes,
}

impl Notes {
    /// Keeps a note, if there is room.
    pub fn add(&mut self, note: Note) {
        if self.kept.len() < NOTES_MAX {
            self.kept.push(note);
            return;
        }
        let lost = self.lost.get_or_insert(note.arrived..note.arrived + 1);
        *lost = lost.start.min(note.arrived)..lost.end.max(note.arrived + 1);
        self.lost_count += 1;
    }

    /// What waits; the next ones begin anew.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let next = Self { kept: Vec::with_capacity(self.kept.len()), ..Self::default() };
        std::mem::replace(self, next)
    }

    /// The notes that were kept.
    pub fn iter(&self) -> impl Iterator<Item = &Note> {
        self.kept.iter()
    }

    /// From the oldest to the newest quarter of arrival that lost notes were about.
    pub fn lost(&self) -> Option<Range<u32>> {
        self.lost.clone()
    }

    /// How many were lost.
    pub fn lost_count(&self) -> u64 {
        self.lost_count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::environment::EnvironmentId;
    use crate::model::note::What;

    #[test]
    fn a_full_buffer_says_whose_notes_it_lost() {
        let mut notes = Notes::default();
        let note =
            |arrived| Note::new(EnvironmentId(1), (arrived, 1), None, What::Began, Duration::ZERO);
        (0..NOTES_MAX).for_each(|_| notes.add(note(3)));
        assert_eq!((notes.lost(), notes.lost_count()), (None, 0));
        [9, 5, 7].into_iter().for_each(|arrived| notes.add(note(arrived)));
        let taken = notes.take();
        assert_eq!((taken.iter().count(), taken.lost()), (NOTES_MAX, Some(5..10)));
        assert_eq!((taken.lost_count(), notes.lost_count()), (3, 0));
        assert_eq!(notes.iter().count(), 0);
    }
}
