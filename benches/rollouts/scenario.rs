//! The rows: what each sets up, what goes wrong when, and what is asked of it.

use std::time::Duration;

/// Pace of an answer, in the words of `cyan mock-llm`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Time to the first token.
    pub(crate) ttft: &'static str,
    /// Time between two tokens.
    pub(crate) gap: &'static str,
    /// Tokens of an answer.
    pub(crate) tokens: u32,
    /// How many times as long the first token of a user's first request takes.
    pub(crate) cold_factor: f64,
}

/// When something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onset {
    /// It was wrong before users came: counted from the beginning of the first step.
    StepStart,
    /// So long after the beginning of the first step.
    Later(Duration),
}

/// A fault of green.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// In the words of `cyan mock-llm --fault`.
    pub(crate) pairs: &'static [&'static str],
    /// When it begins.
    pub(crate) onset: Onset,
}

/// What every run of a row has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// Green goes to 100 % and stays there.
    Through,
    /// Green is rolled back, in the median after at most so many of its requests.
    Requests(u64),
    /// Green is rolled back, in the median within this time.
    Within(Duration),
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it is asked for.
    pub(crate) asked: Asked,
    /// Stages to run, unless the command line says otherwise.
    pub(crate) runs: u32,
    /// Rollouts on each stage, one after the other, to and fro.
    pub(crate) in_a_row: u32,
    /// Requests per second, all of them together.
    pub(crate) rate: u32,
    /// Users, each request is of one of them.
    pub(crate) users: u32,
    /// How blue answers.
    pub(crate) blue: Pace,
    /// How green answers.
    pub(crate) green: Pace,
    /// What is wrong with both all the time.
    pub(crate) usual: &'static [&'static str],
    /// What is wrong with green.
    pub(crate) fault: Option<Fault>,
    /// The plan's steps.
    pub(crate) steps: &'static [&'static str],
    /// The comparison's limit on green's share of failures.
    pub(crate) failures_max: f64,
    /// Traffic before the rollout starts.
    pub(crate) warm_up: Duration,
    /// The longest that one rollout may take.
    pub(crate) patience: Duration,
}

const S: fn(u64) -> Duration = Duration::from_secs;

/// Answers of 16 tokens within a second or two; times to the first token scatter as real ones do.
const USUAL: Pace = Pace { ttft: "lognormal:300ms,0.7", gap: "30ms", tokens: 16, cold_factor: 1.0 };
/// For rows with many requests: four tokens at once.
const SHORT: Pace = Pace { ttft: "lognormal:100ms,0.5", gap: "5ms", tokens: 4, cold_factor: 1.0 };
/// Times to the first token scatter little: before the switch it must be proved that their p99 is within
/// 200 ms of blue's, and with a sigma of 0.7 that takes minutes.
const STEADY: Pace =
    Pace { ttft: "lognormal:200ms,0.3", gap: "30ms", tokens: 16, cold_factor: 1.0 };
/// With a prefix cache.
const CACHED: Pace = Pace { cold_factor: 1.5, ..STEADY };
/// Answers of 20 s, an event per second.
const LONG: Pace = Pace { ttft: "lognormal:800ms,0.7", gap: "1s", tokens: 20, cold_factor: 1.0 };

/// 10 % for as long as it takes: what is measured happens there.
const AT_TEN: &[&str] = &["10% 10m", "100%"];
const AT_TWENTY_FIVE: &[&str] = &["25% 10m", "100%"];
const ALL_THE_WAY: &[&str] = &["1% 5s 5", "10% 10s 50", "50% 10s 200", "100%"];
const FIVE_STEPS: &[&str] = &["1% 10s 10", "5% 10s 50", "25% 10s 100", "50% 10s 200", "100%"];

/// A fault that began 20 s after the step.
const LATER: Onset = Onset::Later(Duration::from_secs(20));
/// Blue's p99 of request duration is below 15 s, the least that `A` can be; 30 s beyond it are asked.
const AGES_AND_30_S: Asked = Asked::Within(Duration::from_secs(15 + 30));

const TOTAL: &[&str] = &["status=1"];
const ERRORS: &[&str] = &["status=0.2"];
const ERRORS_FIRST: &[&str] = &["error_first=0.2"];
const ERRORS_MIDWAY: &[&str] = &["error_midway=0.2"];
const CUT: &[&str] = &["cut=0.5"];
const NOT_FOUND: &[&str] = &["status=0.1", "status_code=404"];
const SLOW: &[&str] = &["slow=1", "slow_factor=2"];

/// 5 requests of green per second at 10 %.
pub(crate) const HEALTHY: Scenario = Scenario {
    name: "healthy",
    asked: Asked::Through,
    runs: 10,
    in_a_row: 1,
    rate: 50,
    users: 1000, // fewer, and 1 % of them may be nobody
    blue: STEADY,
    green: STEADY,
    usual: &[],
    fault: None,
    steps: ALL_THE_WAY,
    failures_max: 0.01,
    warm_up: Duration::from_secs(6),
    patience: Duration::from_secs(300),
};

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = vec![
        HEALTHY,
        Scenario { name: "healthy-cached", blue: CACHED, green: CACHED, warm_up: S(60), ..HEALTHY },
        Scenario {
            name: "healthy-fast",
            green: Pace { ttft: "lognormal:100ms,0.3", gap: "15ms", ..STEADY },
            ..HEALTHY
        },
    ];
    all.extend(total_failures());
    all.extend(faults());
    all.push(Scenario {
        name: "live-aa",
        runs: 2,
        in_a_row: 5,
        rate: 200,
        users: 2000,
        blue: LONG,
        green: LONG,
        usual: &["status=0.01"],
        steps: FIVE_STEPS,
        failures_max: 0.05,
        // Errors end at once and good answers after 20 s: before a minute has passed, what has ended looks
        // worse than it is, and a start may be refused for it.
        warm_up: S(90),
        patience: S(600),
        ..HEALTHY
    });
    all
}

fn total_failures() -> Vec<Scenario> {
    let total = |name, asked, onset| Scenario {
        name,
        asked,
        runs: 20,
        blue: USUAL,
        green: USUAL,
        users: 300,
        fault: Some(Fault { pairs: TOTAL, onset }),
        steps: AT_TEN,
        patience: S(60),
        ..HEALTHY
    };
    vec![
        total("total-start", Asked::Requests(10), Onset::StepStart),
        total("total-later", Asked::Requests(12), LATER),
        Scenario { rate: 20, ..total("total-2-later", Asked::Requests(12), LATER) },
        Scenario {
            rate: 200,
            blue: SHORT,
            green: SHORT,
            ..total("total-20-start", Asked::Within(S(2)), Onset::StepStart)
        },
        Scenario {
            rate: 200,
            blue: SHORT,
            green: SHORT,
            ..total("total-20-later", Asked::Within(S(2)), LATER)
        },
        Scenario {
            rate: 200,
            blue: SHORT,
            green: SHORT,
            steps: AT_TWENTY_FIVE,
            ..total("total-50-later", Asked::Within(S(2)), LATER)
        },
    ]
}

fn faults() -> Vec<Scenario> {
    let row = |name, pairs, asked, onset| Scenario {
        name,
        asked,
        blue: USUAL,
        green: USUAL,
        users: 300,
        fault: Some(Fault { pairs, onset }),
        steps: AT_TEN,
        patience: S(240),
        ..HEALTHY
    };
    vec![
        row("errors-start", ERRORS, Asked::Requests(80), Onset::StepStart),
        row("errors-later", ERRORS, Asked::Requests(120), LATER),
        row("in-band-start", ERRORS_FIRST, Asked::Requests(80), Onset::StepStart),
        row("in-band-later", ERRORS_FIRST, Asked::Requests(120), LATER),
        row("in-band-midway", ERRORS_MIDWAY, AGES_AND_30_S, LATER),
        row("cut", CUT, AGES_AND_30_S, LATER),
        row("404", NOT_FOUND, Asked::Requests(120), LATER),
        row("slow-start", SLOW, Asked::Requests(280), Onset::StepStart),
        row("slow-later", SLOW, Asked::Requests(550), LATER),
    ]
}

impl Pace {
    /// What an answer may take at most, generously: for sizing the load.
    pub(crate) fn answer_max(self) -> Duration {
        let gap: Duration = if self.gap == "1s" { S(1) } else { Duration::from_millis(30) };
        S(10) + gap * self.tokens
    }
}
