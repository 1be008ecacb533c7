//! Whose fault is it when an absolute limit is broken? Not the candidate's while the active environment
//! breaks it too.
//!
//! While the gate is shut, evidence is discarded, not only ignored: what was gathered in a shared incident
//! would fire when the incident is over (simulated: in every one of them).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::tick::Tick;

/// How far back the active environment is looked at.
const WINDOW_SECONDS: u32 = 60;
/// Below this many requests there is no share to speak of.
const REQUESTS_MIN: u32 = 20;
/// Below this many failures a share is chance: with 0.6 % slow requests and a limit of 1 %, the share
/// alone shut the gate up to a quarter of the time.
const HITS_MIN: u32 = 5;
/// Standard deviations above the limit from which the active environment breaks it: at the limit itself
/// chance would shut the gate half of the time, and with 0.6 % slow requests against 1 % a tenth of it.
const SHUT_SIGMAS: f64 = 1.0;
/// Standard deviations above the limit from which an incident is beyond doubt.
const SHARED_SIGMAS: f64 = 3.0;

/// The active environment's last minute, at one age.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlameGate {
    limit: f64,
    /// By the second in which they were read: requests, failures.
    seconds: VecDeque<(u32, u32, u32)>,
    n: u32,
    hits: u32,
}

impl BlameGate {
    /// Open, for a limit on a share.
    pub fn new(limit: f64) -> Self {
        Self { limit, seconds: VecDeque::new(), n: 0, hits: 0 }
    }

    /// Adds what was read of the active environment, and forgets what is older than a minute.
    pub fn read(&mut self, now: Tick, n: u32, hits: u32) {
        let second = now.second();
        match self.seconds.back_mut() {
            Some(last) if last.0 == second => {
                last.1 += n;
                last.2 += hits;
            }
            _ => self.seconds.push_back((second, n, hits)),
        }
        self.n += n;
        self.hits += hits;
        while let Some((first, n, hits)) = self.seconds.front().copied() {
            if first + WINDOW_SECONDS > second {
                break;
            }
            self.seconds.pop_front();
            self.n -= n;
            self.hits -= hits;
        }
    }

    /// Whether the active environment breaks the limit itself.
    pub fn is_shut(&self) -> bool {
        self.n >= REQUESTS_MIN && self.hits >= HITS_MIN && self.is_above(SHUT_SIGMAS)
    }

    /// Whether it breaks it so clearly that the rollout should hold.
    pub fn is_shared_incident(&self) -> bool {
        self.is_shut() && self.is_above(SHARED_SIGMAS)
    }

    fn is_above(&self, sigmas: f64) -> bool {
        let expected = f64::from(self.n) * self.limit;
        f64::from(self.hits) > expected + sigmas * expected.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuts_by_number_and_share_and_opens_a_minute_later() {
        for (n, hits, shut, shared) in [
            (19, 19, false, false),
            (20, 4, false, false),
            (20, 5, true, true),
            (200, 10, false, false),
            (200, 13, false, false),
            (200, 14, true, false),
            (200, 20, true, true),
        ] {
            let mut gate = BlameGate::new(0.05);
            gate.read(Tick::of_second(7), n, hits);
            assert_eq!(
                (gate.is_shut(), gate.is_shared_incident()),
                (shut, shared),
                "{hits} of {n}"
            );
            gate.read(Tick::of_second(66), 0, 0);
            assert_eq!(gate.is_shut(), shut);
            gate.read(Tick::of_second(67), 0, 0);
            assert!(!gate.is_shut() && gate.n == 0 && gate.hits == 0);
        }
    }

    #[test]
    fn a_healthy_active_side_with_few_slow_requests_never_holds_a_rollout() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut gate = BlameGate::new(0.01);
        let (mut shut, mut shared) = (0, 0);
        for second in 0..20_000 {
            let slow = (0..9).filter(|_| random.f64() < 0.006).count();
            gate.read(Tick::of_second(second), 9, u32::try_from(slow).unwrap());
            shut += u32::from(gate.is_shut());
            shared += u32::from(gate.is_shared_incident());
        }
        assert_eq!(shared, 0);
        // Evidence is discarded then, which costs power and holds nothing.
        assert!(shut < 800, "{shut} of 20000 s");
    }
}
