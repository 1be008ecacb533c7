//! Draws requests: whose they are, and what becomes of them.

use cyan::judge::record::Side;

use crate::world::{Fault, FaultKind, Users, World};

/// What will become of a request.
pub struct Request {
    pub side: Side,
    pub key: Option<u64>,
    /// A key that its environment has served since the last change; without a key always.
    pub is_warm: bool,
    /// A key seen for the first time since the last change.
    pub is_new: bool,
    pub ttft: f64,
    /// Mean gap between contents.
    pub gap: f64,
    pub end: End,
}

/// When and how it ends, in seconds after its arrival.
pub enum End {
    Good,
    FailedEarly(f64),
    FailedLate(f64),
    Refused(f64),
    Watched(f64),
}

/// Requests that are measured before a rollout.
const MEASURED: usize = 20_000;
/// The absolute limit on the p99, in seconds.
pub const LATENCY_LIMIT: f64 = 5.0;

/// What the active side is like when nothing is wrong.
pub struct Usual {
    /// Its p50, p90 and p99 of TTFT in seconds, each known to 3 %.
    pub thresholds: [f64; 3],
    /// The same of the gap between contents.
    pub gaps: [f64; 3],
    /// A limit that it breaks before the start is not armed.
    pub breaks_latency_limit: bool,
}

/// Draws requests of one world.
pub struct Source<'a> {
    world: &'a World,
    random: fastrand::Rng,
    salt: u64,
    share: f64,
    step: u32,
    /// Cumulative shares of traffic, for users by Zipf's law.
    traffic: Vec<f64>,
    users: Vec<User>,
}

#[derive(Clone)]
struct User {
    error_rate: f64,
    ttft_factor: f64,
    /// In which step it was last seen; 0 for never.
    seen_in: u32,
    was_on: Option<Side>,
}

impl<'a> Source<'a> {
    pub fn new(world: &'a World, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let salt = random.u64(..);
        let number = match world.users {
            Users::Keyless => 0,
            Users::Equal(number) | Users::Zipf(number) => number,
        };
        let mut source =
            Self { world, random, salt, share: 0.0, step: 0, traffic: vec![], users: vec![] };
        source.users = (0..number).map(|_| source.user()).collect();
        if matches!(world.users, Users::Zipf(_)) {
            let mut sum = 0.0;
            for rank in 1..=number {
                sum += 1.0 / f64::from(rank);
                source.traffic.push(sum);
            }
        }
        source
    }

    fn user(&mut self) -> User {
        let world = self.world;
        let error_rate = match world.unlike_errors {
            Some((share, rate)) if self.random.f64() < share => rate,
            _ => world.error_rate,
        };
        let ttft_factor = (world.ttft_sigma_users * normal(&mut self.random)).exp();
        User { error_rate, ttft_factor, seen_in: 0, was_on: None }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, share: f64) {
        self.share = share;
        self.step += 1;
    }

    /// How many requests arrive in so many seconds.
    pub fn arrivals(&mut self, seconds: f64) -> u32 {
        poisson(&mut self.random, self.world.rate * seconds)
    }

    /// The next request, which arrives `at` so many seconds.
    pub fn next(&mut self, at: f64) -> Request {
        let world = self.world;
        let Some(index) = self.choose_user() else {
            let side = side(self.random.f64() < self.share * world.split_factor);
            let ttft = world.ttft_median * (world.ttft_sigma * normal(&mut self.random)).exp();
            let end = self.end(at, side, world.error_rate);
            return self.finish(at, side, None, (true, false), ttft, end);
        };
        let key = hash(index as u64 ^ self.salt);
        let place = f64::from(u32::try_from(key >> 32).expect("32 bits are left")) / 2_f64.powi(32);
        let side = side(place < self.share * world.split_factor);
        let user = &mut self.users[index];
        let is_new = user.seen_in != self.step;
        let moved = user.was_on.is_some_and(|was_on| was_on != side);
        (user.seen_in, user.was_on) = (self.step, Some(side));
        let user = user.clone();
        let cold = if moved { world.cold_cache } else { 1.0 };
        let ttft = world.ttft_median
            * user.ttft_factor
            * cold
            * (world.ttft_sigma * normal(&mut self.random)).exp();
        let end = self.end(at, side, user.error_rate);
        self.finish(at, side, Some(key), (!is_new, is_new), ttft, end)
    }

    fn choose_user(&mut self) -> Option<usize> {
        if self.users.is_empty() {
            return None;
        }
        let Some(all) = self.traffic.last() else {
            return Some(self.random.usize(..self.users.len()));
        };
        let at = self.random.f64() * all;
        Some(self.traffic.partition_point(|sum| *sum < at).min(self.users.len() - 1))
    }

    /// What is wrong with a side at a moment.
    pub fn fault(&self, at: f64, side: Side) -> Option<Fault> {
        let fault = self.world.fault?;
        let hits =
            (side == Side::Candidate || fault.on_both) && at >= fault.from && at < fault.until;
        hits.then_some(fault)
    }

    /// How it ends, TTFT apart.
    fn end(&mut self, at: f64, side: Side, error_rate: f64) -> End {
        let world = self.world;
        let (mut errors, mut cut, mut refused) = (error_rate, world.cut_rate, world.refused_rate);
        let mut watched = world.watched_rate;
        match self.fault(at, side).map(|fault| fault.kind) {
            Some(FaultKind::Errors(rate) | FaultKind::Incident(rate)) => errors = rate,
            Some(FaultKind::ErrorsTimes(factor)) => errors = (errors * factor).min(1.0),
            Some(FaultKind::Cut(rate)) => cut = rate,
            Some(FaultKind::Refused(rate)) => refused = rate,
            Some(FaultKind::Watched(rate)) => watched = rate,
            Some(FaultKind::Bursts(every, rate)) if at % every < 2.0 => errors = rate,
            // Those of times and scores are not about how it ends.
            Some(_) | None => {}
        }
        let soon = 0.05 + 0.1 * self.random.f64();
        if self.random.f64() < errors {
            return End::FailedEarly(soon);
        }
        if self.random.f64() < refused {
            return End::Refused(soon);
        }
        if self.random.f64() < cut {
            return End::FailedLate(0.0);
        }
        if watched > 0.0 && self.random.f64() < watched {
            return End::Watched(soon);
        }
        End::Good
    }

    /// Sets what depends on the time of the first content.
    fn finish(
        &mut self,
        at: f64,
        side: Side,
        key: Option<u64>,
        (is_warm, is_new): (bool, bool),
        mut ttft: f64,
        mut end: End,
    ) -> Request {
        match self.fault(at, side).map(|fault| fault.kind) {
            Some(FaultKind::Ttft(factor)) => ttft *= factor,
            Some(FaultKind::Tail(factor)) if ttft > self.world.ttft_p90() => ttft *= factor,
            Some(FaultKind::Incident(_)) => ttft *= 2.0,
            _ => {}
        }
        if matches!(end, End::FailedLate(_)) {
            let speed =
                if side == Side::Candidate { self.world.candidate_answer_factor } else { 1.0 };
            let length = self.world.answer_seconds * speed * gamma4(&mut self.random);
            end = End::FailedLate(ttft + length * self.random.f64());
        }
        let gap = self.gap(at, side);
        Request { side, key, is_warm, is_new, ttft, gap, end }
    }

    fn gap(&mut self, at: f64, side: Side) -> f64 {
        let Some((median, sigma)) = self.world.gap else { return 0.0 };
        let gap = median * (sigma * normal(&mut self.random)).exp();
        match self.fault(at, side).map(|fault| fault.kind) {
            Some(FaultKind::Gap(factor)) => gap * factor,
            _ => gap,
        }
    }

    /// What is measured of the active side before the rollout: of the same users, if the seed is the same.
    pub fn measure(world: &World, seed: u64) -> Usual {
        let healthy = World { fault: None, cold_cache: 1.0, ..world.clone() };
        let mut source = Source::new(&healthy, seed);
        source.change(0.0);
        let requests: Vec<Request> = (0..MEASURED).map(|_| source.next(0.0)).collect();
        let sorted = |of: fn(&Request) -> f64| {
            let mut all: Vec<f64> = requests.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let (ttfts, gaps) = (sorted(|request| request.ttft), sorted(|request| request.gap));
        let over = MEASURED - ttfts.partition_point(|ttft| *ttft <= LATENCY_LIMIT);
        let mut known = |all: &[f64]| {
            [50, 90, 99].map(|share| {
                let error = 1.0 + 0.03 * normal(&mut source.random);
                all[MEASURED * share / 100] * error
            })
        };
        let (thresholds, gaps) = (known(&ttfts), known(&gaps));
        Usual { thresholds, gaps, breaks_latency_limit: over * 100 > MEASURED }
    }
}

fn side(is_candidate: bool) -> Side {
    if is_candidate { Side::Candidate } else { Side::Active }
}

/// The finalizer of splitmix64.
fn hash(value: u64) -> u64 {
    let mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Standard normal (Box and Muller).
pub fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// Gamma of shape 4 and mean 1.
fn gamma4(random: &mut fastrand::Rng) -> f64 {
    (0..4).map(|_| -(1.0 - random.f64()).ln()).sum::<f64>() / 4.0
}

/// Poisson: by products for small means, in parts for large ones.
fn poisson(random: &mut fastrand::Rng, mean: f64) -> u32 {
    let (mut left, mut count) = (mean, 0);
    while left > 0.0 {
        let part = left.min(20.0);
        let (limit, mut product) = ((-part).exp(), random.f64());
        while product > limit {
            count += 1;
            product *= random.f64();
        }
        left -= part;
    }
    count
}
