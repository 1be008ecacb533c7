//! The rows of the table: each a world, what is asked of it, and the figure that it is held against.

use crate::requirement::Asks;
use crate::world::{Fault, FaultKind, Users, World};

/// One row.
pub struct Row {
    pub name: &'static str,
    pub asks: Asks,
    pub world: World,
    /// Runs that this project publishes.
    pub runs: u32,
}

impl Row {
    fn healthy(name: &'static str, world: World, runs: u32) -> Self {
        Self { name, asks: Asks::Healthy, world, runs }
    }

    fn found(name: &'static str, world: World, median: u32, runs: u32) -> Self {
        let asks = Asks::Found { median: Some(median), share: 1.0 };
        Self { name, asks, world, runs }
    }

    /// The method's first simulation found the fault in this share of the runs only.
    fn in_share(self, share: f64) -> Self {
        let Asks::Found { median, .. } = self.asks else { return self };
        Self { asks: Asks::Found { median, share }, ..self }
    }
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;

pub fn all() -> Vec<Row> {
    let mut rows = by_arrival();
    rows.extend(healthy());
    rows.extend(found());
    rows.extend(independent());
    rows.extend(other_traffic());
    rows.extend(after_the_switch());
    rows.extend(neither_errors_nor_ttft());
    rows
}

/// Long answers: counting by completion would accuse every candidate that grows.
fn by_arrival() -> Vec<Row> {
    [
        ("a/a, 10 req/s, answers of 20 s", 10.0, 20.0, 200),
        ("a/a, 50 req/s, answers of 20 s", 50.0, 20.0, 200),
        ("a/a, 100 req/s, answers of 5 s", 100.0, 5.0, 200),
        ("a/a, 100 req/s, answers of 20 s", 100.0, 20.0, 200),
        ("a/a, 100 req/s, answers of 60 s", 100.0, 60.0, 200),
        ("a/a, 500 req/s, answers of 20 s", 500.0, 20.0, 100),
    ]
    .into_iter()
    .map(|(name, rate, answer_seconds, runs)| {
        let world = World { rate, answer_seconds, judges_ttft: false, ..World::twenty_minutes() };
        Row::healthy(name, world, runs)
    })
    .collect()
}

fn healthy() -> Vec<Row> {
    let row = Row::healthy;
    let unlike_errors = |users| World {
        users: Users::Zipf(users),
        error_rate: 0.003,
        unlike_errors: Some((0.05, 0.15)),
        ..World::day()
    };
    let unlike_ttft =
        World { users: Users::Zipf(500), ttft_sigma: 0.4, ttft_sigma_users: 0.55, ..World::day() };
    let both = |from, until, kind| Some(Fault { from, until, on_both: true, kind });
    let incident =
        |from, until| World { fault: both(from, until, FaultKind::Incident(0.2)), ..World::day() };
    let twice_as_fast = World {
        rate: 50.0,
        answer_seconds: 20.0,
        candidate_answer_factor: 0.5,
        cut_rate: 0.02,
        ..World::twenty_minutes()
    };
    vec![
        row("a/a, independent users, 24 h", World::day(), 200),
        row("a/a, 500 users by Zipf, unlike errors, 24 h", unlike_errors(500), 200),
        row("a/a, 5000 users by Zipf, unlike errors, 24 h", unlike_errors(5_000), 100),
        row("a/a, 500 users by Zipf, unlike TTFT, 24 h", unlike_ttft, 300),
        row(
            "a/a, moved keys meet a cold cache (TTFT x 1.5), 24 h",
            World { users: Users::Zipf(500), cold_cache: 1.5, ..World::day() },
            100,
        ),
        row("a/a, candidate twice as fast, equal cuts", twice_as_fast, 200),
        row("shared incident of 30 min at 20 h", incident(20.0 * HOUR, 20.5 * HOUR), 100),
        row("shared incident of 30 min in the 5 % step", incident(6.17 * HOUR, 6.67 * HOUR), 100),
        row(
            "bursts that hit both, 2 s every 10 min",
            World {
                fault: both(0.0, f64::INFINITY, FaultKind::Bursts(600.0, 0.5)),
                ..World::day()
            },
            100,
        ),
    ]
}

fn found() -> Vec<Row> {
    let row = Row::found;
    let at = |rate, from, hours: u32, kind| World {
        rate,
        steps: vec![(0.1, hours * 3_600)],
        fault: Some(Fault::candidate(from, kind)),
        ..World::plain()
    };
    let total = FaultKind::Errors(1.0);
    let users = |world: World, number| World { users: Users::Equal(number), ..world };
    let answers = |world: World| World { answer_seconds: 20.0, ..world };
    let unlike = |world: World| World {
        users: Users::Zipf(500),
        ttft_sigma: 0.4,
        ttft_sigma_users: 0.55,
        ..world
    };
    let five = FaultKind::Errors(0.05);
    let twice = FaultKind::Ttft(2.0);
    vec![
        row("0 -> 100 % errors, 50 req/s, step start", at(50.0, 0.0, 1, total), 8, 1_000),
        row("0 -> 100 % errors, 50 req/s, after 1 h", at(50.0, HOUR, 2, total), 11, 200),
        row("0 -> 100 % errors, 5 req/s, step start", at(5.0, 0.0, 1, total), 4, 1_000),
        row("0 -> 100 % errors, 5 req/s, after 1 h", at(5.0, HOUR, 2, total), 9, 500),
        row("1 -> 5 % errors, independent", at(10.0, 0.0, 6, five), 220, 500),
        row("1 -> 5 % errors, 500 users", users(at(10.0, 0.0, 6, five), 500), 239, 500),
        row(
            "20 % errors, step start",
            users(at(10.0, 0.0, 2, FaultKind::Errors(0.2)), 500),
            56,
            500,
        ),
        row(
            "20 % errors, after 30 min",
            users(at(10.0, 30.0 * MINUTE, 2, FaultKind::Errors(0.2)), 500),
            90,
            500,
        ),
        row(
            "20 % in band anywhere in answers of 20 s",
            answers(users(at(10.0, 0.0, 2, FaultKind::Cut(0.2)), 500)),
            240,
            200,
        ),
        row(
            "half of the streams cut, answers of 20 s",
            answers(users(at(10.0, 0.0, 2, FaultKind::Cut(0.5)), 500)),
            234,
            200,
        ),
        row(
            "TTFT x 2, unlike users, 50 req/s, step start",
            unlike(at(50.0, 0.0, 1, twice)),
            222,
            200,
        )
        .in_share(0.94),
        row(
            "TTFT x 2, unlike users, 50 req/s, after 10 min",
            unlike(at(50.0, 10.0 * MINUTE, 1, twice)),
            439,
            200,
        )
        .in_share(0.94),
        row("TTFT x 2, independent, 50 req/s, step start", at(50.0, 0.0, 1, twice), 41, 200),
        row(
            "10 % answered 404, 50 req/s",
            users(at(50.0, 0.0, 1, FaultKind::Refused(0.1)), 500),
            92,
            200,
        ),
        row(
            "10 % answered 404, 5 req/s",
            users(at(5.0, 0.0, 6, FaultKind::Refused(0.1)), 500),
            82,
            200,
        ),
        row("503 to everybody, 10 req/s", at(10.0, 0.0, 1, total), 12, 200),
        row("404 to everybody, 10 req/s", at(10.0, 0.0, 1, FaultKind::Refused(1.0)), 12, 500),
        row("errors x 5 after 18.5 h, 500 users", late_fault(), 1_161, 100).in_share(0.88),
    ]
}

/// Requests that are users of their own, at ten a second, as the method was first simulated (with other
/// shares of the coin).
fn independent() -> Vec<Row> {
    let row = |name, from, kind, median| {
        let steps = vec![(0.1, 8 * 3_600)];
        let fault = Some(Fault::candidate(from, kind));
        let world = World { steps, fault, ..World::plain() };
        Row::found(name, world, median, 100)
    };
    let slow = |name, median, kind| row(name, 0.0, kind, median);
    let rare_errors = World { rate: 1.0, error_rate: 0.001, ..World::day() };
    let healthy = "a/a, 1 req/s, 0.1 % errors, 24 h";
    vec![
        Row::healthy(healthy, rare_errors, 200),
        row("alone: 0 -> 100 % errors", 0.0, FaultKind::Errors(1.0), 5),
        row("alone: 1 -> 5 % errors", 0.0, FaultKind::Errors(0.05), 228),
        row("alone: 1 -> 2 % errors", 0.0, FaultKind::Errors(0.02), 2_084),
        row("alone: 1 -> 5 % errors, after 6 h", 6.0 * HOUR, FaultKind::Errors(0.05), 494),
        row("alone: 1 -> 100 % errors, after 6 h", 6.0 * HOUR, FaultKind::Errors(1.0), 11),
        slow("alone: TTFT + 20 %", 388, FaultKind::Ttft(1.2)),
        slow("alone: TTFT + 100 %", 34, FaultKind::Ttft(2.0)),
        row("alone: TTFT + 100 %, after 6 h", 6.0 * HOUR, FaultKind::Ttft(2.0), 82),
    ]
}

/// Little, much and comfortable traffic, trouble in the tail alone, and users who do not come as set.
fn other_traffic() -> Vec<Row> {
    let comfortable = |rate| World { rate, ttft_median: 0.39, error_rate: 0.005, ..World::day() };
    let little = World { rate: 0.2, ..World::day() };
    let little_and_failing = World {
        rate: 0.2,
        steps: vec![(0.05, 8 * 3_600)],
        fault: Some(Fault::candidate(0.0, FaultKind::Errors(1.0))),
        ..World::plain()
    };
    let tail = |factor| World {
        steps: vec![(0.1, 8 * 3_600)],
        fault: Some(Fault::candidate(0.0, FaultKind::Tail(factor))),
        ..World::plain()
    };
    let wrong_split = World {
        users: Users::Equal(20_000),
        split_factor: 1.25,
        steps: vec![(0.05, 6 * 3_600)],
        ..World::plain()
    };
    vec![
        Row { asks: Asks::Kept, ..Row::healthy("a/a, 0.2 req/s, 24 h", little, 300) },
        Row::healthy("a/a, 100 req/s, 24 h", World { rate: 100.0, ..World::day() }, 20),
        Row::healthy("a/a, comfortable limits, 10 req/s, 24 h", comfortable(10.0), 100),
        Row::healthy("a/a, comfortable limits, 1 req/s, 24 h", comfortable(1.0), 150),
        Row::found("alone: 0 -> 100 % errors, 0.2 req/s, 5 %", little_and_failing, 4, 200),
        Row::found("alone: TTFT + 20 %, slowest tenth only", tail(1.2), 5_076, 100),
        Row::found("alone: TTFT + 100 %, slowest tenth only", tail(2.0), 499, 100),
        Row { asks: Asks::Held, ..Row::healthy("split 6.25 % where 5 % is set", wrong_split, 100) },
    ]
}

/// Gaps, watched ends and scores while users are served, and whose fault it is.
fn neither_errors_nor_ttft() -> Vec<Row> {
    let users = World { users: Users::Equal(500), ..World::plain() };
    let streams = World { gap: Some((0.03, 0.7)), answer_seconds: 20.0, ..users.clone() };
    let scored = World { scores: Some(0.85), ..users.clone() };
    let watched = World { watched_rate: 0.02, ..users.clone() };
    let faulty =
        |world: &World, kind| World { fault: Some(Fault::candidate(0.0, kind)), ..world.clone() };
    let of_a_day = |world: World| World { steps: World::day().steps, ticks_per_record: 4, ..world };
    let found = |name, world| Row {
        // No figure was ever asked for: users must confirm, and now and then too few are hit.
        asks: Asks::Found { median: None, share: 0.95 },
        ..Row::healthy(name, world, 100)
    };
    let row = |name, asks, world| Row { asks, ..Row::healthy(name, world, 100) };
    let shortly_after_a_step =
        Fault { from: 330.0, until: 30.0 * MINUTE, on_both: true, kind: FaultKind::Incident(0.2) };
    let two_steps = World {
        rate: 50.0,
        steps: vec![(0.05, 300), (0.25, 1_800)],
        fault: Some(shortly_after_a_step),
        ..World::plain()
    };
    // 0.6 % take longer than 5 s.
    let slow_tail = World { ttft_sigma: 0.7295, ..World::day() };
    vec![
        Row::healthy(
            "a/a, gaps, watched ends and scores judged as well, 24 h",
            of_a_day(World { watched_rate: 0.02, scores: Some(0.85), ..streams.clone() }),
            100,
        ),
        found("gap x 2, step start", faulty(&streams, FaultKind::Gap(2.0))),
        found("gap x 1.5, step start", faulty(&streams, FaultKind::Gap(1.5))),
        row("10 % answered 429, from 2 %", Asks::Held, faulty(&watched, FaultKind::Watched(0.1))),
        found("scores of 0.60, from 0.85", faulty(&scored, FaultKind::Scores(0.60))),
        found("scores of 0.75, from 0.85", faulty(&scored, FaultKind::Scores(0.75))),
        row("shared incident 30 s after the step to 25 %", Asks::SteppedBack, two_steps),
        row("0.6 % slower than the limit of 1 %, 24 h", Asks::GateOpen, slow_tail),
    ]
}

/// A ramp of a day whose last step goes bad after half an hour.
fn late_fault() -> World {
    let fault = Fault::candidate(18.5 * HOUR, FaultKind::ErrorsTimes(5.0));
    let mut steps = World::day().steps;
    steps[3].1 = 2 * 3_600 + 1_800;
    World { users: Users::Equal(500), fault: Some(fault), steps, ..World::day() }
}

fn after_the_switch() -> Vec<Row> {
    let switched = |rate: f64, requests: u32| World {
        rate: 20.0,
        steps: vec![(1.0, requests / 20)],
        fault: Some(Fault::candidate(0.0, FaultKind::Errors(rate))),
        refused_rate: 0.0,
        ..World::plain()
    };
    let row = |name, rate, median, requests, runs| {
        Row::found(name, switched(rate, requests), median, runs)
    };
    let total = World { rate: 10.0, ..switched(1.0, 4_000) };
    let mut rows = vec![
        row("switched, 6 % errors against 5 %", 0.06, 8_588, 80_000, 100),
        row("switched, 7 % errors", 0.07, 2_479, 40_000, 200),
        row("switched, 10 % errors", 0.10, 510, 40_000, 200),
        Row::found("switched, 100 % errors", total, 8, 1_000),
    ];
    for (name, users) in [
        ("switched, exactly 5 %, keyless, 40 000 requests", Users::Keyless),
        ("switched, exactly 5 %, 500 users, 40 000 requests", Users::Equal(500)),
    ] {
        let world = World { users, error_rate: 0.05, fault: None, ..switched(0.05, 40_000) };
        rows.push(Row::healthy(name, world, 200));
    }
    let scored = |mean| World {
        users: Users::Zipf(500),
        scores: Some(mean),
        fault: None,
        ..switched(0.0, 40_000)
    };
    let fault = Some(Fault::candidate(0.0, FaultKind::Scores(0.60)));
    rows.push(Row {
        // No figure was ever asked for.
        asks: Asks::Found { median: None, share: 0.95 },
        ..Row::healthy("switched, scores of 0.60", World { fault, ..scored(0.85) }, 100)
    });
    let name = "switched, scores of exactly 0.70, 500 users by Zipf, 40 000 requests";
    rows.push(Row::healthy(name, scored(0.70), 100));
    rows
}
