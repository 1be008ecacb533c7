//! What windows hold and cover, when a step begins, and that their memory is bounded.

use std::sync::Arc;

use super::*;
use crate::control_plane::test_rig::{chat, name};
use crate::metrics::distribution::Distribution;
use crate::metrics::shard::tests::ended;
use crate::model::assignment::{Member, Partner, PartnerRole};
use crate::model::environment::{Environment, EnvironmentSpec};
use crate::model::plan::Plan;
use crate::model::salt::Salt;
use crate::model::verdict::Verdict;
use crate::model::weight::Weight;

const BLUE: EnvironmentId = EnvironmentId(1);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// `chat` with blue, number 1, and green, number 2.
fn table(green_percent: f64) -> RoutingTable {
    let green = Weight::from_percent(green_percent).unwrap();
    let blue = Weight::from_percent(100.0 - green_percent).unwrap();
    let member = |text: &str, weight| Member { environment: name(text), weight, salt: Salt(1) };
    let assignment = crate::model::assignment::Assignment {
        members: vec![member("blue", blue), member("green", green)],
        active: name("blue"),
        partner: Some(Partner { environment: name("green"), role: PartnerRole::Candidate }),
        fallback: None,
        slot_salt: Salt(2),
        rollout_salt: Salt(3),
    };
    let environment = |(id, text)| {
        let spec = Arc::new(EnvironmentSpec::new(name(text), vec![]));
        let id = EnvironmentId(id);
        Arc::new(Environment {
            id,
            spec,
            upstreams: vec![],
            in_flight: Arc::default(),
            mirror: Arc::default(),
        })
    };
    let environments = [(1, "blue"), (2, "green")].map(environment).into();
    RoutingTable::new(1, Arc::new(chat()), environments, assignment)
}

fn report(count: usize) -> ShardReport {
    let mut report = ShardReport::default();
    (0..count).for_each(|_| report.ended(&ended(1)));
    report
}

/// What each window holds and covers, in milliseconds.
fn read(windows: &Windows, window: Window, now: Duration) -> (u64, u128) {
    let measured = windows.read(BLUE, window, now).unwrap();
    let count = measured.counts.tallies.judged();
    let total = measured.counts.distributions.of(Measure::Total);
    assert_eq!(total.map_or(0, Distribution::count), count);
    (count, measured.covers.as_millis())
}

#[test]
fn a_window_holds_what_its_name_says_and_at_most_one_slot_more() {
    let mut windows = Windows::default();
    windows.know([&table(5.0)].into_iter(), ms(500));
    for second in 0..1_200 {
        windows.add(&report(1), ms(second * 1000 + 700));
    }
    let now = ms(1_199_900);
    assert_eq!(read(&windows, Window::Seconds10, now), (11, 10_900));
    assert_eq!(read(&windows, Window::Minute1, now), (70, 69_900));
    assert_eq!(read(&windows, Window::Minutes5, now), (310, 309_900));
    assert_eq!(read(&windows, Window::Minutes15, now), (910, 909_900));
    assert_eq!(read(&windows, Window::Step, now), (1_200, 1_199_400));
    let later = ms(1_260_000);
    assert_eq!(read(&windows, Window::Seconds10, later).0, 0, "silence is read as such");
    assert_eq!(read(&windows, Window::Minute1, later).0, 0);
    assert_eq!(read(&windows, Window::Minutes5, later), (240, 300_000));
}

#[test]
fn a_young_environment_says_how_little_it_covers() {
    let mut windows = Windows::default();
    windows.know([&table(5.0)].into_iter(), ms(100_000));
    windows.add(&report(3), ms(102_000));
    for window in [Window::Seconds10, Window::Minutes15, Window::Step] {
        assert_eq!(read(&windows, window, ms(103_000)), (3, 3_000), "{window:?}");
    }
    assert!(windows.read(EnvironmentId(3), Window::Minute1, ms(103_000)).is_none());
}

#[test]
fn what_still_runs_has_not_failed() {
    let mut windows = Windows::default();
    windows.know([&table(5.0)].into_iter(), ms(0));
    let mut report = report(50);
    (0..50).for_each(|_| report.judged(BLUE, Verdict::Truncated));
    windows.add(&report, ms(1_000));
    let measured = windows.read(BLUE, Window::Minutes15, ms(2_000)).unwrap();
    let share = |running| measured.against(&Plan::default(), running).error_rate;
    assert!((share(0) - 0.5).abs() < 1e-9 && (share(4_900) - 0.01).abs() < 1e-9);
}

#[test]
fn a_step_begins_when_weights_change_and_only_then() {
    let mut windows = Windows::default();
    windows.know([&table(5.0)].into_iter(), ms(0));
    windows.add(&report(3), ms(1_000));
    windows.know([&table(5.0)].into_iter(), ms(2_000));
    assert_eq!(read(&windows, Window::Step, ms(2_000)), (3, 2_000));
    windows.know([&table(25.0)].into_iter(), ms(3_000));
    assert_eq!(read(&windows, Window::Step, ms(4_000)), (0, 1_000));
    windows.add(&report(2), ms(4_000));
    assert_eq!(read(&windows, Window::Step, ms(4_000)), (2, 1_000));
    assert_eq!(read(&windows, Window::Minute1, ms(4_000)).0, 5, "other windows go on");
    windows.know([].into_iter(), ms(5_000));
    assert!(windows.read(BLUE, Window::Step, ms(5_000)).is_none());
}

#[test]
fn memory_is_bounded_and_a_window_that_lost_its_beginning_says_so() {
    let mut windows = Windows::default();
    windows.know([&table(5.0)].into_iter(), ms(0));
    let mut everything = ShardReport::default();
    let counts = everything.environments.of(BLUE);
    for measure in Measure::ALL {
        let mut value = 1;
        while value < crate::metrics::distribution::VALUE_MAX {
            counts.distributions.record(measure, value);
            value += (value / 150).max(1);
        }
    }
    for second in 0..1_000 {
        windows.add(&everything, ms(second * 1000));
        windows.add(&report(1), ms(second * 1000));
    }
    let recent = &windows.environments[&BLUE];
    let slots = || recent.fine.iter().chain(&recent.coarse);
    assert_eq!(slots().map(Slot::cells).sum::<usize>(), recent.cells);
    assert!(recent.cells <= CELLS_MAX, "{}", recent.cells);
    assert!(recent.fine.len() <= 11 && recent.coarse.len() <= 92 && size_of::<Slot>() <= 600);
    let covers = windows.read(BLUE, Window::Minutes15, ms(1_000_000)).unwrap().covers.as_secs();
    assert!(covers < 100, "{covers}");
}
