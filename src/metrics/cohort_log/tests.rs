//! Cohorts at their edges, that a faster environment does not look worse, and that splitting marks changes
//! nothing.

use proptest::prelude::*;

use super::*;

const BLUE: EnvironmentId = EnvironmentId(1);
const GREEN: EnvironmentId = EnvironmentId(2);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The marks of one exchange: when it began, and what happened at which age.
fn exchange(
    marks: &mut Marks,
    environment: EnvironmentId,
    second: u32,
    events: &[(Mark, Duration)],
) {
    marks.add(environment, second, Mark::Began, Duration::ZERO);
    for (mark, age) in events {
        marks.add(environment, second, *mark, *age);
    }
}

fn log_of(marks: &Marks) -> CohortLog {
    let mut log = CohortLog::new(1);
    log.add(0, marks, &NearMap::default(), None);
    log
}

#[test]
fn an_exchange_counts_for_the_second_it_began_in_at_every_age_since() {
    use Mark::{Ended, EndedEarly, FailedEarly, FailedLate, FirstContent, Left, Refused, Watched};
    let mut marks = Marks::default();
    let mut seen = |events: &[(Mark, Duration)]| exchange(&mut marks, BLUE, 7, events);
    seen(&[(FirstContent, ms(300)), (Ended, s(20))]);
    seen(&[(FirstContent, ms(300)), (FailedLate, s(4)), (Ended, s(4))]);
    seen(&[(FailedEarly, ms(200)), (EndedEarly, ms(200))]);
    seen(&[(Refused, ms(10)), (EndedEarly, ms(10))]);
    seen(&[(FirstContent, ms(900)), (Left, s(2)), (Watched, s(2)), (Ended, s(2))]);
    seen(&[]);
    seen(&[(Mark::Withdrawn, s(3))]);
    let log = log_of(&marks);
    let at = |age| {
        let at = log.at(BLUE, 7, age);
        assert_eq!((at.began, at.refused), (6, u64::from(age >= ms(10))));
        (at.failed_early, at.failed_late, at.left, at.no_first_content, at.unfinished)
    };
    assert_eq!(at(ms(1)), (0, 0, 0, 6, 6));
    assert_eq!(at(ms(250)), (1, 0, 0, 4, 4));
    assert_eq!(at(s(1)), (1, 0, 0, 1, 4));
    assert_eq!(at(s(15)), (1, 1, 1, 1, 2));
    assert_eq!(at(s(1800)), (1, 1, 1, 1, 1), "one is still running");
    assert_eq!(log.at(BLUE, 8, s(1)), CohortAt::default());
    assert_eq!(log.at(GREEN, 7, s(1)), CohortAt::default());
}

#[test]
fn green_does_not_look_worse_for_being_twice_as_fast() {
    let mut marks = Marks::default();
    for second in 0..60 {
        for n in 0..20 {
            // Both break one stream in ten in the middle; green is twice as fast in everything.
            for (environment, unit) in [(BLUE, ms(200)), (GREEN, ms(100))] {
                let end = unit * 30;
                let first = (Mark::FirstContent, unit);
                if n % 10 == 0 {
                    let broken = [first, (Mark::FailedLate, end / 2), (Mark::Ended, end / 2)];
                    exchange(&mut marks, environment, second, &broken);
                } else {
                    exchange(&mut marks, environment, second, &[first, (Mark::Ended, end)]);
                }
            }
        }
    }
    let log = log_of(&marks);
    let both = |age| [BLUE, GREEN].map(|environment| log.over(environment, 0..60, age));
    for age in [ms(250), s(1), s(2), s(15)] {
        let [blue, green] = both(age);
        assert_eq!((blue.began, green.began), (1200, 1200));
        assert_eq!((blue.failed_early, green.failed_early), (0, 0), "{age:?}");
    }
    let [blue, green] = both(s(15));
    assert_eq!((blue.failed_late, green.failed_late), (120, 120), "at the age where both are done");
    let [blue, green] = both(s(2));
    assert!(green.unfinished < blue.unfinished && green.failed_late > blue.failed_late);
}

#[test]
fn a_second_is_complete_when_every_core_has_been_asked_after_it() {
    let mut log = CohortLog::new(2);
    let none = (Marks::default(), NearMap::default());
    let mut collected = |core, at| log.add(core, &none.0, &none.1, Some(ms(at)));
    collected(0, 9_000);
    collected(1, 5_300);
    collected(1, 5_100);
    assert_eq!(log.collected_until(), Some(ms(5_300)));
    for (second, age, complete) in [
        (4, ms(250), true),
        (4, ms(1), true),
        (5, ms(1), false),
        (3, s(1), true),
        (4, s(1), false),
        (0, s(3_700), false),
    ] {
        assert_eq!(log.is_complete(second, age), complete, "second {second}, {age:?}");
    }
    assert_eq!(CohortLog::new(1).collected_until(), None);
}

#[test]
fn old_seconds_go_and_a_removed_environment_too() {
    let mut log = CohortLog::new(1);
    let add = |log: &mut CohortLog, second| {
        let mut marks = Marks::default();
        exchange(&mut marks, BLUE, second, &[]);
        log.add(0, &marks, &NearMap::default(), None);
    };
    for second in [10, 8, 2_000, 2_120] {
        add(&mut log, second);
    }
    assert_eq!(log.seconds(BLUE), 21..2_121);
    add(&mut log, 3);
    assert_eq!((log.at(BLUE, 3, s(1)).began, log.lost()), (0, 0), "too old to be of interest");
    add(&mut log, 100_000);
    assert_eq!(log.seconds(BLUE), 100_000..100_001);
    log.know(|id| id == GREEN);
    assert_eq!(log.seconds(BLUE), 0..0);
}

#[test]
fn memory_is_bounded_by_forgetting_the_oldest() {
    let mut cohorts = Cohorts::default();
    let codes: Vec<_> = Mark::ALL
        .iter()
        .flat_map(|mark| (0..314).map(|number| MarkAtAge::new(*mark, AgeClass(number))))
        .collect();
    for second in 0..400 {
        codes.iter().for_each(|code| assert_eq!(cohorts.add(second, *code, 1), 0));
    }
    assert!(cohorts.entries <= ENTRIES_MAX);
    let kept: usize = cohorts.seconds.iter().map(Vec::len).sum();
    assert_eq!(kept, cohorts.entries);
    assert_eq!(cohorts.range(), 234..400);
    assert_eq!(cohorts.add(100, codes[0], 3), 3, "lost for want of room");
    assert_eq!(size_of::<(MarkAtAge, u32)>(), 8);
}

proptest! {
    #[test]
    fn any_split_over_cores_and_collections_gives_the_same_log(
        events in prop::collection::vec((1_u32..3, 0_u32..90, 0_usize..10, 0_u64..40_000, 0_usize..12), 0..400),
    ) {
        let mut whole = Marks::default();
        let mut parts: Vec<Marks> = (0..12).map(|_| Marks::default()).collect();
        for (environment, second, mark, age, part) in &events {
            let environment = EnvironmentId(*environment);
            for marks in [&mut whole, &mut parts[*part]] {
                marks.add(environment, *second, Mark::ALL[*mark], ms(*age));
            }
        }
        let expected = log_of(&whole);
        let mut log = CohortLog::new(3);
        for (number, part) in parts.iter().enumerate() {
            log.add(number % 3, part, &NearMap::default(), None);
        }
        for environment in [BLUE, GREEN] {
            prop_assert_eq!(log.seconds(environment), expected.seconds(environment));
            for second in 0..90 {
                for age in [ms(1), ms(250), s(1), ms(7_777), s(15), s(60)] {
                    let found = log.at(environment, second, age);
                    prop_assert_eq!(found, expected.at(environment, second, age));
                }
            }
        }
    }
}
