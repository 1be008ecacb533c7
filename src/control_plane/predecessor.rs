//! What the process that was taken over still serves.
//!
//! It finishes its streams for minutes, on the same upstreams, and its counts are not ours: a zero here
//! would say that nobody needs an environment whose streams go on there. So whoever acts on a zero adds
//! what is counted here. Until that process has told, each environment counts as one exchange.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::name::Name;

/// Exchanges in flight by service and environment; who has none may be left out.
pub type InFlightByEnvironment = BTreeMap<String, BTreeMap<String, u32>>;

/// The process that was taken over, if there was one. Clones tell of the same one.
#[derive(Debug, Clone, Default)]
pub struct Predecessor {
    // A watch, since the end of that process is waited for; its lock is held for a look.
    serves: Arc<watch::Sender<Serves>>,
}

#[derive(Debug, Default)]
enum Serves {
    /// It has ended, or there was none.
    #[default]
    Nothing,
    /// It has not told yet.
    Unknown,
    Told(InFlightByEnvironment),
}

impl Predecessor {
    /// It has handed over, and finishes what it has in flight.
    pub fn lives(&self) {
        self.serves.send_replace(Serves::Unknown);
    }

    /// It has told what is in flight there.
    pub fn tells(&self, in_flight: InFlightByEnvironment) {
        self.serves.send_replace(Serves::Told(in_flight));
    }

    /// It has ended, and everything with it.
    pub fn has_ended(&self) {
        self.serves.send_replace(Serves::Nothing);
    }

    /// Waits until it has ended. Cancel safe.
    pub async fn ended(&self) {
        // The sender is in `self`, so that it cannot be gone.
        let _ = self.serves.subscribe().wait_for(|serves| matches!(serves, Serves::Nothing)).await;
    }

    /// Exchanges that it has in flight in one environment.
    pub(super) fn in_flight(&self, service: &Name, environment: &Name) -> u32 {
        match &*self.serves.borrow() {
            Serves::Nothing => 0,
            Serves::Unknown => 1,
            Serves::Told(counts) => {
                let service = counts.get(service.as_str());
                service.and_then(|counts| counts.get(environment.as_str())).copied().unwrap_or(0)
            }
        }
    }

    /// All that it has told, to be told on; `None` while it has not.
    pub(super) fn told(&self) -> Option<InFlightByEnvironment> {
        match &*self.serves.borrow() {
            Serves::Nothing => Some(InFlightByEnvironment::new()),
            Serves::Unknown => None,
            Serves::Told(counts) => Some(counts.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_to_be_over_until_it_was_told_or_has_ended() {
        let name = |text: &str| Name::new(text).unwrap();
        let predecessor = Predecessor::default();
        let counts = |service: &str| {
            ["blue", "green"].map(|e| predecessor.in_flight(&name(service), &name(e)))
        };
        assert_eq!(counts("chat"), [0, 0]);
        predecessor.lives();
        assert_eq!((counts("chat"), predecessor.told()), ([1, 1], None));
        let told = BTreeMap::from([("green".to_owned(), 3)]);
        predecessor.tells(BTreeMap::from([("chat".to_owned(), told)]));
        assert_eq!((counts("chat"), counts("other")), ([0, 3], [0, 0]));
        predecessor.has_ended();
        assert_eq!(counts("chat"), [0, 0]);
    }
}
