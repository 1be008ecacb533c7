//! Reads any text as what the store keeps of a service: what is taken over keeps its promises through every
//! change that can be made of it, and is read the same when it is written anew.
//!
//! The first byte of the input says which kind of record follows.

#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;

use cyan_fuzz::control_plane::record::Override;
use cyan_fuzz::judge::chosen_judge::ChosenJudge;
use cyan_fuzz::judge::decision::Judge;
use cyan_fuzz::judge::record::Record;
use cyan_fuzz::model::assignment::Assignment;
use cyan_fuzz::model::name::Name;
use cyan_fuzz::rollout::release::Release;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|input: &[u8]| {
    let Some((kind, text)) = input.split_first() else { return };
    match kind % 5 {
        0 => {
            if let Some(assignment) = read::<Assignment>(text) {
                hold(&assignment);
                change(&assignment);
            }
        }
        1 => {
            if let Some(release) = read::<Release>(text) {
                let _ = (release.running(), release.frozen(1));
            }
        }
        2 => drop(read::<BTreeMap<Name, Override>>(text)),
        3 => drop(read::<Record>(text)),
        _ => {
            if let Some(judge) = read::<ChosenJudge>(text) {
                let _ = judge.explain();
            }
        }
    }
});

/// Every change that is possible leaves an assignment that holds.
fn change(assignment: &Assignment) {
    for member in &assignment.members {
        let name = &member.environment;
        let after = [
            assignment.switch(name),
            assignment.set_candidate(name, || 7),
            assignment.remove(name),
            assignment.roll_back(),
            assignment.disarm(name),
            assignment.give_back(name, &assignment.active),
        ];
        after.iter().flatten().for_each(hold);
    }
}

fn hold(assignment: &Assignment) {
    let sum: u32 = assignment.members.iter().map(|m| u32::from(m.weight.hundredths())).sum();
    assert_eq!(sum, 10_000, "weights sum to 100 %");
    let has = |name: &Name| assignment.members.iter().any(|member| member.environment == *name);
    assert!(has(&assignment.active), "the active environment exists");
    assert!(assignment.partner.as_ref().is_none_or(|partner| has(&partner.environment)));
    assert!(assignment.fallback.as_ref().is_none_or(has));
    let slots: u32 = assignment.slots().map(|slot| u32::from(slot.weight.hundredths())).sum();
    assert_eq!(slots, 10_000, "so do the slots");
}

fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(text).ok()?;
    let again = serde_json::to_string(&value).expect("it came from JSON");
    assert_eq!(serde_json::from_str::<T>(&again).ok().as_ref(), Some(&value), "{again}");
    Some(value)
}
