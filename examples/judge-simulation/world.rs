//! What a simulated service is like: its traffic, its users, its answers, and what goes wrong.

use std::time::Duration;

use cyan::judge::settings::Bake;

/// A service with two environments.
#[derive(Clone)]
pub struct World {
    /// Requests per second, Poisson.
    pub rate: f64,
    /// Users come to the candidate in this many times the share that is set.
    pub split_factor: f64,
    /// The candidate's shares, and for how many seconds each.
    pub steps: Vec<(f64, u32)>,
    pub users: Users,
    /// Share of requests that fail at once, on both sides.
    pub error_rate: f64,
    /// Some users fail more often than others: (share of them, their rate); the rest by `error_rate`.
    pub unlike_errors: Option<(f64, f64)>,
    /// Share of answers that are cut somewhere, on both sides.
    pub cut_rate: f64,
    /// Share of requests that are refused, on both sides.
    pub refused_rate: f64,
    /// Share of requests that end in a watched way (429, the client left), on both sides.
    pub watched_rate: f64,
    /// Median of TTFT in seconds, and the spread of its logarithm: of a request, and between users.
    pub ttft_median: f64,
    pub ttft_sigma: f64,
    pub ttft_sigma_users: f64,
    /// First request of a key that moved: TTFT times this.
    pub cold_cache: f64,
    /// The gap between contents is judged as well: its median in seconds, and the spread of its logarithm.
    pub gap: Option<(f64, f64)>,
    /// Mean seconds that an answer streams after its first content (gamma, shape 4); 0: at once.
    pub answer_seconds: f64,
    /// The same on the candidate, as a factor.
    pub candidate_answer_factor: f64,
    pub fault: Option<Fault>,
    /// Mean of the quality scores that every tenth answer gets, on both sides; Beta distributed.
    pub scores: Option<f64>,
    /// Whether TTFT and latency are judged, or errors only.
    pub judges_ttft: bool,
    /// Ticks per record: 1 is live, 4 saves time where a day is simulated.
    pub ticks_per_record: u32,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Users {
    /// Requests without a key.
    Keyless,
    /// So many who ask equally often.
    Equal(u32),
    /// So many by Zipf's law (exponent 1).
    Zipf(u32),
}

/// Something that goes wrong for a time.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Seconds since the start.
    pub from: f64,
    pub until: f64,
    /// On the active side as well.
    pub on_both: bool,
    pub kind: FaultKind,
}

#[derive(Clone, Copy)]
pub enum FaultKind {
    /// This share fails instead of `error_rate`, at once.
    Errors(f64),
    /// Every user's rate of failure times this.
    ErrorsTimes(f64),
    /// This share fails at a moment spread evenly over its answer.
    Cut(f64),
    /// TTFT times this.
    Ttft(f64),
    /// TTFT times this where it is in the slowest tenth.
    Tail(f64),
    /// The gap between contents times this.
    Gap(f64),
    /// This share is refused.
    Refused(f64),
    /// This share ends in a watched way.
    Watched(f64),
    /// Scores have this mean.
    Scores(f64),
    /// An incident: this share fails, and TTFT is doubled.
    Incident(f64),
    /// Every so many seconds this share fails for two seconds.
    Bursts(f64, f64),
}

impl Fault {
    /// On the candidate for good, from a moment on.
    pub fn candidate(from: f64, kind: FaultKind) -> Self {
        Self { from, until: f64::INFINITY, on_both: false, kind }
    }
}

impl World {
    /// Independent requests at ten a second, a tenth of them on the candidate.
    pub fn plain() -> Self {
        Self {
            rate: 10.0,
            split_factor: 1.0,
            steps: vec![(0.1, 6 * 3_600)],
            users: Users::Keyless,
            error_rate: 0.01,
            unlike_errors: None,
            cut_rate: 0.0,
            refused_rate: 0.005,
            watched_rate: 0.0,
            ttft_median: 0.8,
            ttft_sigma: 0.7,
            ttft_sigma_users: 0.0,
            cold_cache: 1.0,
            gap: None,
            answer_seconds: 0.0,
            candidate_answer_factor: 1.0,
            fault: None,
            scores: None,
            judges_ttft: true,
            ticks_per_record: 1,
        }
    }

    /// The ramp of the whole text: four steps of six hours.
    pub fn day() -> Self {
        let steps = [0.01, 0.05, 0.25, 0.5].map(|share| (share, 6 * 3_600)).to_vec();
        Self { steps, ticks_per_record: 4, ..Self::plain() }
    }

    /// Four steps of five minutes.
    pub fn twenty_minutes() -> Self {
        let steps = [0.01, 0.05, 0.25, 0.5].map(|share| (share, 300)).to_vec();
        Self { steps, ..Self::plain() }
    }

    /// The TTFT that a tenth exceeds.
    pub fn ttft_p90(&self) -> f64 {
        self.ttft_median * (1.2816 * self.ttft_sigma.hypot(self.ttft_sigma_users)).exp()
    }

    /// The age at which the last failures are read: 15 s, or the p99 of an answer's duration.
    pub fn final_age(&self) -> f64 {
        // The 99th percentile of a gamma distribution of shape 4 is 2.51 times its mean.
        let ttft = self.ttft_median * (2.33 * self.ttft_sigma.hypot(self.ttft_sigma_users)).exp();
        (2.51 * self.answer_seconds + ttft).max(15.0)
    }

    /// Seconds of the plan until its last step and after it; a step lasts until it has its requests.
    pub fn planned_seconds(&self) -> u32 {
        (0..self.steps.len()).map(|step| self.step_seconds(step)).sum()
    }

    /// Seconds of one step.
    pub fn step_seconds(&self, step: usize) -> u32 {
        let (share, seconds) = self.steps[step];
        let requests = f64::from(Bake::default().requests_min_at(share));
        let needed = Duration::from_secs_f64(requests / (self.rate * share));
        seconds.max(u32::try_from(needed.as_secs()).unwrap_or(u32::MAX))
    }
}
