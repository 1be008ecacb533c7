//! An assignment as it is kept, and what it must be to be taken over.
//!
//! The state file is a file: a disk may have lost a bit of it, and a hand may have been in it. What everybody
//! relies on is checked here, once, where it is read.

use serde::Deserialize;

use super::{Assignment, Member, Partner};
use crate::model::name::Name;
use crate::model::salt::Salt;
use crate::model::weight::Weight;

/// An assignment that nobody has looked at yet.
#[derive(Debug, Deserialize)]
pub(super) struct KeptAssignment {
    members: Vec<Member>,
    active: Name,
    partner: Option<Partner>,
    fallback: Option<Name>,
    slot_salt: Salt,
    rollout_salt: Salt,
}

/// Why one is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAssignment {
    /// The weights.
    #[error("weights sum to {} %, expected 100 %", f64::from(*.0) / 100.0)]
    Sum(u32),
    /// A role of an environment that it does not have.
    #[error("`{0}` has a role and no weight")]
    Unknown(Name),
    /// One environment twice.
    #[error("environment `{0}` stands in it twice")]
    Twice(Name),
    /// One environment in two roles.
    #[error("`{0}` is active and its own partner")]
    OwnPartner(Name),
}

impl TryFrom<KeptAssignment> for Assignment {
    type Error = NoAssignment;

    fn try_from(kept: KeptAssignment) -> Result<Self, NoAssignment> {
        let KeptAssignment { members, active, partner, fallback, slot_salt, rollout_salt } = kept;
        for (index, member) in members.iter().enumerate() {
            if members[..index].iter().any(|before| before.environment == member.environment) {
                return Err(NoAssignment::Twice(member.environment.clone()));
            }
        }
        let sum: u32 = members.iter().map(|member| u32::from(member.weight.hundredths())).sum();
        if sum != u32::from(Weight::FULL.hundredths()) {
            return Err(NoAssignment::Sum(sum));
        }
        let roles = [Some(&active), partner.as_ref().map(|p| &p.environment), fallback.as_ref()];
        for name in roles.into_iter().flatten() {
            if !members.iter().any(|member| member.environment == *name) {
                return Err(NoAssignment::Unknown(name.clone()));
            }
        }
        if roles[1] == Some(&active) {
            return Err(NoAssignment::OwnPartner(active));
        }
        Ok(Self { members, active, partner, fallback, slot_salt, rollout_salt })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Assignment;

    fn kept() -> Value {
        json!({
            "members": [
                {"environment": "blue", "weight": 75.0, "salt": "00000000000000aa"},
                {"environment": "green", "weight": 25.0, "salt": "00000000000000bb"},
            ],
            "active": "blue",
            "partner": {"environment": "green", "role": "candidate"},
            "fallback": null,
            "slot_salt": "00000000000000cc",
            "rollout_salt": "00000000000000dd",
        })
    }

    fn read(change: impl FnOnce(&mut Value)) -> Result<Assignment, String> {
        let mut kept = kept();
        change(&mut kept);
        serde_json::from_value(kept).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_written_is_read() {
        let assignment = read(|_| {}).unwrap();
        assert_eq!(serde_json::to_value(&assignment).unwrap(), kept());
    }

    #[test]
    fn what_a_lost_bit_makes_of_it_is_refused() {
        let refused = |change: fn(&mut Value)| read(change).unwrap_err();
        assert_eq!(
            refused(|kept| kept["members"][1]["weight"] = json!(24.0)),
            "weights sum to 99 %, expected 100 %"
        );
        assert_eq!(
            refused(|kept| kept["active"] = json!("blud")),
            "`blud` has a role and no weight"
        );
        assert_eq!(
            refused(|kept| kept["partner"]["environment"] = json!("grean")),
            "`grean` has a role and no weight"
        );
        assert_eq!(
            refused(|kept| kept["fallback"] = json!("red")),
            "`red` has a role and no weight"
        );
        assert_eq!(
            refused(|kept| kept["members"][1]["environment"] = json!("blue")),
            "environment `blue` stands in it twice"
        );
        assert_eq!(
            refused(|kept| kept["active"] = json!("green")),
            "`green` is active and its own partner"
        );
    }
}
