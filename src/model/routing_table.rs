//! Chooses the environment for one request.
//!
//! In two steps, both pure functions of key, weights and salts, so that replicas agree without talking:
//!
//! 1. *Slots*, by weighted rendezvous: every slot scores the key with its own salt, u = hash(key, salt)
//!    in (0, 1), score = -ln(u) / weight, and the smallest score wins. An environment is a slot, but the
//!    active environment and its partner (the candidate; after a switch the previous one) share one.
//! 2. *Inside the shared slot*: u(key, rollout salt) below the partner's share goes to the partner.
//!
//! So a ramp moves exactly the difference, only from active to candidate, and nobody of a third
//! environment; a rollback returns exactly those keys. (Weights laid end to end on a circle would also
//! move keys between environments that did not change.)
//!
//! Runs once per request: no lock, no allocation, no clock (`benches/route_decision.rs`).

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::assignment::{Assignment, PartnerRole};
use super::environment::Environment;
use super::mirror::tap::MirrorTap;
use super::name::Name;
use super::salt::Salt;
use super::service::ServiceSpec;
use super::weight::Weight;

/// An environment and its share.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Weighted {
    /// The environment.
    pub environment: Name,
    /// Its share.
    pub weight: Weight,
}

/// Everything the data plane needs to know of one service. Immutable; swapped as a whole.
#[derive(Debug)]
pub struct RoutingTable {
    /// Rises by one with every change of this service.
    pub generation: u64,
    /// What the operator wants of the service.
    pub service: Arc<ServiceSpec>,
    /// The environments, in the order of the assignment.
    pub environments: Vec<Arc<Environment>>,
    /// Weights, roles and salts as they were when the table was made.
    pub assignment: Assignment,
    /// The number of the rollout under way; 0 for none.
    pub rollout: u64,
    /// Takes copies of requests while a candidate warms up.
    pub mirror: Option<Arc<MirrorTap>>,
    active: usize,
    partner: Option<usize>,
    fallback: Option<usize>,
    slots: Vec<Slot>,
    split: Option<Split>,
}

/// A bidder in the rendezvous. Slots without weight are left out of the table.
#[derive(Debug)]
struct Slot {
    environment: usize,
    salt: Salt,
    /// 1 / weight, so that the hot path multiplies.
    inverse_weight: f64,
}

/// How the slot of the active environment is shared with its partner.
#[derive(Debug)]
struct Split {
    partner: usize,
    salt: Salt,
    /// The partner gets hashes below this; 2^64 is everybody.
    below: u128,
}

impl RoutingTable {
    /// A table for `environments`, which are those of the assignment, in its order.
    ///
    /// # Panics
    /// When an environment of the assignment is missing; the controller makes both from one list.
    pub fn new(
        generation: u64,
        service: Arc<ServiceSpec>,
        environments: Vec<Arc<Environment>>,
        assignment: Assignment,
    ) -> Self {
        let index = |name: &Name| {
            environments
                .iter()
                .position(|environment| environment.name() == name)
                .expect("the controller makes environments and assignment from one list")
        };
        let active = index(&assignment.active);
        let partner = assignment.partner.as_ref().map(|partner| index(&partner.environment));
        let fallback = assignment.fallback.as_ref().map(index);
        let slots = assignment
            .slots()
            .filter(|slot| !slot.weight.is_zero())
            .map(|slot| Slot {
                environment: index(&slot.environment),
                salt: slot.salt,
                inverse_weight: 1.0 / f64::from(slot.weight.hundredths()),
            })
            .collect();
        let split = partner.and_then(|partner| {
            let active = assignment.weight(&assignment.active);
            let candidate = assignment.weight(environments[partner].name());
            let sum = u128::from(active.hundredths()) + u128::from(candidate.hundredths());
            (!candidate.is_zero()).then(|| Split {
                partner,
                salt: assignment.rollout_salt,
                below: (u128::from(candidate.hundredths()) << 64) / sum,
            })
        });
        Self {
            generation,
            service,
            environments,
            assignment,
            rollout: 0,
            mirror: None,
            active,
            partner,
            fallback,
            slots,
            split,
        }
    }

    /// The same table during a rollout.
    #[must_use]
    pub fn with_rollout(self, rollout: u64) -> Self {
        Self { rollout, ..self }
    }

    /// The same table with a tap, or without one.
    #[must_use]
    pub fn with_mirror(self, mirror: Option<Arc<MirrorTap>>) -> Self {
        Self { mirror, ..self }
    }

    /// The environment for a key: an index into `environments`.
    pub fn choose(&self, key: u64) -> usize {
        let slot = match self.slots.as_slice() {
            [] => self.active, // weights sum to 100 %, so this is a table of a service at rest
            [only] => only.environment,
            several => {
                let mut best = (f64::INFINITY, self.active);
                for slot in several {
                    let score = -unit(mix(key, slot.salt)).ln() * slot.inverse_weight;
                    if score < best.0 {
                        best = (score, slot.environment);
                    }
                }
                best.1
            }
        };
        match &self.split {
            Some(split)
                if slot == self.active && u128::from(mix(key, split.salt)) < split.below =>
            {
                split.partner
            }
            _ => slot,
        }
    }

    /// The active environment.
    pub fn active(&self) -> &Arc<Environment> {
        &self.environments[self.active]
    }

    /// The environment that shares the active one's slot, if any.
    pub fn partner(&self) -> Option<&Arc<Environment>> {
        self.partner.map(|index| &self.environments[index])
    }

    /// The environment for emergencies, if any.
    pub fn fallback(&self) -> Option<&Arc<Environment>> {
        self.fallback.map(|index| &self.environments[index])
    }

    /// The environment with this name.
    pub fn environment(&self, name: &str) -> Option<&Arc<Environment>> {
        self.environments.iter().find(|environment| *environment.name() == *name)
    }

    /// Whether who goes on with an answer of this environment still comes to it: while it has traffic, and
    /// after a switch for as long as it is armed for rollback and not drained. What users were taken away
    /// from by a rollback gets nobody.
    pub fn keeps_conversations(&self, environment: &Environment) -> bool {
        let is_armed = self.assignment.partner.as_ref().is_some_and(|partner| {
            partner.role == PartnerRole::Previous && partner.environment == *environment.name()
        });
        !self.weight(environment.name()).is_zero()
            || (is_armed && !environment.in_flight.is_closed())
    }

    /// The weight of an environment; zero for one that is not in the table.
    pub fn weight(&self, name: &Name) -> Weight {
        self.assignment.weight(name)
    }
}

/// Well-mixed bits of key and salt.
fn mix(key: u64, salt: Salt) -> u64 {
    xxh3_64_with_seed(&key.to_le_bytes(), salt.0)
}

/// A hash as a number strictly between 0 and 1: the middle of one of 2^52 equal cells.
fn unit(hash: u64) -> f64 {
    const CELL: f64 = 1.0 / 4_503_599_627_370_496.0; // 2^-52
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit a double exactly")]
    let cell = (hash >> 12) as f64;
    (cell + 0.5) * CELL
}
