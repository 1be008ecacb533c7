//! Who gets what: weights, roles and salts of one service, and every way in which they may change.
//!
//! This is the value that the store keeps. Each change is a pure function from one assignment to the
//! next, so that the rules (sums, who may join the slot, what a rollback means) hold whoever asks:
//! the admin API, a rollout, or a restart.

mod kept;
mod ways_back;

use super::name::Name;
use super::routing_table::Weighted;
use super::salt::Salt;
use super::service::InitialSplit;
use super::weight::Weight;

/// What the environment that shares the active one's slot is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartnerRole {
    /// Under judgement: may become the active one.
    Candidate,
    /// Was active before the switch: armed for rollback.
    Previous,
}

/// The environment that shares the active one's slot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Partner {
    /// Which one.
    pub environment: Name,
    /// What for.
    pub role: PartnerRole,
}

/// An environment's bid in the rendezvous.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Member {
    /// Which environment.
    pub environment: Name,
    /// Its share of all traffic.
    pub weight: Weight,
    /// The salt of its own slot, used while it is not the active one's partner.
    pub salt: Salt,
}

/// Weights, roles and salts of one service. Weights always sum to 100 %.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "kept::KeptAssignment")]
pub struct Assignment {
    /// Every environment, in the order in which they appeared.
    pub members: Vec<Member>,
    /// The baseline, normally with all the traffic.
    pub active: Name,
    /// The environment that shares its slot.
    pub partner: Option<Partner>,
    /// The environment for emergencies.
    pub fallback: Option<Name>,
    /// The salt of the shared slot. It outlives switches, so that a switch moves nobody of a third.
    pub slot_salt: Salt,
    /// Decides which keys of the slot are the partner's. Fresh whenever the partner's share leaves zero.
    pub rollout_salt: Salt,
}

/// A slot with its weight, as the routing table wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotWeight {
    /// The environment that stands for the slot: for the shared one, the active environment.
    pub environment: Name,
    /// The slot's salt.
    pub salt: Salt,
    /// The slot's weight.
    pub weight: Weight,
}

/// Why a change was refused. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// The weights would not sum to 100 %.
    #[error("weights sum to {sum} %, expected 100 %; environments left out keep theirs: {kept}")]
    Sum {
        /// What they sum to, in percent.
        sum: String,
        /// The weights that were not named.
        kept: String,
    },
    /// No such environment.
    #[error("unknown environment `{name}`; configured: {known}")]
    Unknown {
        /// What was asked for.
        name: Name,
        /// What there is.
        known: String,
    },
    /// The same environment twice in one request.
    #[error("environment `{0}` is named twice; name each once")]
    Twice(Name),
    /// An environment of that name exists.
    #[error("environment `{0}` exists already; change it with PUT, or choose another name")]
    Exists(Name),
    /// A role that needs an environment without traffic.
    #[error("`{name}` has {weight} % of the traffic; set it to 0 before it becomes the candidate")]
    HasTraffic {
        /// Which environment.
        name: Name,
        /// Its weight.
        weight: Weight,
    },
    /// The active environment cannot be the candidate or be removed.
    #[error("`{0}` is the active environment; switch to another one first")]
    IsActive(Name),
    /// An environment with traffic or a role cannot be removed.
    #[error("`{name}` {reason}; {remedy}")]
    InUse {
        /// Which environment.
        name: Name,
        /// What it is still needed for.
        reason: String,
        /// What to do first.
        remedy: &'static str,
    },
    /// There is nothing to go back to.
    #[error(
        "nothing to roll back: `{0}` is active, no candidate has traffic and no previous environment is armed"
    )]
    NothingToRollBack(Name),
}

impl Assignment {
    /// The assignment a service begins with. Salts come from `random`.
    pub fn initial(initial: &InitialSplit, mut random: impl FnMut() -> u64) -> Self {
        let members = initial.weights.iter().map(|weighted| Member {
            environment: weighted.environment.clone(),
            weight: weighted.weight,
            salt: Salt(random()),
        });
        let partner = initial
            .candidate
            .clone()
            .map(|environment| Partner { environment, role: PartnerRole::Candidate });
        Self {
            members: members.collect(),
            active: initial.active.clone(),
            partner,
            fallback: initial.fallback.clone(),
            slot_salt: Salt(random()),
            rollout_salt: Salt(random()),
        }
    }

    /// The weight of an environment; zero for an unknown one.
    pub fn weight(&self, name: &Name) -> Weight {
        self.member(name).map_or(Weight::ZERO, |member| member.weight)
    }

    /// All weights, in order.
    pub fn weights(&self) -> Vec<Weighted> {
        let weighted =
            |m: &Member| Weighted { environment: m.environment.clone(), weight: m.weight };
        self.members.iter().map(weighted).collect()
    }

    /// Whether `name` is the active environment's partner.
    pub fn is_partner(&self, name: &Name) -> bool {
        self.partner.as_ref().is_some_and(|partner| partner.environment == *name)
    }

    /// The slots that bid in the rendezvous.
    pub fn slots(&self) -> impl Iterator<Item = SlotWeight> + '_ {
        let own = |member: &Member| SlotWeight {
            environment: member.environment.clone(),
            salt: member.salt,
            weight: member.weight,
        };
        let shared = SlotWeight {
            environment: self.active.clone(),
            salt: self.slot_salt,
            weight: self.slot_weight(),
        };
        let in_slot = |m: &&Member| m.environment == self.active || self.is_partner(&m.environment);
        std::iter::once(shared)
            .chain(self.members.iter().filter(move |member| !in_slot(member)).map(own))
    }

    /// What active environment and partner have together.
    pub fn slot_weight(&self) -> Weight {
        let partner = self.partner.as_ref().map_or(Weight::ZERO, |p| self.weight(&p.environment));
        sum(self.weight(&self.active), partner)
    }

    /// The share of `name` in what it and `other` have together; zero where that is nothing.
    pub fn share_beside(&self, name: &Name, other: &Name) -> Weight {
        let of = |name| u32::from(self.weight(name).hundredths());
        let (own, both) = (of(name), of(name) + of(other));
        let full = u32::from(Weight::FULL.hundredths());
        let hundredths = (own * full + both / 2).checked_div(both).unwrap_or(0);
        u16::try_from(hundredths).ok().and_then(Weight::from_hundredths).unwrap_or(Weight::FULL)
    }

    /// Sets the weights of the environments named; the others keep theirs.
    ///
    /// # Errors
    /// When one is unknown or named twice, or the sum is not 100 %.
    pub fn set_weights(
        &self,
        weights: &[Weighted],
        random: impl FnOnce() -> u64,
    ) -> Result<Self, AssignmentError> {
        let mut next = self.clone();
        for (index, weighted) in weights.iter().enumerate() {
            if weights[..index].iter().any(|before| before.environment == weighted.environment) {
                return Err(AssignmentError::Twice(weighted.environment.clone()));
            }
            next.member_mut(&weighted.environment)?.weight = weighted.weight;
        }
        let sum: u32 = next.members.iter().map(|m| u32::from(m.weight.hundredths())).sum();
        if sum != u32::from(Weight::FULL.hundredths()) {
            let named = |m: &&Member| weights.iter().any(|w| w.environment == m.environment);
            let kept = self.members.iter().filter(|m| !named(m));
            let kept: Vec<_> = kept.map(|m| format!("{}={}", m.environment, m.weight)).collect();
            return Err(AssignmentError::Sum {
                sum: format!("{}", f64::from(sum) / 100.0),
                kept: if kept.is_empty() { "none".to_owned() } else { kept.join(", ") },
            });
        }
        next.freshen(self, random);
        Ok(next)
    }

    /// Makes an environment without traffic the candidate: it joins the slot, and nobody moves.
    ///
    /// # Errors
    /// When it is unknown, active, or either it or the partner it replaces has traffic.
    pub fn set_candidate(
        &self,
        name: &Name,
        random: impl FnOnce() -> u64,
    ) -> Result<Self, AssignmentError> {
        self.known(name)?;
        if *name == self.active {
            return Err(AssignmentError::IsActive(name.clone()));
        }
        let before = self.partner.as_ref().map(|partner| &partner.environment);
        for joins_or_leaves in before.into_iter().chain([name]) {
            let weight = self.weight(joins_or_leaves);
            if before != Some(name) && !weight.is_zero() {
                return Err(AssignmentError::HasTraffic { name: joins_or_leaves.clone(), weight });
            }
        }
        let mut next = self.clone();
        if self.weight(name).is_zero() {
            next.rollout_salt = Salt(random());
        }
        next.partner = Some(Partner { environment: name.clone(), role: PartnerRole::Candidate });
        Ok(next)
    }

    /// Gives the slot to `to`, which becomes active; the active one becomes the previous. What a
    /// partner or `to` itself had goes along; third environments keep theirs. Switching to the active
    /// environment takes back what its partner has.
    ///
    /// # Errors
    /// When `to` is unknown.
    pub fn switch(&self, to: &Name) -> Result<Self, AssignmentError> {
        self.known(to)?;
        let mut next = self.clone();
        let mut weight = self.slot_weight();
        if *to != self.active && !self.is_partner(to) {
            weight = sum(weight, self.weight(to));
        }
        let leaving = self.partner.iter().map(|p| &p.environment).chain([&self.active]);
        for name in leaving {
            next.member_mut(name)?.weight = Weight::ZERO;
        }
        next.member_mut(to)?.weight = weight;
        if *to != self.active {
            next.active = to.clone();
            next.partner =
                Some(Partner { environment: self.active.clone(), role: PartnerRole::Previous });
        }
        Ok(next)
    }

    /// Adds an environment without traffic.
    ///
    /// # Errors
    /// When one of that name exists.
    pub fn add(&self, name: &Name, salt: Salt) -> Result<Self, AssignmentError> {
        if self.member(name).is_some() {
            return Err(AssignmentError::Exists(name.clone()));
        }
        let mut next = self.clone();
        next.members.push(Member { environment: name.clone(), weight: Weight::ZERO, salt });
        Ok(next)
    }

    /// Removes an environment that has neither traffic nor the active or fallback role.
    ///
    /// # Errors
    /// When it is unknown or still needed.
    pub fn remove(&self, name: &Name) -> Result<Self, AssignmentError> {
        self.known(name)?;
        if *name == self.active {
            return Err(AssignmentError::IsActive(name.clone()));
        }
        let in_use = |reason: String, remedy| {
            Err(AssignmentError::InUse { name: name.clone(), reason, remedy })
        };
        if self.fallback.as_ref() == Some(name) {
            return in_use("is the fallback".into(), "name another fallback in the config first");
        }
        let weight = self.weight(name);
        if !weight.is_zero() {
            return in_use(
                format!("has {weight} % of the traffic"),
                "set it to 0 and drain it first",
            );
        }
        let mut next = self.clone();
        next.members.retain(|member| member.environment != *name);
        next.partner = next.partner.filter(|partner| partner.environment != *name);
        Ok(next)
    }

    /// A fresh rollout salt when the partner's share leaves zero: everybody is on the other side then,
    /// so nobody moves, and the next rollout has other guinea pigs.
    fn freshen(&mut self, before: &Self, random: impl FnOnce() -> u64) {
        let of = |assignment: &Self| {
            assignment.partner.as_ref().map_or(Weight::ZERO, |p| assignment.weight(&p.environment))
        };
        if of(before).is_zero() && !of(self).is_zero() {
            self.rollout_salt = Salt(random());
        }
    }

    fn known(&self, name: &Name) -> Result<(), AssignmentError> {
        let unknown = || AssignmentError::Unknown { name: name.clone(), known: self.names() };
        self.member(name).map(|_| ()).ok_or_else(unknown)
    }

    fn names(&self) -> String {
        self.members.iter().map(|m| m.environment.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn member(&self, name: &Name) -> Option<&Member> {
        self.members.iter().find(|member| member.environment == *name)
    }

    fn member_mut(&mut self, name: &Name) -> Result<&mut Member, AssignmentError> {
        let known = self.names();
        self.members
            .iter_mut()
            .find(|member| member.environment == *name)
            .ok_or_else(|| AssignmentError::Unknown { name: name.clone(), known })
    }
}

/// The sum of two weights of one assignment, which cannot exceed 100 %.
fn sum(a: Weight, b: Weight) -> Weight {
    Weight::from_hundredths(a.hundredths() + b.hundredths())
        .expect("weights of one assignment sum to 100 %")
}

#[cfg(test)]
mod tests;
