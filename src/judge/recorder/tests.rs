//! The recorder against direct counting by the definitions, and against itself in other orders.

mod traffic;

use std::time::Duration;

use super::super::order::Order;
use super::super::record::{ErrorAge, Hit, HitKind, LimitReading, Measure, Quantile, SlowReading};
use super::super::split_check::SplitCheck;
use super::changes::CHANGES_MAX;
use super::*;
use crate::model::environment::EnvironmentId;
use crate::model::note::What;
use traffic::{BEGAN_MS, CHANGED_MS, END_MS, Traffic, first_tick_after};

/// Everything that a recorder says of some traffic, if cores hand over as `schedule` says.
fn records(traffic: &Traffic, schedule: u64) -> Vec<Record> {
    let mut recorder = Traffic::recorder();
    let mut records = Vec::new();
    traffic.hand_over(&mut recorder, schedule, |recorder, now| {
        records.extend(std::iter::from_fn(|| recorder.take(now)));
    });
    assert_eq!(recorder.losses(), Losses::default());
    let mut order = Order::default();
    records.iter().for_each(|record| order.hear(record).expect("what a recorder owes"));
    records
}

fn ticks(records: &[Record]) -> impl Iterator<Item = &TickRecord> {
    records.iter().filter_map(|record| match record {
        Record::Tick(tick) => Some(tick),
        _ => None,
    })
}

#[test]
fn counts_are_those_of_direct_counting() {
    for seed in 0..3 {
        let traffic = Traffic::new(seed);
        let records = records(&traffic, seed);
        let last = first_tick_after(END_MS);
        let mut readings = [0; 3];
        for tick in ticks(&records) {
            for arrivals in &tick.arrivals {
                assert_eq!(arrivals.n, traffic.arrivals(arrivals.from, arrivals.until), "{seed}");
            }
            for reading in &tick.errors {
                let (span, age) = ((reading.from, reading.until), reading.age);
                assert_eq!(reading.counts, traffic.errors(span, age), "{seed}: {span:?} {age:?}");
                readings[0] += 1;
            }
            for reading in &tick.slow {
                let span = (reading.from, reading.until);
                let expected = traffic.slow(span, reading.measure, reading.quantile);
                assert_eq!(reading.counts, expected, "{seed}: {span:?} {:?}", reading.quantile);
                readings[1] += 1;
            }
            for LimitReading { from, until, n, over, .. } in &tick.limit {
                assert_eq!((*n, *over), traffic.over((*from, *until)), "{seed}: {from:?}");
                readings[2] += 1;
            }
        }
        // Four ages per tick, six quantiles and a limit per second, but for what is not old enough.
        assert!(readings[0] > 4 * last.0 - 200, "{readings:?} of {last:?}");
        assert!(readings[1] > 6 * last.second() - 60 && readings[2] > last.second() - 8);
    }
}

#[test]
fn readings_have_no_gaps_and_split_where_the_share_changed() {
    let records = records(&Traffic::new(7), 1);
    let changes: Vec<&Change> = records
        .iter()
        .filter_map(|record| match record {
            Record::Change(change) => Some(change),
            _ => None,
        })
        .collect();
    let at = first_tick_after(CHANGED_MS[1]);
    assert_eq!(changes.iter().map(|change| change.at).collect::<Vec<_>>(), [Tick(0), at]);
    let spans = |age: ErrorAge| {
        let all = ticks(&records).flat_map(|tick| &tick.errors);
        all.filter(move |reading| reading.age == age).map(|reading| (reading.from, reading.until))
    };
    for age in [ErrorAge::Quarter, ErrorAge::Second, ErrorAge::FifteenSeconds, ErrorAge::Final] {
        let mut next = Tick(0);
        for (from, until) in spans(age) {
            assert_eq!((from, until), (next, Tick(next.0 + 1)));
            next = until;
        }
    }
    let mut next = Tick(0);
    for reading in ticks(&records).flat_map(|tick| &tick.limit) {
        assert_eq!(reading.from, next);
        assert!(reading.until == at || reading.until.begins_second());
        assert!(reading.from >= at || reading.until <= at);
        next = reading.until;
    }
    let order = records.iter().position(|record| matches!(record, Record::Change(c) if c.at == at));
    let before = ticks(&records[..order.unwrap()]).last().map(|tick| tick.now);
    assert_eq!(before, Some(at), "a change is told between the ticks that it parts");
}

#[test]
fn records_do_not_depend_on_how_notes_are_split_and_ordered() {
    let traffic = Traffic::new(3);
    let first = records(&traffic, 0);
    assert!(ticks(&first).any(|tick| tick.errors.iter().any(|reading| reading.hits.len() > 1)));
    for schedule in 1..6 {
        let other = records(&traffic, schedule);
        let length = first.len().min(other.len());
        assert!(first[..length] == other[..length], "schedule {schedule}");
        assert!(length + 8 > first.len().max(other.len()));
    }
}

#[test]
fn hits_stand_behind_counts_and_a_key_is_told_once_in_an_epoch() {
    let traffic = Traffic::new(5);
    let records = records(&traffic, 2);
    let (mut told, mut slow_hits) = (std::collections::HashSet::new(), 0);
    for reading in ticks(&records).flat_map(|tick| &tick.errors) {
        let of = |kind| reading.hits.iter().filter(|hit| hit.kind == kind).count();
        let counts = [reading.counts.active, reading.counts.candidate];
        let failed: u32 = counts.iter().map(|c| c.early + c.late + c.refused + c.watched).sum();
        let kinds = [HitKind::Early, HitKind::Late, HitKind::Refused, HitKind::Watched].map(of);
        let hits: usize = kinds.iter().sum();
        if reading.age == ErrorAge::Quarter {
            assert_eq!(hits, usize::try_from(failed).unwrap(), "all of them");
            continue;
        }
        assert!(hits <= usize::try_from(failed).unwrap());
        let is_first_step = reading.from < first_tick_after(CHANGED_MS[1]);
        for Hit { side, key, kind } in &reading.hits {
            let Some(key) = key else { continue };
            let news =
                told.insert((reading.age as u8, is_first_step, *side as u8, *key, *kind as u8));
            assert!(news, "{key} twice at {:?}", reading.age);
        }
    }
    for reading in ticks(&records).flat_map(|tick| &tick.slow) {
        slow_hits += usize::from(reading.quantile == Quantile::P50) * reading.hits.len();
        assert!(reading.hits.iter().all(|hit| hit.kind == HitKind::Slow));
    }
    assert!(slow_hits > 20, "{slow_hits}");
}

/// A recorder that has begun at 0 with one core, at 10 %.
fn begun(cores: usize) -> Recorder {
    Recorder::new(Setup {
        cores,
        began: Duration::ZERO,
        first: Tick(0),
        users_before: None,
        share: 0.1,
        latency_max: Duration::from_secs(5),
        signal: LatencySignal::Auto,
        seed: 1,
    })
}

fn note(quarter: u32, exchange: u64, what: What, age_ms: u64) -> Note {
    let age = Duration::from_millis(age_ms);
    Note::new(EnvironmentId(1), (quarter, exchange), Some(exchange), what, age)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn taken(recorder: &mut Recorder, now: Duration) -> Vec<Record> {
    std::iter::from_fn(|| recorder.take(now)).collect()
}

#[test]
fn ticks_of_lost_notes_are_left_out_on_both_sides() {
    let mut recorder = begun(1);
    for quarter in 0..8 {
        for (side, exchange) in [(Side::Active, 1), (Side::Candidate, 2)] {
            let exchange = u64::from(quarter) * 10 + exchange;
            recorder.note(0, side, &note(quarter, exchange, What::Began, 0));
            recorder.note(0, side, &note(quarter, exchange, What::FailedEarly, 10));
        }
    }
    recorder.lose(2..4, 5);
    recorder.hear(0, ms(0)..ms(4_000));
    recorder.note(0, Side::Candidate, &note(3, 99, What::Began, 0));
    let records = taken(&mut recorder, ms(4_000));
    for reading in ticks(&records).flat_map(|tick| &tick.errors) {
        let Tick(from) = reading.from;
        let expected = u32::from(from < 8 && !(2..4).contains(&from));
        let Both { active, candidate } = reading.counts.map(|c| (c.n, c.early));
        assert_eq!((active, candidate), ((expected, expected), (expected, expected)), "{from}");
    }
    assert_eq!((recorder.losses().lost, recorder.losses().ticks_left_out), (5, 2));
}

#[test]
fn a_stuck_core_is_gone_on_without_and_what_it_missed_is_not_heard() {
    let mut recorder = begun(2);
    let collect = |recorder: &mut Recorder, core: usize, since: u64, until: u64| {
        recorder.hear(core, ms(0)..ms(until));
        for quarter in (since / 250)..(until / 250) {
            let exchange = quarter * 10 + core as u64;
            let quarter = u32::try_from(quarter).unwrap();
            recorder.note(core, Side::Candidate, &note(quarter, exchange, What::Began, 0));
            recorder.note(core, Side::Candidate, &note(quarter, exchange, What::Refused, 900));
        }
    };
    collect(&mut recorder, 0, 0, 1_000);
    collect(&mut recorder, 1, 0, 1_000);
    assert_eq!(ticks(&taken(&mut recorder, ms(1_000))).count(), 4);
    collect(&mut recorder, 0, 1_000, 2_900);
    assert_eq!(taken(&mut recorder, ms(2_999)).len(), 0, "core 1 is waited for");
    let alone = taken(&mut recorder, ms(3_000));
    assert_eq!(ticks(&alone).count(), 7);
    collect(&mut recorder, 1, 1_000, 5_000);
    collect(&mut recorder, 0, 2_900, 5_000);
    let together = taken(&mut recorder, ms(5_000));
    let records: Vec<Record> = alone.into_iter().chain(together).collect();
    for reading in ticks(&records).flat_map(|tick| &tick.errors) {
        let Tick(from) = reading.from;
        let n = match from {
            4 => 0,      // core 1 had reported a part of it
            5..=10 => 1, // without core 1
            _ => 2,
        };
        let refused = if reading.age == ErrorAge::Quarter { 0 } else { n };
        let counts = reading.counts.candidate;
        assert_eq!((counts.n, counts.refused), (n, refused), "{from} {:?}", reading.age);
    }
    assert_eq!(recorder.losses().ticks_without_core, 7);
}

/// A demo on a busy machine was held once, two seconds after its step to 25 %, because "green gets other users
/// than its share". Its cores had the new table, and had reported a second of arrivals under it, before the
/// recorder was told that the share had changed: every user who moved was new to the candidate, and none was
/// new to the active environment.
#[test]
fn users_who_move_before_the_change_is_told_are_no_proof_against_the_split() {
    let mut recorder = begun(1);
    let arrive = |recorder: &mut Recorder, quarters: Range<u32>, share: u64| {
        for quarter in quarters.clone() {
            for user in 0..200 {
                let side = if user % 100 < share { Side::Candidate } else { Side::Active };
                let note = |what, age| {
                    let whose = (quarter, u64::from(quarter) * 1_000 + user);
                    // Keys that differ in their last bit only are one to the table of those served.
                    Note::new(EnvironmentId(1), whose, Some(draw(3, user)), what, ms(age))
                };
                recorder.note(0, side, &note(What::Began, 0));
            }
        }
        recorder.hear(0, ms(0)..ms(u64::from(quarters.end) * 250));
    };
    let mut split = SplitCheck::default();
    split.change(0.1);
    let mut largest = 0.0_f64;
    let mut judge = |records: Vec<Record>| {
        for record in records {
            match record {
                Record::Change(change) => split.change(change.share),
                Record::Tick(tick) => {
                    tick.new_keys.into_iter().for_each(|keys| split.see(tick.now, keys));
                }
                _ => {}
            }
            largest = largest.max(split.value());
        }
    };
    arrive(&mut recorder, 0..8, 10);
    judge(taken(&mut recorder, ms(2_000)));
    recorder.announce_change(ms(2_050));
    arrive(&mut recorder, 8..16, 50);
    judge(taken(&mut recorder, ms(4_000)));
    recorder.change(0.5, true, ms(2_050)..ms(4_010));
    arrive(&mut recorder, 16..40, 50);
    judge(taken(&mut recorder, ms(10_000)));
    assert!(largest < 2.0, "{largest}");
    assert_eq!(split.counted(), (0.5, Both { active: 100, candidate: 100 }));
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut recorder = begun(1);
    let mut exchange = 0;
    for quarter in 0..160 {
        for _ in 0..2_000 {
            exchange += 1;
            let side = if exchange % 10 == 0 { Side::Candidate } else { Side::Active };
            recorder.note(0, side, &note(quarter, exchange, What::Began, 0));
            if exchange % 2 == 0 {
                recorder.note(0, side, &note(quarter, exchange, What::FailedEarly, 100));
            }
        }
        let now = ms(u64::from(quarter) * 250 + 250);
        recorder.hear(0, ms(0)..now);
        for record in taken(&mut recorder, now) {
            let Record::Tick(tick) = record else { continue };
            assert!(tick.errors.iter().all(|reading| reading.hits.len() <= 1_024));
        }
        let times: usize = recorder.cohorts.all.iter().map(|cohort| cohort.times.len()).sum();
        let failures: usize = recorder.cohorts.all.iter().map(|cohort| cohort.failures.len()).sum();
        assert_eq!((recorder.timed, recorder.failures), (times, failures));
        assert!(times <= REQUESTS_MAX && failures <= FAILURES_MAX);
        assert!(recorder.cohorts.all.len() <= 64, "ticks are forgotten once they are read");
    }
    (0..2 * SCORES_MAX).for_each(|_| recorder.score(Side::Active, None, ms(0), 0.5));
    assert_eq!(recorder.scores.len(), SCORES_MAX);
    (0..200).for_each(|n| recorder.change(0.2, true, ms(100_000 + n)..ms(100_000 + n)));
    assert_eq!(recorder.changes.len(), CHANGES_MAX);
}

#[test]
fn a_slow_pace_is_told_when_streams_have_reached_the_last_age() {
    let mut setup = begun(1).setup;
    setup.signal = LatencySignal::Tpot;
    setup.latency_max = ms(50);
    let mut recorder = Recorder::new(setup);
    recorder.baseline(&Baseline { tpot: Some([20, 30, 40].map(ms)), ..Baseline::default() });
    recorder.hear(0, ms(0)..ms(20_000));
    for (side, exchange, pace_ms) in [(Side::Active, 1, 15), (Side::Candidate, 2, 35)] {
        let whose = (0, exchange);
        let note = |what, age| Note::new(EnvironmentId(1), whose, None, what, ms(age));
        recorder.note(0, side, &note(What::Began, 0));
        recorder.note(0, side, &note(What::FirstContent, 200));
        recorder.note(0, side, &Note::paced(EnvironmentId(1), whose, None, ms(pace_ms)));
        recorder.note(0, side, &note(What::Ended, 9_000));
    }
    let records = taken(&mut recorder, ms(20_000));
    let read = ticks(&records).flat_map(|tick| tick.slow.iter().map(|slow| (tick.now, slow)));
    let first: Vec<_> = read.filter(|(_, slow)| slow.from == Tick(0)).collect();
    let slow_of = |(now, reading): &(Tick, &SlowReading)| {
        assert_eq!((reading.measure, *now), (Measure::Latency, Tick::of_second(16)));
        (reading.counts.active.slow, reading.counts.candidate.slow)
    };
    assert_eq!(first.iter().map(slow_of).collect::<Vec<_>>(), [(0, 1), (0, 1), (0, 0)]);
    assert!(
        ticks(&records).flat_map(|tick| &tick.limit).all(|reading| reading.over.candidate == 0)
    );
}

#[test]
fn who_tells_what_it_asks_for_is_late_as_soon_as_it_is() {
    let mixed = Baseline { ttft: Some([100, 200, 400].map(ms)), ..Baseline::default() };
    // A second in which nothing comes of a request: read when, and as what? What came before it was known
    // who tells is read late, and first.
    for (asks, read_at, counts) in [
        (Some(What::AsksStream), 117, (1, 1)),
        (Some(What::AsksWhole), 117, (0, 0)),
        (None, 116 + 60, (0, 0)),
    ] {
        let mut recorder = begun(1);
        let begin = |recorder: &mut Recorder, quarter: u32, exchange: u64| {
            for (what, age) in [(Some(What::Began), 0), (asks, 3)] {
                let note = what.map(|what| {
                    Note::new(EnvironmentId(1), (quarter, exchange), None, what, ms(age))
                });
                note.iter().for_each(|note| recorder.note(0, Side::Active, note));
            }
        };
        recorder.baseline(&mixed);
        recorder.hear(0, ms(0)..ms(28_000));
        (0..160).for_each(|n: u32| begin(&mut recorder, n / 4, n.into()));
        taken(&mut recorder, ms(28_000));
        begin(&mut recorder, 112, 999);
        recorder.hear(0, ms(0)..ms(50_000));
        let records = taken(&mut recorder, ms(50_000));
        let read = ticks(&records).flat_map(|tick| tick.slow.iter().map(|slow| (tick.now.0, slow)));
        let read: Vec<_> = read
            .filter(|(_, slow)| slow.quantile == Quantile::P50 && slow.from == Tick(112))
            .map(|(now, slow)| (now, (slow.counts.active.n, slow.counts.active.slow)))
            .collect();
        assert_eq!(read, [(read_at, counts)], "{asks:?}");
    }
}

#[test]
fn goes_on_after_a_restart_with_the_next_tick() {
    let mut recorder = Recorder::new(Setup {
        cores: 1,
        began: ms(10_100),
        first: Tick(77),
        users_before: Some(40),
        share: 0.25,
        latency_max: Duration::from_secs(5),
        signal: LatencySignal::Auto,
        seed: 1,
    });
    recorder.hear(0, ms(10_120)..ms(11_000));
    recorder.note(0, Side::Active, &note(40, 1, What::Began, 0));
    recorder.note(0, Side::Active, &note(41, 2, What::Began, 0));
    let records = taken(&mut recorder, ms(11_000));
    let arrivals: Vec<_> = ticks(&records).flat_map(|tick| &tick.arrivals).collect();
    assert_eq!(
        arrivals.iter().map(|a| (a.from.0, a.n.active)).collect::<Vec<_>>(),
        [(77, 1), (78, 0), (79, 0)]
    );
    assert!((recorder.share() - 0.25).abs() < 1e-12 && recorder.now() == Tick(80));
    assert_eq!(BEGAN_MS % 250, 10, "the traffic of these tests begins within a quarter");
}

/// The next tick has one user where there were forty, and the split check has counted them all.
#[test]
fn a_restart_makes_no_users_few_and_none_new() {
    let mut recorder = Recorder::new(Setup { users_before: Some(40), ..begun(1).setup });
    recorder.hear(0, ms(0)..ms(1_000));
    recorder.note(0, Side::Candidate, &note(0, 1, What::Began, 0));
    recorder.note(0, Side::Candidate, &note(4, 2, What::Began, 0));
    let told = |records: &[Record]| -> (Vec<u32>, Vec<Both<u32>>) {
        let (users, new) = (|t: &TickRecord| t.keys_of_hour, |t: &TickRecord| t.new_keys);
        (ticks(records).filter_map(users).collect(), ticks(records).filter_map(new).collect())
    };
    assert_eq!(told(&taken(&mut recorder, ms(1_000))), (vec![40], vec![]));
    recorder.change(0.2, true, ms(1_000)..ms(1_000));
    recorder.hear(0, ms(1_000)..ms(3_000));
    recorder.note(0, Side::Candidate, &note(8, 1, What::Began, 0));
    let new = Both { active: 0, candidate: 1 };
    assert_eq!(told(&taken(&mut recorder, ms(3_000))), (vec![], vec![new]));
}

/// Sticky by request id, every request is the first of its key.
#[test]
fn where_keys_do_not_come_back_the_limit_counts_them_all_the_same() {
    for keys in [u64::MAX, 2] {
        let (mut recorder, mut records) = (begun(1), Vec::new());
        for quarter in 0..4 * 430 {
            let (exchange, now) = (u64::from(quarter), ms(u64::from(quarter) * 250 + 250));
            let key = Some(draw(9, exchange % keys));
            let note = |what, age| Note::new(EnvironmentId(1), (quarter, exchange), key, what, age);
            recorder.note(0, Side::Active, &note(What::Began, ms(0)));
            recorder.note(0, Side::Active, &note(What::Answered, ms(200)));
            recorder.hear(0, ms(0)..now);
            records.extend(taken(&mut recorder, now));
        }
        let limits = || ticks(&records).flat_map(|tick| &tick.limit);
        let of_minute = |minute: u32| -> u32 {
            let span = Tick::of_second(minute * 60)..Tick::of_second(minute * 60 + 60);
            limits().filter(|reading| span.contains(&reading.from)).map(|r| r.n.active).sum()
        };
        let are_strangers = keys > 2;
        assert_eq!(recorder.are_strangers(), are_strangers);
        assert_eq!(of_minute(1), if are_strangers { 0 } else { 240 });
        assert_eq!(of_minute(6), 240, "{keys} keys");
    }
}
