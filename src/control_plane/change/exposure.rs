//! Tells what exposes users to something from what protects them.
//!
//! What exposes must be on the disk before it is published, so that a crash cannot forget it; what
//! protects is published at once, because nobody may wait for a disk to be rescued.

use std::collections::BTreeSet;

use super::Next;
use crate::control_plane::services::Live;
use crate::model::assignment::{Assignment, PartnerRole};
use crate::model::environment::EnvironmentSpec;
use crate::model::name::Name;
use crate::model::upstream::UpstreamSpec;

/// Whom a change exposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::control_plane) enum Exposure {
    /// Users go back to where they are safe: published first, overtakes what waits for the disk.
    Protects,
    /// Nobody's requests go elsewhere: published in its turn, written right after.
    Neutral,
    /// Users meet something more: on the disk first.
    Raises,
}

/// What changing one assignment into the other does. `reached_anew` are environments with addresses
/// that they did not have before.
///
/// Safe places are the active environment, and the previous one while it is armed for rollback.
/// Growing there protects; growing anywhere else, or sending users to a new address, raises.
pub(super) fn exposure(before: &Assignment, after: &Assignment, reached_anew: &[Name]) -> Exposure {
    if reached_anew.iter().any(|name| !after.weight(name).is_zero()) {
        return Exposure::Raises;
    }
    let is_safe = |name: &Name| {
        let armed = before.partner.as_ref().filter(|p| p.role == PartnerRole::Previous);
        before.active == *name || armed.is_some_and(|partner| partner.environment == *name)
    };
    let grown: Vec<&Name> = after
        .members
        .iter()
        .filter(|member| member.weight > before.weight(&member.environment))
        .map(|member| &member.environment)
        .collect();
    match grown.as_slice() {
        [] => Exposure::Neutral,
        grown if grown.iter().all(|name| is_safe(name)) => Exposure::Protects,
        _ => Exposure::Raises,
    }
}

/// What `next` does to the users of `live`.
pub(super) fn of(live: &Live, next: &Next) -> Exposure {
    exposure(&live.record.assignment, &next.record.assignment, &reached_anew(live, &next.specs))
}

/// Environments with an address that they did not have before.
fn reached_anew(live: &Live, specs: &[EnvironmentSpec]) -> Vec<Name> {
    let known = |spec: &EnvironmentSpec| -> BTreeSet<String> {
        let before = live.table.environment(spec.name.as_str());
        before.iter().flat_map(|e| e.spec.upstreams.iter().map(UpstreamSpec::to_string)).collect()
    };
    let anew = |spec: &&EnvironmentSpec| {
        let known = known(spec);
        spec.upstreams.iter().any(|upstream| !known.contains(&upstream.to_string()))
    };
    specs.iter().filter(anew).map(|spec| spec.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use Exposure::{Neutral, Protects, Raises};

    use super::*;
    use crate::model::assignment::Partner;
    use crate::model::routing_table::Weighted;
    use crate::model::service::InitialSplit;
    use crate::model::weight::Weight;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// Blue, green and red with these percentages; the partner with its role.
    fn split(percent: [f64; 3], active: &str, partner: Option<(&str, PartnerRole)>) -> Assignment {
        let weights = ["blue", "green", "red"].iter().zip(percent).map(|(n, p)| Weighted {
            environment: name(n),
            weight: Weight::from_percent(p).unwrap(),
        });
        let initial = InitialSplit {
            active: name(active),
            candidate: None,
            fallback: None,
            weights: weights.collect(),
        };
        let mut assignment = Assignment::initial(&initial, || 1);
        assignment.partner =
            partner.map(|(environment, role)| Partner { environment: name(environment), role });
        assignment
    }

    #[test]
    fn growing_is_safe_only_where_users_were_safe_before() {
        let candidate = Some(("green", PartnerRole::Candidate));
        let armed = Some(("blue", PartnerRole::Previous));
        for (story, before, after, anew, expected) in [
            (
                "the candidate rises",
                split([95.0, 5.0, 0.0], "blue", candidate),
                split([75.0, 25.0, 0.0], "blue", candidate),
                vec![],
                Raises,
            ),
            (
                "the candidate falls for the active one",
                split([75.0, 25.0, 0.0], "blue", candidate),
                split([95.0, 5.0, 0.0], "blue", candidate),
                vec![],
                Protects,
            ),
            (
                "the candidate falls for a third one",
                split([75.0, 25.0, 0.0], "blue", candidate),
                split([75.0, 5.0, 20.0], "blue", candidate),
                vec![],
                Raises,
            ),
            (
                "the active one and a third one rise together",
                split([75.0, 25.0, 0.0], "blue", candidate),
                split([85.0, 5.0, 10.0], "blue", candidate),
                vec![],
                Raises,
            ),
            (
                "a switch",
                split([75.0, 25.0, 0.0], "blue", candidate),
                split([0.0, 100.0, 0.0], "green", armed),
                vec![],
                Raises,
            ),
            (
                "a return to the armed environment",
                split([0.0, 100.0, 0.0], "green", armed),
                split([100.0, 0.0, 0.0], "blue", candidate),
                vec![],
                Protects,
            ),
            (
                "a switch back to one that is not armed any more",
                split([0.0, 100.0, 0.0], "green", Some(("red", PartnerRole::Candidate))),
                split([100.0, 0.0, 0.0], "blue", None),
                vec![],
                Raises,
            ),
            (
                "nobody moves",
                split([100.0, 0.0, 0.0], "blue", None),
                split([100.0, 0.0, 0.0], "blue", candidate),
                vec![name("green")],
                Neutral,
            ),
            (
                "new addresses for an environment with users",
                split([95.0, 5.0, 0.0], "blue", candidate),
                split([95.0, 5.0, 0.0], "blue", candidate),
                vec![name("green")],
                Raises,
            ),
            (
                "a rollback onto new addresses",
                split([75.0, 25.0, 0.0], "blue", candidate),
                split([100.0, 0.0, 0.0], "blue", candidate),
                vec![name("blue")],
                Raises,
            ),
        ] {
            assert_eq!(exposure(&before, &after, &anew), expected, "{story}");
        }
    }
}
