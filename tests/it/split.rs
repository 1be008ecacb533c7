//! The sentences about who moves when weights change, as properties of the routing table.

use std::collections::HashMap;

use cyan::model::assignment::Assignment;
use cyan::model::routing_table::Weighted;
use cyan::model::sticky::StickyKey;
use cyan::model::weight::Weight;
use proptest::prelude::*;

use crate::support::tables::{assignment, name, table};

const KEYS: u32 = 100_000;

/// The environment of every key, in the order of the keys.
fn choices(assignment: &Assignment) -> Vec<usize> {
    let table = table(assignment);
    (0..KEYS).map(|key| table.choose(StickyKey::of(&key.to_le_bytes(), 0).hash)).collect()
}

/// Moves between two tables: (from, to) and how many.
fn moves(before: &[usize], after: &[usize]) -> HashMap<(usize, usize), u32> {
    let mut moves = HashMap::new();
    for (from, to) in before.iter().zip(after).filter(|(from, to)| from != to) {
        *moves.entry((*from, *to)).or_default() += 1;
    }
    moves
}

/// Weights of the environments that get the rest of 100 % in equal parts.
fn weights(of_green: u16, environments: usize) -> Vec<u16> {
    let rest = 10_000 - of_green;
    let others = u16::try_from(environments - 2).unwrap();
    let each = if others == 0 { 0 } else { rest / (others + 1) };
    let mut weights = vec![rest - each * others, of_green];
    weights.extend((0..others).map(|_| each));
    weights
}

fn deviations(count: u32, weight: u16) -> f64 {
    let share = f64::from(weight) / 10_000.0;
    let expected = f64::from(KEYS) * share;
    (f64::from(count) - expected).abs() / (expected * (1.0 - share)).sqrt().max(1e-9)
}

#[test]
fn shares_are_within_four_standard_deviations() {
    let mut worst: f64 = 0.0;
    for environments in 2..=5 {
        for percent in [1, 100, 500, 2500, 5000] {
            let weights = weights(percent, environments);
            let chosen = choices(&assignment(&weights, 7));
            for (index, weight) in weights.iter().enumerate() {
                let count = chosen.iter().filter(|choice| **choice == index).count();
                let deviations = deviations(u32::try_from(count).unwrap(), *weight);
                assert!(deviations < 4.0, "{environments} x {weights:?}: {count} of {index}");
                worst = worst.max(deviations);
            }
        }
    }
    println!("worst of all shares: {worst:.2} standard deviations");
}

#[test]
fn a_switch_with_a_third_environment_moves_the_slot_and_nobody_else() {
    let before = assignment(&[9000, 0, 1000], 3);
    let after = before.switch(&name(1)).unwrap();
    let moved = moves(&choices(&before), &choices(&after));
    assert_eq!(moved.keys().collect::<Vec<_>>(), [&(0, 1)]);
    let back = after.roll_back().unwrap();
    assert_eq!(choices(&back), choices(&before));
}

#[test]
fn a_fresh_salt_moves_nobody_and_chooses_other_guinea_pigs() {
    let none = assignment(&[10_000, 0], 5);
    let five = |assignment: &Assignment, salt| {
        let weight = |environment, percent| Weighted {
            environment: name(environment),
            weight: Weight::from_percent(percent).unwrap(),
        };
        assignment.set_weights(&[weight(0, 95.0), weight(1, 5.0)], || salt).unwrap()
    };
    let first = five(&none, 1111);
    let returned = first.roll_back().unwrap();
    assert_eq!(choices(&returned), choices(&none));
    let second = five(&returned, 2222);
    let on_green = |assignment: &Assignment| -> Vec<usize> {
        choices(assignment).iter().enumerate().filter(|(_, c)| **c == 1).map(|(k, _)| k).collect()
    };
    let (first, second) = (on_green(&first), on_green(&second));
    let again = first.iter().filter(|key| second.contains(key)).count();
    assert!(again < first.len() / 10, "{again} of {} were chosen again", first.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_ramp_moves_exactly_the_difference_from_active_to_candidate(
        low in 0_u16..5000, more in 1_u16..4000, third in 0_u16..1000, seed in any::<u64>(),
    ) {
        let of = |green: u16| assignment(&[10_000 - third - green, green, third], seed);
        let (before, after) = (choices(&of(low)), choices(&of(low + more)));
        let moved = moves(&before, &after);
        prop_assert!(moved.keys().all(|move_| *move_ == (0, 1)), "{moved:?}");
        let count = moved.get(&(0, 1)).copied().unwrap_or(0);
        prop_assert!(deviations(count, more) < 5.0, "{count} moved for {more} hundredths");
        // and back: exactly those keys
        prop_assert_eq!(choices(&of(low)), before);
    }

    #[test]
    fn weights_by_hand_move_at_most_the_bound(
        first in proptest::collection::vec(1_u16..100, 3..=5), seed in any::<u64>(),
        second in proptest::collection::vec(1_u16..100, 3..=5),
    ) {
        let count = first.len().min(second.len());
        let (before, after) = (normal(&first[..count]), normal(&second[..count]));
        // Slots of their own: without a partner every environment bids for itself.
        let of = |weights: &[u16]| Assignment { partner: None, ..assignment(weights, seed) };
        let moved: u32 = moves(&choices(&of(&before)), &choices(&of(&after))).values().sum();
        let changes: f64 = before.iter().zip(&after).map(|(b, a)| f64::from(b.abs_diff(*a))).sum();
        let d = changes / 2.0 / 10_000.0;
        let bound = 2.0 * d / (1.0 + d);
        let noise = 5.0 * (bound / f64::from(KEYS)).sqrt() + 1e-3;
        let share = f64::from(moved) / f64::from(KEYS);
        prop_assert!(share <= bound + noise, "{before:?} -> {after:?}: {share} > {bound}");
    }

    #[test]
    fn one_slot_that_changes_alone_exchanges_only_with_itself(
        parts in proptest::sample::select(vec![vec![1, 1], vec![1, 2], vec![3, 1, 2]]),
        few in 200_u16..800, many in 800_u16..1600, seed in any::<u64>(),
    ) {
        // The others keep their proportion to the last hundredth; the first slot gets the rest.
        let of = |unit: u16| {
            let others = parts.iter().map(|part| part * unit);
            let mut weights = vec![10_000 - others.clone().sum::<u16>()];
            weights.extend(others);
            choices(&Assignment { partner: None, ..assignment(&weights, seed) })
        };
        let moved = moves(&of(few), &of(many));
        prop_assert!(moved.keys().all(|(from, to)| *from == 0 || *to == 0), "{moved:?}");
        prop_assert!(!moved.is_empty());
    }
}

/// Weights that sum to 100 %, in the proportion of these.
fn normal(parts: &[u16]) -> Vec<u16> {
    let sum: u32 = parts.iter().map(|part| u32::from(*part)).sum();
    let scaled = parts.iter().map(|part| u16::try_from(u32::from(*part) * 10_000 / sum).unwrap());
    let mut weights: Vec<u16> = scaled.collect();
    weights[0] += 10_000 - weights.iter().sum::<u16>();
    weights
}
