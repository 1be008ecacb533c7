//! What calls with an `Idempotency-Key` were answered, so that the same call again is not done again.
//!
//! Bounded: the 1 000 latest, for 24 hours, and only those that did something; who was refused may ask
//! again with the same key. In memory: what has to outlast the process stands beside what it did, as the
//! start of a rollout does (`StartKey`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};

use crate::rollout::start_key::StartKey;

/// Most calls that are remembered; each of them takes a few kilobytes.
pub(super) const CALLS_MAX: usize = 1_000;
/// How long they are.
pub(super) const AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// An answer that can be given again.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What is known of a call.
#[derive(Debug)]
pub(super) enum Known {
    /// Nothing; whoever holds this does it.
    New(Ticket),
    /// Its answer.
    Answered(Answer),
    /// It is being worked on.
    UnderWay,
    /// The key came with another call.
    OtherCall,
    /// As many calls as are remembered are being worked on.
    Full,
}

/// The calls that are remembered. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered {
    // Held for moments by the threads of one event loop, never over an await.
    calls: Arc<Mutex<VecDeque<Call>>>,
}

#[derive(Debug)]
struct Call {
    key: StartKey,
    began: Instant,
    /// `None` while it is worked on.
    answer: Option<Answer>,
}

/// The right to do a call. Without an answer, the call is forgotten when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    calls: Answered,
    key: StartKey,
}

impl Answered {
    /// What is known of this call at this moment.
    pub(super) fn ask(&self, key: &StartKey, now: Instant) -> Known {
        let mut calls = self.lock();
        calls.retain(|call| call.answer.is_none() || now.duration_since(call.began) < AGE_MAX);
        if let Some(call) = calls.iter().find(|call| call.key.key == key.key) {
            return match &call.answer {
                _ if call.key.digest != key.digest => Known::OtherCall,
                Some(answer) => Known::Answered(answer.clone()),
                None => Known::UnderWay,
            };
        }
        if calls.len() >= CALLS_MAX {
            let Some(oldest) = calls.iter().position(|call| call.answer.is_some()) else {
                return Known::Full;
            };
            calls.remove(oldest);
        }
        calls.push_back(Call { key: key.clone(), began: now, answer: None });
        Known::New(Ticket { calls: self.clone(), key: key.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Call>> {
        self.calls.lock().expect("nothing panics while it holds the calls")
    }
}

impl Ticket {
    /// Remembers the answer.
    pub(super) fn answered(self, answer: Answer) {
        let mut calls = self.calls.lock();
        if let Some(call) = calls.iter_mut().find(|call| call.key == self.key) {
            call.answer = Some(answer);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.calls.lock().retain(|call| call.answer.is_some() || call.key != self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, digest: &str) -> StartKey {
        StartKey { key: key.to_owned(), digest: digest.to_owned() }
    }

    fn answer() -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from_static(b"1") }
    }

    fn ticket(known: Known) -> Ticket {
        match known {
            Known::New(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_call_is_done_once() {
        let (calls, now) = (Answered::default(), Instant::now());
        let first = ticket(calls.ask(&key("a", "1"), now));
        assert!(matches!(calls.ask(&key("a", "1"), now), Known::UnderWay));
        first.answered(answer());
        assert!(matches!(calls.ask(&key("a", "1"), now), Known::Answered(_)));
        assert!(matches!(calls.ask(&key("a", "2"), now), Known::OtherCall));
        assert!(matches!(calls.ask(&key("a", "1"), now + AGE_MAX), Known::New(_)));
    }

    #[test]
    fn a_call_that_did_nothing_is_forgotten() {
        let (calls, now) = (Answered::default(), Instant::now());
        drop(ticket(calls.ask(&key("a", "1"), now)));
        assert!(matches!(calls.ask(&key("a", "2"), now), Known::New(_)));
    }

    #[test]
    fn the_oldest_answers_make_room_and_calls_under_way_do_not() {
        let (calls, now) = (Answered::default(), Instant::now());
        let ask = |number: usize| calls.ask(&key(&number.to_string(), ""), now);
        ticket(ask(0)).answered(answer());
        let mut under_way: Vec<_> = (1..CALLS_MAX).map(|number| ticket(ask(number))).collect();
        under_way.push(ticket(ask(CALLS_MAX)));
        assert!(matches!(ask(CALLS_MAX + 1), Known::Full));
        under_way.clear();
        assert!(matches!(ask(0), Known::New(_)));
    }
}
