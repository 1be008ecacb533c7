//! Which environment gave an answer that a client may go on with, over all cores, without a lock.
//!
//! A server of the Responses API keeps its answers, and a request that names one (`previous_response_id`)
//! means nothing to another. The table is of a fixed size: the last 65 536 answers, 544 KiB, made when the
//! first is noted. The hash of an id gives it a group of sixteen places, in which the newest takes the place
//! of the oldest; so an answer is forgotten after 65 536 newer ones on average, and hardly ever before half
//! of that.
//!
//! A place is one atomic word: 32 bits that tell ids apart, and 32 of the environment's number.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::model::environment::EnvironmentId;
use crate::model::response_id::ResponseId;

/// Places of a group.
const WAYS: usize = 16;
/// Groups; a power of two.
const GROUPS: usize = 1 << 12;

/// Who gave which answer.
#[derive(Debug, Default)]
pub struct Conversations {
    groups: OnceLock<Box<[Group]>>,
}

/// The last answers of those whose ids share it. Zero is a free place.
#[derive(Debug, Default)]
struct Group {
    noted: AtomicU32,
    places: [AtomicU64; WAYS],
}

// All orderings below are relaxed: a word is all there is of an answer, and orders nothing else.

impl Conversations {
    /// Nothing was ever noted.
    pub fn are_none(&self) -> bool {
        self.groups.get().is_none()
    }

    /// This environment gave the answer.
    pub fn note(&self, answer: ResponseId, environment: EnvironmentId) {
        let new = || (0..GROUPS).map(|_| Group::default()).collect();
        let group = &self.groups.get_or_init(new)[number(answer)];
        let oldest = group.noted.fetch_add(1, Ordering::Relaxed) as usize % WAYS;
        let word = tag(answer) | (u64::from(environment.0) + 1);
        group.places[oldest].store(word, Ordering::Relaxed);
    }

    /// The environment that gave the answer, if it is still known.
    pub fn maker(&self, answer: ResponseId) -> Option<EnvironmentId> {
        let group = &self.groups.get()?[number(answer)];
        let words = group.places.iter().map(|place| place.load(Ordering::Relaxed));
        let (_, number) = words
            .map(|word| (word >> 32 << 32, word & u64::from(u32::MAX)))
            .find(|(found, number)| *found == tag(answer) && *number > 0)?;
        u32::try_from(number - 1).ok().map(EnvironmentId)
    }
}

/// The bits that tell ids of a group apart.
fn tag(answer: ResponseId) -> u64 {
    answer.0 >> 32 << 32
}

/// The group of an id.
fn number(answer: ResponseId) -> usize {
    usize::try_from(answer.0 % GROUPS as u64).expect("a remainder of 4096")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ResponseId {
        ResponseId::of(format!("resp_{number}").as_bytes()).unwrap()
    }

    #[test]
    fn who_gave_an_answer_is_known_and_of_other_answers_nobody() {
        let conversations = Conversations::default();
        assert!(conversations.are_none() && conversations.maker(id(0)).is_none());
        conversations.note(id(0), EnvironmentId(0));
        conversations.note(id(1), EnvironmentId(7));
        assert!(!conversations.are_none());
        assert_eq!(conversations.maker(id(0)), Some(EnvironmentId(0)));
        assert_eq!(conversations.maker(id(1)), Some(EnvironmentId(7)));
        assert_eq!((2..10_000).find_map(|other| conversations.maker(id(other))), None);
    }

    #[test]
    fn the_newest_take_the_places_of_the_oldest() {
        let conversations = Conversations::default();
        let count = GROUPS * WAYS;
        (0..2 * count).for_each(|answer| conversations.note(id(answer), EnvironmentId(1)));
        let known = |from: usize| {
            (from..from + count / 2).filter(|n| conversations.maker(id(*n)).is_some()).count()
        };
        assert!(known(3 * count / 2) > count / 2 * 98 / 100, "{}", known(3 * count / 2));
        assert!(known(0) < count / 2 / 100, "{}", known(0));
    }

    #[test]
    fn it_is_as_large_as_is_said() {
        assert_eq!(GROUPS * size_of::<Group>(), 544 << 10);
    }
}
