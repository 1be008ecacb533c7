//! How long the requests of one tick took, as far as is known at an age.
//!
//! A request is remembered until the last question about its time was read. What happened to it beyond
//! the age of a question has not happened yet for that question, however early it is known here.

use std::collections::HashMap;

use super::super::record::{Both, Measure, Side};
use super::baseline::{Threshold, TimeOf};
use super::keys::ServedKeys;
use crate::model::note::What;

/// The requests of one tick, by their numbers.
#[derive(Debug, Default)]
pub struct Times {
    requests: HashMap<u64, Request>,
}

/// What is known of one request.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Whose it is.
    pub side: Side,
    /// Its sticky key.
    pub key: Option<u64>,
    asked: Option<Measure>,
    asked_ms: u32,
    /// Its environment has served the key since the last change.
    is_warm: bool,
    first: First,
    first_ms: u32,
    end: End,
    end_ms: u32,
    /// Microseconds per output token, where it is known.
    pace_us: Option<u32>,
}

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Nothing,
    Content,
    Answer,
    Tunnel,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    Left,
    /// In a way that says nothing about speed: failed, refused, cut.
    Spoilt,
}

/// Whose requests came in a tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Keys that came for the first time since the change.
    pub new: Both<u32>,
    /// Requests of keys of which it is known whether they were served before.
    pub keyed: u32,
    /// Those that were.
    pub came_back: u32,
}

/// A request against a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Slower.
    pub is_slow: bool,
    /// Slower by a tenth more.
    pub is_slow_by_tenth: bool,
}

impl Times {
    /// How many requests are remembered.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.requests = HashMap::new();
    }

    /// A request began.
    pub fn begin(&mut self, exchange: u64, side: Side, key: Option<u64>) {
        self.requests.insert(exchange, Request::new(side, key));
    }

    /// A request has never been.
    pub fn withdraw(&mut self, exchange: u64) {
        self.requests.remove(&exchange);
    }

    /// Something else happened to a request.
    pub fn happen(&mut self, exchange: u64, what: What, age_ms: u32) {
        if let Some(request) = self.requests.get_mut(&exchange) {
            request.happen(what, age_ms);
        }
    }

    /// All requests of this tick are known: are their keys warm? Only then the tick's own keys count as
    /// served, so that it does not matter who of them came first.
    pub fn settle(&mut self, served: &mut ServedKeys) -> Seen {
        let mut seen = Seen::default();
        for request in self.requests.values_mut() {
            request.is_warm = served.has(request.side, request.key);
            if request.key.is_some_and(|key| served.samples(request.side, key)) {
                seen.keyed += 1;
                seen.came_back += u32::from(request.is_warm);
            }
        }
        for request in self.requests.values() {
            if request.key.is_some_and(|key| served.add(request.side, key)) {
                *seen.new.of(request.side) += 1;
            }
        }
        seen
    }

    /// Every request with its number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Request)> {
        self.requests.iter().map(|(exchange, request)| (*exchange, request))
    }
}

impl Request {
    fn new(side: Side, key: Option<u64>) -> Self {
        let (first, end) = (First::Nothing, End::Open);
        let (asked, asked_ms, is_warm, pace_us) = (None, 0, false, None);
        Self { side, key, asked, asked_ms, is_warm, first, first_ms: 0, end, end_ms: 0, pace_us }
    }

    fn happen(&mut self, what: What, age_ms: u32) {
        match what {
            What::Paced => self.pace_us = Some(age_ms),
            What::AsksStream => (self.asked, self.asked_ms) = (Some(Measure::Ttft), age_ms),
            What::AsksWhole => (self.asked, self.asked_ms) = (Some(Measure::Latency), age_ms),
            _ => self.go_on(what, age_ms),
        }
    }

    fn go_on(&mut self, what: What, age_ms: u32) {
        let first = match what {
            What::FirstContent => Some(First::Content),
            What::Answered => Some(First::Answer),
            What::Opened => Some(First::Tunnel),
            _ => None,
        };
        let end = match what {
            What::Answered | What::Ended => Some(End::Whole),
            What::FailedEarly | What::FailedLate | What::Refused | What::Watched => {
                Some(End::Spoilt)
            }
            // A client that leaves was noted as watched just before.
            What::Left => {
                self.end = End::Open;
                Some(End::Left)
            }
            _ => None,
        };
        if let Some(first) = first.filter(|_| self.first == First::Nothing) {
            (self.first, self.first_ms) = (first, age_ms);
        }
        if let Some(end) = end.filter(|_| self.end == End::Open) {
            (self.end, self.end_ms) = (end, age_ms);
        }
    }

    /// Whether it has told what it asks for.
    pub fn is_told(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether it is late for a threshold while nothing of it has come.
    fn is_silence_slow(&self, threshold: &Threshold) -> bool {
        let asked = self.asked.filter(|_| self.asked_ms <= threshold.read_ms);
        match (threshold.time, asked) {
            (TimeOf::FirstContent, Some(asked)) => asked == Measure::Ttft,
            (TimeOf::Answer, Some(asked)) => asked == Measure::Latency,
            _ => threshold.silence_counts,
        }
    }

    /// Against a threshold, at its age; `None` where the request does not count.
    pub fn compare(&self, threshold: &Threshold) -> Option<Compared> {
        if !self.is_warm && !threshold.counts_cold {
            return None;
        }
        let took = |time: u32| Compared {
            is_slow: time > threshold.slow,
            is_slow_by_tenth: time > threshold.slow_by_tenth,
        };
        let first = if self.first_ms <= threshold.read_ms { self.first } else { First::Nothing };
        let end = if self.end_ms <= threshold.read_ms { self.end } else { End::Open };
        if threshold.time == TimeOf::Pace {
            return match (first, end) {
                (First::Content, End::Whole) => self.pace_us.map(took),
                (First::Content, End::Open) => Some(took(u32::MAX)),
                _ => None,
            };
        }
        match (threshold.time, first) {
            (_, First::Tunnel)
            | (TimeOf::FirstContent, First::Answer)
            | (TimeOf::Answer, First::Content) => return None,
            (TimeOf::FirstContent, First::Content)
            | (TimeOf::Answer, First::Answer)
            | (TimeOf::Either, First::Content | First::Answer) => return Some(took(self.first_ms)),
            (TimeOf::LastByte | TimeOf::Pace, _) | (_, First::Nothing) => {}
        }
        match end {
            End::Whole => Some(took(self.end_ms)),
            End::Spoilt => None,
            End::Left | End::Open if !self.is_silence_slow(threshold) => None,
            // Who left before the threshold might have been answered in time.
            End::Left => Some(took(self.end_ms)).filter(|compared| compared.is_slow),
            End::Open => Some(took(u32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slow above 1 s, read at 1.1 s.
    fn threshold(time: TimeOf, silence_counts: bool) -> Threshold {
        let (slow, slow_by_tenth, read_ms) = (1_000, 1_100, 1_100);
        Threshold { slow, slow_by_tenth, read_ms, time, silence_counts, counts_cold: false }
    }

    fn request(happened: &[(What, u32)]) -> Request {
        let mut request = Request::new(Side::Active, Some(1));
        request.is_warm = true;
        happened.iter().for_each(|(what, age_ms)| request.happen(*what, *age_ms));
        request
    }

    #[test]
    fn each_request_counts_as_what_is_known_of_it_at_the_age() {
        use What::{Answered, Ended, FailedEarly, FailedLate, FirstContent, Left, Opened, Watched};
        let (fast, slow, slower) = (Some((false, false)), Some((true, false)), Some((true, true)));
        for (happened, stream, answer, either, whole) in [
            (vec![], slower, None, slower, slower),
            (vec![(FirstContent, 1_000)], fast, None, fast, slower),
            (vec![(FirstContent, 1_001)], slow, None, slow, slower),
            (vec![(FirstContent, 1_101)], slower, None, slower, slower),
            (vec![(FirstContent, 900), (Ended, 1_050)], fast, None, fast, slow),
            (vec![(FirstContent, 900), (FailedLate, 950), (Ended, 950)], fast, None, fast, None),
            (vec![(Answered, 900)], None, fast, fast, fast),
            (vec![(Answered, 1_050)], None, slow, slow, slow),
            (vec![(Answered, 1_200)], slower, None, slower, slower),
            (vec![(FailedEarly, 10)], None, None, None, None),
            (vec![(FailedEarly, 1_200)], slower, None, slower, slower),
            (vec![(Watched, 900), (Left, 900)], None, None, None, None),
            (vec![(Watched, 1_050), (Left, 1_050)], slow, None, slow, slow),
            (vec![(Watched, 900)], None, None, None, None),
            (vec![(Opened, 900)], None, None, None, None),
        ] {
            for (time, silence, expected) in [
                (TimeOf::FirstContent, true, stream),
                (TimeOf::Answer, false, answer),
                (TimeOf::Either, true, either),
                (TimeOf::LastByte, true, whole),
            ] {
                let compared = request(&happened).compare(&threshold(time, silence));
                let compared = compared.map(|c| (c.is_slow, c.is_slow_by_tenth));
                assert_eq!(compared, expected, "{happened:?} {time:?}");
            }
        }
    }

    #[test]
    fn a_pace_is_a_whole_streams_and_who_still_runs_at_the_last_age_is_slow() {
        use What::{Answered, Ended, FailedLate, FirstContent, Left, Paced, Watched};
        let (fast, slow, slower) = (Some((false, false)), Some((true, false)), Some((true, true)));
        for (happened, expected) in [
            (vec![], None),
            (vec![(Answered, 900)], None),
            (vec![(FirstContent, 100), (Paced, 1_000), (Ended, 900)], fast),
            (vec![(FirstContent, 100), (Paced, 1_001), (Ended, 900)], slow),
            (vec![(FirstContent, 100), (Paced, 1_101), (Ended, 900)], slower),
            (vec![(FirstContent, 100), (Ended, 900)], None),
            (vec![(FirstContent, 100), (Paced, 5), (Ended, 1_101)], slower),
            (vec![(FirstContent, 100), (FailedLate, 900), (Paced, 5), (Ended, 900)], None),
            (vec![(FirstContent, 100), (Watched, 900), (Left, 900), (Ended, 900)], None),
        ] {
            let compared = request(&happened).compare(&threshold(TimeOf::Pace, false));
            let compared = compared.map(|c| (c.is_slow, c.is_slow_by_tenth));
            assert_eq!(compared, expected, "{happened:?}");
        }
    }

    #[test]
    fn a_cold_cache_does_not_count_and_a_tick_warms_nobody_of_itself() {
        let (mut times, mut served) = (Times::default(), ServedKeys::new(1));
        times.begin(1, Side::Active, Some(8));
        times.begin(2, Side::Active, Some(8));
        times.begin(3, Side::Candidate, None);
        let first = times.settle(&mut served);
        let warm: Vec<u64> =
            times.iter().filter(|(_, r)| r.is_warm).map(|(exchange, _)| exchange).collect();
        assert_eq!((first.new, warm), (Both { active: 1, candidate: 0 }, vec![3]));
        assert_eq!((first.keyed, first.came_back), (2, 0));
        let cold = times.requests[&1];
        let limit = Threshold { counts_cold: true, ..threshold(TimeOf::Either, true) };
        assert!(cold.compare(&threshold(TimeOf::Either, true)).is_none());
        assert!(cold.compare(&limit).is_some_and(|compared| compared.is_slow));
        let mut later = Times::default();
        later.begin(4, Side::Active, Some(8));
        let seen = later.settle(&mut served);
        assert!(later.iter().all(|(_, request)| request.is_warm));
        assert_eq!(seen, Seen { new: Both::default(), keyed: 1, came_back: 1 });
    }
}
