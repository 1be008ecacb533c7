//! Which environments are observed, and the notes of their exchanges that somebody will ask for.
//!
//! To ask for notes is to observe: the first question begins it on this core, and who has not asked for a
//! while observes no longer. So nothing has to be switched off, and a question that got lost does no harm.
//!
//! Nobody observes most of the time. Then an exchange pays for one look at a flag, which is always down.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::metrics::notes::{NoteReport, Notes};
use crate::model::environment::EnvironmentId;
use crate::model::note::Note;

/// Who has not asked for so long is gone. Four questions a second are usual.
const LEASE: Duration = Duration::from_secs(5);

/// The pairs of environments that are observed on one core.
#[derive(Debug, Default)]
pub struct Observed {
    is_any: Cell<bool>,
    pairs: RefCell<Vec<Pair>>,
}

/// An active environment and its candidate.
#[derive(Debug)]
struct Pair {
    environments: [EnvironmentId; 2],
    since: Instant,
    asked_at: Instant,
    notes: Notes,
}

impl Observed {
    /// Whether exchanges of this environment are to be noted.
    #[inline]
    pub fn has(&self, environment: EnvironmentId) -> bool {
        self.is_any.get() && self.pairs.borrow().iter().any(|pair| pair.has(environment))
    }

    /// Keeps a note for whoever observes its environment.
    pub fn note(&self, note: Note) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.iter_mut().find(|pair| pair.has(note.environment));
        if let Some(pair) = pair {
            pair.notes.add(note);
        }
    }

    /// Hands over the notes of two environments, and goes on noting.
    pub fn hand_over(&self, environments: [EnvironmentId; 2], now: Instant) -> NoteReport {
        self.expire(now);
        let mut pairs = self.pairs.borrow_mut();
        let known = pairs.iter().position(|pair| pair.environments == environments);
        let at = known.unwrap_or_else(|| {
            let notes = Notes::default();
            pairs.push(Pair { environments, since: now, asked_at: now, notes });
            pairs.len() - 1
        });
        self.is_any.set(true);
        let pair = &mut pairs[at];
        pair.asked_at = now;
        NoteReport { since: pair.since, until: now, notes: pair.notes.take() }
    }

    /// Forgets who has not asked for a while.
    pub fn expire(&self, now: Instant) {
        let mut pairs = self.pairs.borrow_mut();
        pairs.retain(|pair| now.saturating_duration_since(pair.asked_at) < LEASE);
        self.is_any.set(!pairs.is_empty());
    }
}

impl Pair {
    fn has(&self, environment: EnvironmentId) -> bool {
        self.environments.contains(&environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::note::What;

    #[test]
    fn to_ask_is_to_observe_and_to_stop_asking_ends_it() {
        let observed = Observed::default();
        let [blue, green, red] = [1, 2, 3].map(EnvironmentId);
        let note = |environment| Note::new(environment, (4, 9), None, What::Began, Duration::ZERO);
        observed.note(note(blue));
        let start = Instant::now();
        let first = observed.hand_over([blue, green], start);
        assert_eq!((first.since, first.until, first.notes.iter().count()), (start, start, 0));
        assert!(observed.has(blue) && observed.has(green) && !observed.has(red));
        [green, red].into_iter().for_each(|environment| observed.note(note(environment)));
        let later = start + LEASE / 2;
        let second = observed.hand_over([blue, green], later);
        assert_eq!((second.since, second.until), (start, later));
        assert_eq!(second.notes.iter().copied().collect::<Vec<_>>(), [note(green)]);
        observed.expire(later + LEASE);
        assert!(!observed.has(blue) && !observed.is_any.get());
        let again = observed.hand_over([blue, green], later + LEASE);
        assert_eq!(again.since, later + LEASE, "what was between is in no report");
    }
}
