//! By what requests are measured: ages, thresholds and the limit, frozen before they arrive.
//!
//! Thresholds are the active side's own recent quantiles. Taken from data that contain the requests which
//! they are to judge, they would no longer be fair.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::record::{ErrorAge, Measure, Quantile};
use super::super::tick::Tick;
use crate::model::plan::LatencySignal;

/// Ages at which errors are read, in the order of the questions.
pub const ERROR_AGES: [ErrorAge; 4] =
    [ErrorAge::Quarter, ErrorAge::Second, ErrorAge::FifteenSeconds, ErrorAge::Final];
/// Questions about time: two measures at three quantiles, and the limit.
pub const TIMINGS: usize = 7;
/// Which of them is the limit.
pub const LIMIT: usize = TIMINGS - 1;
/// A wait that is longer by less than this nobody notices, whatever share of it that is: a fresh connection, or a
/// busy moment of the machine, is as much.
const NOTICED_MS: u32 = 10;
/// Bounds of the last age.
const FINAL_AGE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(30 * 60));

/// What is usual on the active side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// p50, p90 and p99 of the time to first content; `None` while too few are known.
    pub ttft: Option<[Duration; 3]>,
    /// The same of the time to the last byte.
    pub latency: Option<[Duration; 3]>,
    /// The same of the time per output token of streams.
    pub tpot: Option<[Duration; 3]>,
    /// p99 of the duration of requests.
    pub duration_p99: Option<Duration>,
    /// What an answer is taken for of which nothing has come yet, if its request does not tell; `None`
    /// where there are many of both kinds.
    pub silent: Option<Measure>,
}

/// Everything that the requests of a tick are measured by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Ages in milliseconds.
    pub error_ages_ms: [u32; 4],
    /// Questions about time, in the order of measures and quantiles; the limit is the last.
    pub timings: [Option<Threshold>; TIMINGS],
    /// The last age.
    pub final_age: Duration,
}

/// A question about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// Above this a request is slow: in milliseconds, of a pace in microseconds.
    pub slow: u32,
    /// Above this it is slow by a tenth more, and of a wait by `NOTICED_MS` at least.
    pub slow_by_tenth: u32,
    /// The age at which it is asked: whatever happens later has not happened yet.
    pub read_ms: u32,
    /// Which time is meant.
    pub time: TimeOf,
    /// Whether a request that is silent counts as one that takes long, if it does not tell what it asks for.
    pub silence_counts: bool,
    /// Whether requests of keys count that were not served before.
    pub counts_cold: bool,
}

/// Which time of a request is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOf {
    /// First content of streams.
    FirstContent,
    /// Last byte of answers that are no streams.
    Answer,
    /// Whichever of the two it has.
    Either,
    /// Last byte of all answers.
    LastByte,
    /// Time per output token of streams, read at the last age. A stream that still runs then is slow.
    Pace,
}

/// What is known of requests of which nothing has come yet.
#[derive(Debug, Clone, Copy)]
struct Silence {
    silent: Option<Measure>,
    are_told: bool,
    final_age: Duration,
}

impl Rules {
    /// Rules from what is usual, with the absolute limit. `are_told` says that requests tell whether they
    /// ask for a stream. Where they do not, and there are many of both kinds, times are read late, and who
    /// is silent even then is left out on both sides.
    pub fn new(
        baseline: &Baseline,
        limit: Duration,
        signal: LatencySignal,
        are_told: bool,
    ) -> Self {
        let (shortest, longest) = FINAL_AGE;
        let final_age = baseline.duration_p99.unwrap_or(shortest).clamp(shortest, longest);
        let bounded = |time: Duration| time.min(longest);
        let silence = Silence { silent: baseline.silent, are_told, final_age };
        let mut timings = [None; TIMINGS];
        let latency = match signal {
            LatencySignal::Auto | LatencySignal::Total => baseline.latency,
            LatencySignal::Tpot => baseline.tpot,
            LatencySignal::Ttft => None,
        };
        let measures = [
            (Measure::Ttft, baseline.ttft.filter(|_| signal != LatencySignal::Total)),
            (Measure::Latency, latency),
        ];
        for (measure, quantiles) in measures {
            for (quantile, threshold) in
                Quantile::ALL.into_iter().zip(quantiles.unwrap_or_default())
            {
                let time = TimeOf::of(measure, signal);
                let is_known = quantiles.is_some();
                timings[timing(measure, quantile)] =
                    is_known.then(|| Threshold::new(bounded(threshold), time, silence));
            }
        }
        let time = match signal {
            LatencySignal::Auto => TimeOf::Either,
            LatencySignal::Ttft => TimeOf::FirstContent,
            LatencySignal::Total => TimeOf::LastByte,
            LatencySignal::Tpot => TimeOf::Pace,
        };
        let limit = Threshold::new(bounded(limit), time, silence);
        timings[LIMIT] = Some(limit.without_tenth());
        Self { error_ages_ms: [250, 1_000, 15_000, millis(final_age)], timings, final_age }
    }

    /// The same with a limit that counts requests of keys that were not served before.
    pub fn counting_cold(mut self) -> Self {
        let limit = &mut self.timings[LIMIT];
        *limit = limit.map(|limit| Threshold { counts_cold: true, ..limit });
        self
    }

    /// How many ticks after the end of theirs all requests have reached an age.
    pub fn ticks(age_ms: u32) -> u32 {
        Tick(0).after(Duration::from_millis(age_ms.into())).0
    }
}

impl Threshold {
    fn new(slow: Duration, time: TimeOf, silence: Silence) -> Self {
        let Silence { silent, are_told, final_age } = silence;
        if time == TimeOf::Pace {
            let slow = u32::try_from(slow.as_micros()).unwrap_or(u32::MAX);
            let (slow_by_tenth, read_ms) = (slow.saturating_add(slow / 10), millis(final_age));
            let (silence_counts, counts_cold) = (false, false);
            return Self { slow, slow_by_tenth, read_ms, time, silence_counts, counts_cold };
        }
        let slow = millis(slow);
        let slow_by_tenth = slow + (slow / 10).max(NOTICED_MS);
        let silence_counts = match time {
            TimeOf::FirstContent => silent == Some(Measure::Ttft),
            TimeOf::Answer => silent == Some(Measure::Latency),
            TimeOf::Either | TimeOf::LastByte | TimeOf::Pace => true,
        };
        let is_mixed = !silence_counts && silent.is_none() && !are_told;
        let read_ms = if is_mixed { slow_by_tenth.max(millis(final_age)) } else { slow_by_tenth };
        Self { slow, slow_by_tenth, read_ms, time, silence_counts, counts_cold: false }
    }

    /// For a limit nobody asks by how much it is broken, so it is read as soon as it can be.
    fn without_tenth(self) -> Self {
        let is_read_then = self.time != TimeOf::Pace && self.read_ms == self.slow_by_tenth;
        let read_ms = if is_read_then { self.slow } else { self.read_ms };
        Self { slow_by_tenth: self.slow, read_ms, ..self }
    }
}

impl TimeOf {
    fn of(measure: Measure, signal: LatencySignal) -> Self {
        match measure {
            Measure::Ttft => Self::FirstContent,
            Measure::Latency if signal == LatencySignal::Total => Self::LastByte,
            Measure::Latency if signal == LatencySignal::Tpot => Self::Pace,
            Measure::Latency => Self::Answer,
        }
    }
}

/// The number of a measure's quantile among the questions about time.
pub fn timing(measure: Measure, quantile: Quantile) -> usize {
    measure as usize * Quantile::ALL.len() + quantile as usize
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_5S: Duration = Duration::from_secs(5);

    fn seconds(values: [u64; 3]) -> [Duration; 3] {
        values.map(Duration::from_secs)
    }

    #[test]
    fn before_anything_is_known_only_errors_and_the_limit_are_read() {
        let rules = Rules::new(&Baseline::default(), LIMIT_5S, LatencySignal::Auto, false);
        assert_eq!(rules.error_ages_ms, [250, 1_000, 15_000, 15_000]);
        assert!(rules.timings[..LIMIT].iter().all(Option::is_none));
        let limit = rules.timings[LIMIT].unwrap();
        assert_eq!((limit.slow, limit.read_ms, limit.time), (5_000, 5_000, TimeOf::Either));
    }

    #[test]
    fn the_signal_says_which_times_are_compared() {
        let silent = Some(Measure::Ttft);
        let baseline = Baseline {
            ttft: Some(seconds([1, 2, 4])),
            latency: Some(seconds([10, 20, 40])),
            tpot: Some([10, 20, 40].map(Duration::from_millis)),
            duration_p99: Some(Duration::from_secs(40)),
            silent,
        };
        for (signal, ttft, latency) in [
            (LatencySignal::Auto, Some(TimeOf::FirstContent), Some(TimeOf::Answer)),
            (LatencySignal::Ttft, Some(TimeOf::FirstContent), None),
            (LatencySignal::Total, None, Some(TimeOf::LastByte)),
            (LatencySignal::Tpot, Some(TimeOf::FirstContent), Some(TimeOf::Pace)),
        ] {
            let rules = Rules::new(&baseline, LIMIT_5S, signal, false);
            let of = |measure| rules.timings[timing(measure, Quantile::P90)].map(|t| t.time);
            assert_eq!((of(Measure::Ttft), of(Measure::Latency)), (ttft, latency), "{signal:?}");
            assert_eq!(rules.final_age, Duration::from_secs(40));
        }
        let rules = Rules::new(&baseline, Duration::from_millis(50), LatencySignal::Tpot, false);
        let read =
            |timing: usize| rules.timings[timing].map(|t| (t.slow, t.slow_by_tenth, t.read_ms));
        assert_eq!(read(timing(Measure::Latency, Quantile::P90)), Some((20_000, 22_000, 40_000)));
        assert_eq!(read(LIMIT), Some((50_000, 50_000, 40_000)));
    }

    #[test]
    fn slower_by_a_tenth_is_slower_by_10_ms_at_least() {
        let [short, long] = [20, 400].map(|ms| {
            let ttft = Some([Duration::from_millis(ms); 3]);
            let baseline = Baseline { ttft, ..Baseline::default() };
            let rules = Rules::new(&baseline, LIMIT_5S, LatencySignal::Auto, true);
            rules.timings[0].map(|t| (t.slow, t.slow_by_tenth, t.read_ms))
        });
        assert_eq!((short, long), (Some((20, 30, 30)), Some((400, 440, 440))));
    }

    #[test]
    fn who_is_silent_is_taken_for_what_is_usual_or_waited_for() {
        let read = |silent, are_told| {
            let baseline =
                Baseline { ttft: Some(seconds([1, 2, 4])), silent, ..Baseline::default() };
            let rules = Rules::new(&baseline, LIMIT_5S, LatencySignal::Auto, are_told);
            rules.timings[0].map(|t| (t.silence_counts, t.read_ms)).unwrap()
        };
        assert_eq!(read(Some(Measure::Ttft), false), (true, 1_100));
        assert_eq!(read(Some(Measure::Latency), false), (false, 1_100));
        assert_eq!(read(None, false), (false, 15_000));
        assert_eq!(read(None, true), (false, 1_100));
    }
}
