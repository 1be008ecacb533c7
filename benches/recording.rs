//! What recording costs a core, and what the records occupy.
//!
//! `cargo bench --bench recording` prints both. Times are means over a second of a core's work with its
//! collection at the end; memory is what the allocator was asked for and not given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use cyan::control_plane::windows::{Span, Windows};
use cyan::data_plane::recorder::Recorder;
use cyan::judge::record::{Measure as RecordMeasure, Side};
use cyan::judge::recorder::{Baseline, Recorder as JudgeRecorder, Setup};
use cyan::judge::tick::Tick;
use cyan::metrics::cohort::{Mark, Marks};
use cyan::metrics::cohort_log::CohortLog;
use cyan::metrics::measure::Measure;
use cyan::metrics::near_map::NearMap;
use cyan::metrics::shard::{Ended, Values};
use cyan::model::answer::{FinishReason, Inspection, Tokens};
use cyan::model::environment::EnvironmentId;
use cyan::model::note::{Note, What};
use cyan::model::plan::LatencySignal;
use cyan::model::upstream::UpstreamId;
use cyan::model::verdict::Verdict;

#[path = "../tests/it/support/tables.rs"]
#[allow(dead_code, reason = "shared with tests that need the rest")]
mod tables;

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is handed to the system's allocator unchanged; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Events, or exchanges, between two collections.
const PER_COLLECTION: u32 = 20_000;
/// How often a window is read.
const READS: u32 = 200;
const COLLECTIONS: u32 = 50;

fn main() {
    let recorder = Recorder::counting(1);
    let arrived = Instant::now();
    cost("gap, one environment", &recorder, |n| {
        recorder.gap(EnvironmentId(1), wait(n));
    });
    cost("gap, two in turn", &recorder, |n| {
        recorder.gap(EnvironmentId(1 + n % 2), wait(n));
    });
    cost("gap, 100 in turn", &recorder, |n| {
        recorder.gap(EnvironmentId(n % 100), wait(n));
    });
    cost("mark", &recorder, |n| {
        recorder.mark(EnvironmentId(1 + n % 2), arrived, Mark::FirstContent, wait(n));
    });
    cost("joins, nobody observes", &recorder, |n| {
        black_box(recorder.noted_from(EnvironmentId(1 + n % 2)));
    });
    noting(&recorder);
    cost("ended", &recorder, |n| recorder.ended(&ended(1 + n % 2, n)));
    memory();
    observing();
}

/// What one rollout costs the control plane: 500 requests per second for ten minutes, as records.
fn observing() {
    let mut recorder = judge_recorder();
    let before = HELD.load(Ordering::Relaxed);
    let began = Instant::now();
    let (mut records, mut bytes, mut late) = (0, 0, VecDeque::new());
    for quarter in 0..2_400_u32 {
        let now = Duration::from_millis(u64::from(quarter + 1) * 250);
        recorder.hear(0, Duration::ZERO..now);
        for n in 0..125 {
            let number = quarter * 125 + n;
            let side = if n % 10 == 0 { Side::Candidate } else { Side::Active };
            recorder.note(0, side, &happened(quarter, number, What::Began));
            late.push_back((side, happened(quarter, number, fate(number))));
        }
        while late.front().is_some_and(|(_, note): &(Side, Note)| note.arrived + 2 < quarter) {
            let (side, note) = late.pop_front().expect("there is a first");
            recorder.note(0, side, &note);
        }
        while let Some(record) = recorder.take(now) {
            records += 1;
            bytes += serde_json::to_string(&record).map_or(0, |line| line.len());
        }
    }
    println!("{:24} {:?}", "a request, recorded", began.elapsed() / (2_400 * 125));
    println!("{:24} {records} of {} bytes", "records of 10 min", bytes / records.max(1));
    held("a recorder, 500/s", before);
}

fn judge_recorder() -> JudgeRecorder {
    let mut recorder = JudgeRecorder::new(Setup {
        cores: 1,
        began: Duration::ZERO,
        first: Tick(0),
        users_before: None,
        share: 0.1,
        latency_max: Duration::from_secs(5),
        signal: LatencySignal::Auto,
        seed: 1,
    });
    let seconds = [1, 2, 4].map(Duration::from_secs);
    recorder.baseline(&Baseline {
        ttft: Some(seconds),
        duration_p99: Some(Duration::from_secs(30)),
        silent: Some(RecordMeasure::Ttft),
        ..Baseline::default()
    });
    recorder
}

/// One in a hundred fails.
fn fate(number: u32) -> What {
    if number.is_multiple_of(100) { What::FailedEarly } else { What::FirstContent }
}

fn happened(quarter: u32, number: u32, what: What) -> Note {
    let age = if what == What::Began { Duration::ZERO } else { wait(number) / 2 };
    let whose = (quarter, u64::from(number));
    Note::new(EnvironmentId(1), whose, Some(u64::from(number % 5_000)), what, age)
}

/// While a judge observes: who joins asks for the time, and each thing that happens is written down.
fn noting(recorder: &Recorder) {
    let pair = [EnvironmentId(1), EnvironmentId(2)];
    let hand_over = || recorder.observed.hand_over(pair, Instant::now());
    hand_over();
    cost("joins, observed", recorder, |n| {
        black_box(recorder.noted_from(EnvironmentId(1 + n % 2)));
    });
    cost("note, observed", recorder, |n| {
        let (environment, whose) = (EnvironmentId(1 + n % 2), (n / 400, u64::from(n)));
        let key = Some(u64::from(n % 500));
        recorder.observed.note(Note::new(environment, whose, key, What::FirstContent, wait(n)));
        if n == PER_COLLECTION - 1 {
            black_box(hand_over());
        }
    });
}

fn cost(what: &str, recorder: &Recorder, mut work: impl FnMut(u32)) {
    let began = Instant::now();
    for _ in 0..COLLECTIONS {
        (0..PER_COLLECTION).for_each(|n| work(black_box(n)));
        black_box(recorder.collect(Instant::now()));
    }
    let each = began.elapsed() / (COLLECTIONS * PER_COLLECTION);
    println!("{what:24} {each:?}");
}

fn memory() {
    let recorder = Recorder::counting(1);
    let before = HELD.load(Ordering::Relaxed);
    (0..PER_COLLECTION).for_each(|n| {
        recorder.ended(&ended(1, n));
        recorder.gap(EnvironmentId(1), wait(n));
    });
    held("a core's counts, chat", before);

    let before = HELD.load(Ordering::Relaxed);
    let mut log = CohortLog::new(1);
    for second in 0..2_100 {
        let mut marks = Marks::default();
        for n in 0..200 {
            marks.add(EnvironmentId(1), second, Mark::Began, Duration::ZERO);
            marks.add(EnvironmentId(1), second, Mark::FirstContent, wait(n));
            marks.add(EnvironmentId(1), second, Mark::Ended, wait(n) * 40);
        }
        log.add(0, &marks, &NearMap::default(), None);
    }
    held("35 min of cohorts, 200/s", before);
    black_box(&log);

    let table = tables::table(&tables::assignment(&[9_500, 500], 1));
    let before = HELD.load(Ordering::Relaxed);
    let mut windows = Windows::default();
    windows.know([&table].into_iter(), Duration::ZERO);
    for second in 0..1_000 {
        (0..50).for_each(|n| recorder.ended(&ended(0, second * 50 + n)));
        (0..5_000).for_each(|n| recorder.gap(EnvironmentId(0), wait(second * 5_000 + n)));
        windows.add(&recorder.collect(Instant::now()), Duration::from_secs(second.into()));
    }
    held("15 min of windows, 50/s", before);
    let now = Duration::from_secs(1_000);
    for (what, span) in [
        ("read 5 min to compare", Span::Past(Duration::from_secs(300))),
        ("read 15 min to compare", Span::Past(Duration::from_secs(900))),
        ("read a step to compare", Span::Step),
    ] {
        let began = Instant::now();
        for _ in 0..READS {
            let measures = [Measure::Ttft, Measure::Total];
            black_box(windows.read_some(EnvironmentId(0), span, &measures, now));
        }
        println!("{what:24} {:?}", began.elapsed() / READS);
    }
}

fn held(what: &str, before: isize) {
    println!("{what:24} {} KiB", (HELD.load(Ordering::Relaxed) - before) / 1024);
}

/// 20 ms to 1.3 s, spread like times are.
fn wait(n: u32) -> Duration {
    let spread = n.wrapping_mul(2_654_435_769) >> 16;
    Duration::from_micros(20_000 + u64::from(spread) * u64::from(spread) / 3_300)
}

fn values(n: u32) -> Values {
    let tokens = Tokens {
        input: Some(u64::from(n % 4_000)),
        cached: None,
        output: Some(u64::from(n % 700)),
        is_output_estimated: false,
    };
    Values {
        latency: wait(n) * 40,
        connect: None,
        response_head: Some(wait(n)),
        ttft: Some(wait(n)),
        tpot: Some(wait(n) / 20),
        request_bytes: u64::from(n % 9_000),
        response_bytes: u64::from(n % 90_000),
        tokens,
        finish: Some(FinishReason::Stop),
        inspection: Inspection::Read,
    }
}

fn ended(environment: u32, n: u32) -> Ended {
    Ended {
        environment: EnvironmentId(environment),
        upstream: Some(UpstreamId(environment)),
        verdict: Verdict::Complete,
        is_verdict_counted: false,
        status: 200,
        values: Some(values(n)),
        is_tunnel: false,
        forced: false,
        client_retry: false,
        replayed: false,
        handed_over: false,
    }
}
