//! A minute of traffic on three cores, with every fate that a request can have, and what is to be
//! counted of it by the definitions alone.

use std::time::Duration;

use super::super::super::record::{
    Both, ErrorAge, ErrorCounts, Measure, Quantile, Side, SlowCounts,
};
use super::super::super::tick::Tick;
use super::super::draw::draw;
use super::super::{Baseline, Recorder, Setup};
use crate::model::environment::EnvironmentId;
use crate::model::note::{Note, What};
use crate::model::plan::LatencySignal;

/// When the recorder begins, since the epoch; traffic is older.
pub const BEGAN_MS: u64 = 5_010;
/// When the share begins to change, and when it has.
pub const CHANGED_MS: [u64; 2] = [30_130, 30_230];
/// When traffic ends. Records go on for as long as the last age.
pub const END_MS: u64 = 60_000;
const LAST_MS: u64 = END_MS + 30_000;
const CORES: usize = 3;
const TTFT_MS: [u64; 3] = [300, 800, 2_000];
const LATENCY_MS: [u64; 3] = [500, 1_500, 4_000];
const LIMIT_MS: u64 = 5_000;
const FINAL_MS: u64 = 20_000;

/// The first tick that begins at a moment or after it.
pub fn first_tick_after(ms: u64) -> Tick {
    Tick(u32::try_from(ms.div_ceil(250) - BEGAN_MS.div_ceil(250)).unwrap())
}

pub struct Traffic {
    requests: Vec<Request>,
}

struct Request {
    number: u64,
    core: usize,
    side: Side,
    key: Option<u64>,
    began_ms: u64,
    /// How it asks for its answer, and when that is known.
    asks: Option<(Measure, u64)>,
    fate: Fate,
}

/// What becomes of a request, at ages in milliseconds.
#[derive(Clone, Copy)]
enum Fate {
    Streams { content: u64, end: u64 },
    BreaksOff { content: u64, end: u64 },
    Answers { end: u64 },
    Fails { end: u64 },
    IsRefused { end: u64 },
    IsLimited { end: u64 },
    Leaves { at: u64 },
    LeavesStream { content: u64, at: u64 },
    Withdraws,
    Tunnels { at: u64 },
    Hangs,
}

impl Traffic {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let request = |number: u64| {
            let began_ms = random.u64(0..END_MS);
            let key = (random.f64() < 0.8).then(|| draw(seed, random.u64(0..60)));
            let share = if began_ms < CHANGED_MS[1] { 20 } else { 50 };
            let place = key.map_or_else(|| random.u64(0..100), |key| key % 100);
            let side = if place < share { Side::Candidate } else { Side::Active };
            let (core, fate) = (random.usize(0..CORES), fate(&mut random));
            let asked = [None, Some(Measure::Ttft), Some(Measure::Latency)][random.usize(0..3)];
            let magnitude = random.u32(0..10);
            let known = random.u64(0..1 << magnitude);
            let asks = asked.map(|measure| (measure, known));
            Request { number: draw(seed, number), core, side, key, began_ms, asks, fate }
        };
        Self { requests: (0..1_500).map(request).collect() }
    }

    pub fn recorder() -> Recorder {
        let seconds = |ms: [u64; 3]| Some(ms.map(Duration::from_millis));
        let mut recorder = Recorder::new(Setup {
            cores: CORES,
            began: Duration::from_millis(BEGAN_MS),
            first: Tick(0),
            users_before: None,
            share: 0.0,
            latency_max: Duration::from_millis(LIMIT_MS),
            signal: LatencySignal::Auto,
            seed: 9,
        });
        recorder.baseline(&Baseline {
            ttft: seconds(TTFT_MS),
            tpot: None,
            latency: seconds(LATENCY_MS),
            duration_p99: Some(Duration::from_millis(FINAL_MS)),
            silent: Some(Measure::Ttft),
        });
        let began = Duration::from_millis(BEGAN_MS);
        recorder.change(0.2, true, began..began);
        recorder
    }

    /// Hands the notes over as a schedule says: each core at times of its own, in changing order.
    pub fn hand_over(
        &self,
        recorder: &mut Recorder,
        schedule: u64,
        mut after: impl FnMut(&mut Recorder, Duration),
    ) {
        let mut random = fastrand::Rng::with_seed(schedule);
        let mut notes = self.notes();
        let mut now = BEGAN_MS;
        let mut has_changed = false;
        while now < LAST_MS {
            now += random.u64(20..700);
            if now >= CHANGED_MS[1] && !has_changed {
                has_changed = true;
                recorder.change(0.5, true, ms(CHANGED_MS[0])..ms(CHANGED_MS[1]));
            }
            let first = random.usize(0..CORES);
            for core in (0..CORES).map(|core| (core + first) % CORES) {
                if random.f64() < 0.2 && now < LAST_MS {
                    continue;
                }
                recorder.hear(core, ms(BEGAN_MS)..ms(now));
                let until = notes[core].partition_point(|(at, ..)| *at < now);
                for (_, side, note) in notes[core].drain(..until) {
                    recorder.note(core, side, &note);
                }
            }
            after(recorder, ms(now));
        }
    }

    /// Per core: when, whose, what.
    fn notes(&self) -> Vec<Vec<(u64, Side, Note)>> {
        let mut notes = vec![Vec::new(); CORES];
        for request in &self.requests {
            for (what, age) in request.happens() {
                let arrived = u32::try_from(request.began_ms / 250).unwrap();
                let whose = (arrived, request.number);
                let environment = EnvironmentId(request.side as u32);
                let note = Note::new(environment, whose, request.key, what, ms(age));
                notes[request.core].push((request.began_ms + age, request.side, note));
            }
        }
        notes.iter_mut().for_each(|notes| notes.sort_by_key(|(at, ..)| *at));
        notes
    }

    /// Requests that count for some ticks.
    fn within(&self, (from, until): (Tick, Tick)) -> impl Iterator<Item = &Request> {
        let is_within = move |r: &&Request| r.counts() && (from..until).contains(&r.tick());
        self.requests.iter().filter(is_within)
    }

    pub fn arrivals(&self, from: Tick, until: Tick) -> Both<u32> {
        let mut n = Both::default();
        self.within((from, until)).for_each(|request| *n.of(request.side) += 1);
        n
    }

    pub fn errors(&self, span: (Tick, Tick), age: ErrorAge) -> Both<ErrorCounts> {
        let age = match age {
            ErrorAge::Quarter => 250,
            ErrorAge::Second => 1_000,
            ErrorAge::FifteenSeconds => 15_000,
            ErrorAge::Final => FINAL_MS,
        };
        let mut counts = Both::<ErrorCounts>::default();
        for request in self.within(span) {
            let counts = counts.of(request.side);
            match request.fate {
                Fate::Leaves { at } | Fate::LeavesStream { at, .. } if at <= age => continue,
                Fate::Fails { end } if end <= age => counts.early += 1,
                Fate::BreaksOff { end, .. } if end <= age => counts.late += 1,
                Fate::IsRefused { end } if end <= age => counts.refused += 1,
                Fate::IsLimited { end } if end <= age => counts.watched += 1,
                _ => {}
            }
            counts.n += 1;
        }
        counts
    }

    pub fn slow(
        &self,
        span: (Tick, Tick),
        measure: Measure,
        quantile: Quantile,
    ) -> Both<SlowCounts> {
        let thresholds = if measure == Measure::Ttft { TTFT_MS } else { LATENCY_MS };
        let slow = thresholds[quantile as usize];
        let by_tenth = slow + slow / 10;
        let mut counts = Both::<SlowCounts>::default();
        for request in self.within(span).filter(|request| self.is_warm(request)) {
            let asked = request.asks.filter(|(_, known)| *known <= by_tenth);
            let is_waited_for = asked.map_or(Measure::Ttft, |(asked, _)| asked) == measure;
            let took = match (measure, request.fate.answered(by_tenth)) {
                (Measure::Ttft, Answered::Content(at))
                | (Measure::Latency, Answered::Whole(at)) => at,
                (_, Answered::Left(at)) if is_waited_for && at > slow => at,
                (_, Answered::Silent) if is_waited_for => u64::MAX,
                _ => continue,
            };
            let counts = counts.of(request.side);
            counts.n += 1;
            counts.slow += u32::from(took > slow);
            counts.slow_by_tenth += u32::from(took > by_tenth);
        }
        counts
    }

    pub fn over(&self, span: (Tick, Tick)) -> (Both<u32>, Both<u32>) {
        let (mut n, mut over) = (Both::default(), Both::default());
        for request in self.within(span).filter(|request| self.is_warm(request)) {
            match request.fate.answered(LIMIT_MS) {
                Answered::Content(_) | Answered::Whole(_) => {}
                Answered::Silent => *over.of(request.side) += 1,
                Answered::Left(_) | Answered::Not => continue,
            }
            *n.of(request.side) += 1;
        }
        (n, over)
    }

    /// The key was served by the same side in an earlier tick since the change.
    fn is_warm(&self, request: &Request) -> bool {
        let changed = first_tick_after(CHANGED_MS[1]);
        let since = if request.tick() >= changed { changed } else { Tick(0) };
        let Some(key) = request.key else { return true };
        self.within((since, request.tick()))
            .any(|other| other.key == Some(key) && other.side == request.side)
    }
}

/// What there is of an answer at an age.
enum Answered {
    Content(u64),
    Whole(u64),
    Left(u64),
    Silent,
    /// Nothing that says anything about speed.
    Not,
}

impl Fate {
    fn answered(self, age: u64) -> Answered {
        match self {
            Self::Streams { content, .. }
            | Self::BreaksOff { content, .. }
            | Self::LeavesStream { content, .. }
                if content <= age =>
            {
                Answered::Content(content)
            }
            Self::Answers { end } if end <= age => Answered::Whole(end),
            Self::Fails { end } | Self::IsRefused { end } | Self::IsLimited { end }
                if end <= age =>
            {
                Answered::Not
            }
            Self::Leaves { at } if at <= age => Answered::Left(at),
            Self::Tunnels { at } if at <= age => Answered::Not,
            _ => Answered::Silent,
        }
    }
}

impl Request {
    fn tick(&self) -> Tick {
        let quarter = u32::try_from(self.began_ms / 250).unwrap();
        Tick(quarter.saturating_sub(u32::try_from(BEGAN_MS.div_ceil(250)).unwrap()))
    }

    /// It began after the recorder did, went nowhere else, and not while the share changed.
    fn counts(&self) -> bool {
        let from = first_tick_after(CHANGED_MS[0] - 249);
        let is_changing = (from..first_tick_after(CHANGED_MS[1])).contains(&self.tick());
        let is_old = self.began_ms < BEGAN_MS.div_ceil(250) * 250;
        !is_old && !is_changing && !matches!(self.fate, Fate::Withdraws)
    }

    fn happens(&self) -> Vec<(What, u64)> {
        let mut happens = vec![(What::Began, 0)];
        happens.extend(self.asks.map(|(asked, at)| match asked {
            Measure::Ttft => (What::AsksStream, at),
            Measure::Latency => (What::AsksWhole, at),
        }));
        happens.extend(match self.fate {
            Fate::Streams { content, end } => {
                vec![(What::FirstContent, content), (What::Ended, end)]
            }
            Fate::BreaksOff { content, end } => {
                vec![(What::FirstContent, content), (What::FailedLate, end), (What::Ended, end)]
            }
            Fate::Answers { end } => vec![(What::Answered, end)],
            Fate::Fails { end } => vec![(What::FailedEarly, end)],
            Fate::IsRefused { end } => vec![(What::Refused, end)],
            Fate::IsLimited { end } => vec![(What::Watched, end)],
            Fate::Leaves { at } => vec![(What::Watched, at), (What::Left, at)],
            Fate::LeavesStream { content, at } => vec![
                (What::FirstContent, content),
                (What::Watched, at),
                (What::Left, at),
                (What::Ended, at),
            ],
            Fate::Withdraws => vec![(What::Withdrawn, 0)],
            Fate::Tunnels { at } => vec![(What::Opened, at)],
            Fate::Hangs => vec![],
        });
        happens
    }
}

/// Anything that can become of a request, good ends more often.
fn fate(random: &mut fastrand::Rng) -> Fate {
    let magnitude = random.u32(6..14);
    let content = random.u64(1..1 << magnitude);
    let at = content + random.u64(0..30_000);
    let end = content;
    match random.u32(0..16) {
        0..6 => Fate::Streams { content, end: at },
        6..8 => Fate::Answers { end },
        8 => Fate::BreaksOff { content, end: at },
        9 => Fate::Fails { end },
        10 => Fate::IsRefused { end },
        11 => Fate::IsLimited { end },
        12 => Fate::Leaves { at: end },
        13 => Fate::LeavesStream { content, at },
        14 => Fate::Tunnels { at: end },
        _ if random.bool() => Fate::Withdraws,
        _ => Fate::Hangs,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
