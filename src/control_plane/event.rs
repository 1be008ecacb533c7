//! Events: what happened, told to whoever listens while it happens.
//!
//! Telling never waits. A listener that is too slow loses the oldest events and is told how many;
//! the journal, not the events, is the record. The latest ones are kept, so that a listener which
//! comes back can go on where it stopped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::broadcast;

use crate::model::name::Name;

/// Events a listener may have unread before it loses the oldest.
const UNREAD_MAX: usize = 1024;

/// Events kept for listeners that come back: minutes of a busy rollout, well below a megabyte.
const KEPT_MAX: usize = 256;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Event {
    /// Rises by one with every event of this process.
    pub seq: u64,
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// The service it concerns; `None` for the process.
    pub service: Option<Name>,
    /// A stable code for programs: `weights_set`, `drained`, `upstream_down`.
    pub kind: &'static str,
    /// One sentence for people.
    pub text: String,
    /// The numbers of the sentence.
    pub details: Value,
}

/// Where events are told. Clones tell to the same listeners.
#[derive(Debug, Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    listeners: broadcast::Sender<Arc<Event>>,
    /// A plain mutex: held for a push or a copy of 256 pointers, never over an await.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    seq: u64,
    latest: VecDeque<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        let (listeners, _) = broadcast::channel(UNREAD_MAX);
        Self { inner: Arc::new(Inner { listeners, kept: Mutex::default() }) }
    }
}

impl Events {
    /// Tells everybody who listens, and the program's own log.
    pub fn tell(&self, service: Option<&Name>, kind: &'static str, text: String, details: Value) {
        tracing::info!(kind, service = service.map(Name::as_str), "{text}");
        let mut kept = self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.seq += 1;
        let event = Event {
            seq: kept.seq,
            at: super::clock::unix_ms(),
            service: service.cloned(),
            kind,
            text,
            details,
        };
        let event = Arc::new(event);
        if kept.latest.len() == KEPT_MAX {
            kept.latest.pop_front();
        }
        kept.latest.push_back(Arc::clone(&event));
        // Sent under the lock, so that listeners get events in the order of their numbers. An error
        // says that nobody listens.
        let _ = self.inner.listeners.send(event);
    }

    /// Listens to what comes from now on. `RecvError::Lagged(n)` says how many were lost.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.inner.listeners.subscribe()
    }

    /// The kept events after number `seq`, and what comes after them, without a gap in between.
    pub fn since(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let kept = self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = self.inner.listeners.subscribe();
        (kept.latest.iter().filter(|event| event.seq > seq).cloned().collect(), listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(events: &Events, times: usize) {
        for _ in 0..times {
            events.tell(None, "started", "cyan has started".into(), Value::Null);
        }
    }

    #[test]
    fn who_comes_back_goes_on_without_a_gap() {
        let events = Events::default();
        tell(&events, KEPT_MAX + 10);
        let (missed, mut listener) = events.since(KEPT_MAX as u64 + 7);
        tell(&events, 1);
        let missed: Vec<u64> = missed.iter().map(|event| event.seq).collect();
        let first = KEPT_MAX as u64 + 8;
        assert_eq!(missed, [first, first + 1, first + 2]);
        assert_eq!(listener.try_recv().unwrap().seq, first + 3);
    }

    #[test]
    fn a_slow_listener_is_told_how_many_it_lost() {
        let events = Events::default();
        let mut slow = events.listen();
        tell(&events, UNREAD_MAX + 5);
        assert_eq!(slow.try_recv(), Err(broadcast::error::TryRecvError::Lagged(5)));
        assert_eq!(slow.try_recv().unwrap().seq, 6);
    }
}
