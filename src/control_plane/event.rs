//! Events: what happened, told to whoever listens while it happens.
//!
//! Telling never waits. A listener that is too slow loses the oldest events and is told how many;
//! the journal, not the events, is the record. The latest ones are kept, so that a listener which
//! comes back can go on where it stopped, or is told that it cannot.
//!
//! Numbers begin at the time of the start in milliseconds, so that they rise over restarts and takeovers too:
//! no process tells a thousand events a second for as long as it lives. (They stay below 2^53, which programs
//! that read JSON need, for 285 000 years.)

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
    /// Rises by one with every event of this process; the next process begins above.
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

#[derive(Debug)]
struct Kept {
    /// Before the first event of this process.
    begin: u64,
    /// The latest one.
    seq: u64,
    latest: VecDeque<Arc<Event>>,
}

/// Why not everything since a number can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// So many are not kept any more.
    Forgotten(u64),
    /// Another process has told that number, and nobody knows what else it has told.
    OtherProcess,
}

/// What was told since a number, and what comes after it, without a gap in between.
#[derive(Debug)]
pub struct Since {
    /// Those that are kept, in their order.
    pub kept: Vec<Arc<Event>>,
    /// What is missing before them.
    pub gap: Option<Gap>,
    /// Those to come.
    pub coming: broadcast::Receiver<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self::after(super::clock::unix_ms())
    }
}

impl Kept {
    fn gap(&self, seq: u64) -> Option<Gap> {
        let oldest = self.latest.front().map_or(self.seq + 1, |event| event.seq);
        if seq == 0 || (oldest - 1..=self.seq).contains(&seq) {
            return None;
        }
        let is_ours = (self.begin..=self.seq).contains(&seq);
        Some(if is_ours { Gap::Forgotten(oldest - 1 - seq) } else { Gap::OtherProcess })
    }
}

impl Events {
    /// Nothing told yet; the first one will have the number after this one.
    fn after(begin: u64) -> Self {
        let (listeners, _) = broadcast::channel(UNREAD_MAX);
        let kept = Kept { begin, seq: begin, latest: VecDeque::new() };
        Self { inner: Arc::new(Inner { listeners, kept: Mutex::new(kept) }) }
    }

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

    /// The kept events after number `seq`, and what comes after them; after 0, everything that is kept.
    pub fn since(&self, seq: u64) -> Since {
        let kept = self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let coming = self.inner.listeners.subscribe();
        let gap = kept.gap(seq);
        // A clock that was set back has this process count below the one before.
        let after = if gap == Some(Gap::OtherProcess) { 0 } else { seq };
        let events = kept.latest.iter().filter(|event| event.seq > after).cloned().collect();
        Since { kept: events, gap, coming }
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

    fn numbers(since: &Since) -> Vec<u64> {
        since.kept.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn who_comes_back_goes_on_without_a_gap() {
        let events = Events::after(1_000);
        tell(&events, KEPT_MAX + 10);
        let last = 1_000 + KEPT_MAX as u64 + 10;
        let mut since = events.since(last - 3);
        tell(&events, 1);
        assert_eq!((numbers(&since), since.gap), (vec![last - 2, last - 1, last], None));
        assert_eq!(since.coming.try_recv().unwrap().seq, last + 1);
    }

    /// Every process counted from 1: who came back after a restart with a higher number heard nothing, and
    /// was not told.
    #[test]
    fn who_cannot_go_on_is_told() {
        let events = Events::after(1_000);
        assert_eq!(events.since(1_000).gap, None, "the first one is still to come");
        tell(&events, KEPT_MAX + 10);
        let last = 1_000 + KEPT_MAX as u64 + 10;
        for (seq, gap, kept) in [
            (0, None, KEPT_MAX),
            (999, Some(Gap::OtherProcess), KEPT_MAX),
            (1_000, Some(Gap::Forgotten(10)), KEPT_MAX),
            (1_009, Some(Gap::Forgotten(1)), KEPT_MAX),
            (1_010, None, KEPT_MAX),
            (last, None, 0),
            (last + 1, Some(Gap::OtherProcess), KEPT_MAX),
        ] {
            let since = events.since(seq);
            assert_eq!((since.gap, since.kept.len()), (gap, kept), "{seq}");
        }
    }

    #[test]
    fn a_slow_listener_is_told_how_many_it_lost() {
        let events = Events::after(0);
        let mut slow = events.listen();
        tell(&events, UNREAD_MAX + 5);
        assert_eq!(slow.try_recv(), Err(broadcast::error::TryRecvError::Lagged(5)));
        assert_eq!(slow.try_recv().unwrap().seq, 6);
    }
}
