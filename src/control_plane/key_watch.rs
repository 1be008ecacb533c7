//! Watches for sticky keys that carry so much of a service's traffic that a step cannot be kept.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::event::Events;
use crate::metrics::heavy_keys::HeavyKeys;
use crate::model::name::Name;
use crate::model::snapshot::Snapshot;

/// Collections that make up one period; there is one a second.
const PERIOD: u32 = 60;
/// Requests looked at before anything is said.
const SEEN_MIN: u64 = 200;
/// The step that is thought of while the candidate has no traffic: the second of the usual ramp.
const USUAL_STEP: f64 = 0.05;

/// The heaviest key of a service, where it is too heavy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeavyKey {
    /// Its share of the requests, 0 to 1.
    pub share: f64,
    /// The step that it makes impossible, 0 to 1.
    pub step: f64,
}

/// What the cores saw in this period and the one before.
#[derive(Debug, Default)]
pub(super) struct KeyWatch {
    now: HashMap<Name, HeavyKeys>,
    before: HashMap<Name, HeavyKeys>,
    age: u32,
    heavy: BTreeMap<Name, HeavyKey>,
}

impl KeyWatch {
    /// Adds what a core saw.
    pub(super) fn add(&mut self, seen: &HashMap<Name, HeavyKeys>) {
        for (service, keys) in seen {
            self.now.entry(service.clone()).or_default().merge(keys);
        }
    }

    /// Judges, once a second, and tells of keys that have become too heavy.
    pub(super) fn judge(
        &mut self,
        snapshot: &Snapshot,
        events: &Events,
    ) -> BTreeMap<Name, HeavyKey> {
        self.age += 1;
        if self.age >= PERIOD {
            self.age = 0;
            self.before = std::mem::take(&mut self.now);
        }
        let mut heavy = BTreeMap::new();
        for table in snapshot.tables() {
            let service = &table.service.name;
            let mut keys = self.before.get(service).cloned().unwrap_or_default();
            if let Some(now) = self.now.get(service) {
                keys.merge(now);
            }
            let candidate = table
                .partner()
                .map_or(0.0, |partner| table.weight(partner.name()).percent() / 100.0);
            if let Some(key) = too_heavy(&keys, candidate) {
                if !self.heavy.contains_key(service) {
                    let details =
                        json!({ "share": key.share, "step": key.step, "seen": keys.seen() });
                    events.tell(Some(service), "heavy_key", sentence(service, key), details);
                }
                heavy.insert(service.clone(), key);
            }
        }
        self.heavy.clone_from(&heavy);
        heavy
    }
}

/// What is said of it.
pub fn sentence(service: &Name, key: HeavyKey) -> String {
    format!(
        "{service}: one key carries {:.0} % of the requests: a {} % step cannot be kept; add a source \
         of keys that tells users apart",
        key.share * 100.0,
        (key.step * 10_000.0).round() / 100.0
    )
}

/// A key that carries more than half of the step that the candidate is at, or would begin with.
fn too_heavy(keys: &HeavyKeys, candidate: f64) -> Option<HeavyKey> {
    let step = if candidate > 0.0 { candidate.min(1.0 - candidate) } else { USUAL_STEP };
    let share = keys.heaviest();
    (keys.seen() >= SEEN_MIN && step > 0.0 && share > step / 2.0)
        .then_some(HeavyKey { share, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_too_heavy_above_half_a_step() {
        let with = |share: u64| {
            let mut keys = HeavyKeys::default();
            (0..1000).for_each(|n| keys.see(Some(if n < share { 1 } else { 1000 + n % 100 })));
            keys
        };
        for (share, candidate, heavy) in [
            (410, 0.05, true),
            (410, 0.0, true),
            (410, 1.0, false), // everybody is on one side: there is no step
            (410, 0.5, true),
            (200, 0.5, false),
            (20, 0.0, false),
        ] {
            assert_eq!(
                too_heavy(&with(share), candidate).is_some(),
                heavy,
                "{share} at {candidate}"
            );
        }
        assert_eq!(too_heavy(&HeavyKeys::default(), 0.05), None);
        let key = HeavyKey { share: 0.41, step: 0.05 };
        assert!(
            sentence(&Name::new("chat").unwrap(), key).starts_with(
                "chat: one key carries 41 % of the requests: a 5 % step cannot be kept"
            )
        );
    }
}
