//! Decides, before the first byte, how one answer will go: its length, its pace and its fault.
//!
//! A pure function of options, faults, request and seed, so that a run with the same seed repeats.

use std::time::Duration;

use super::ask::Ask;
use super::distribution::Delay;
use super::faults::{FaultKind, Faults};
use super::options::MockOptions;
use super::words::Wording;

/// How one answer will go.
#[derive(Debug)]
pub(super) struct Plan {
    /// What the words follow from.
    pub(super) seed: u64,
    /// From the head of the request to the first token.
    pub(super) first_token: Duration,
    pub(super) tokens: usize,
    /// Whether the request's own limit cut it.
    pub(super) cut_by_length: bool,
    pub(super) fault: Option<Fault>,
    /// Whether a grader shall find it wrong.
    is_wrong: bool,
    gap: Delay,
    rng: fastrand::Rng,
}

/// What goes wrong, and before which token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) at: usize,
}

impl Plan {
    pub(super) fn draw(options: &MockOptions, faults: &Faults, ask: &Ask, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let drawn = options.tokens.draw(&mut rng);
        let tokens = ask.tokens_max.map_or(drawn, |max| drawn.min(max)).max(1);
        let first_token = options.ttft.draw(&mut rng).mul_f64(faults.draw_slowness(&mut rng));
        let kind = faults.draw(&mut rng);
        // Drawn in any case, so that switching a fault on does not change the pace of other answers.
        let midway = rng.usize(1..tokens.max(2));
        let fault = kind
            .map(|kind| Fault { kind, at: if kind == FaultKind::ErrorFirst { 0 } else { midway } });
        let cut_by_length = tokens < drawn;
        let is_wrong = faults.draw_wrongness(seed);
        Self { seed, first_token, tokens, cut_by_length, fault, is_wrong, gap: options.gap, rng }
    }

    /// What its words follow from.
    pub(super) fn wording(&self) -> Wording {
        Wording { seed: self.seed, is_wrong: self.is_wrong }
    }

    /// The time between the last token and the next one.
    pub(super) fn next_gap(&mut self) -> Duration {
        self.gap.draw(&mut self.rng)
    }

    /// The time that all tokens take after the first.
    pub(super) fn gaps(&mut self) -> Duration {
        (1..self.tokens).map(|_| self.gap.draw(&mut self.rng)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(tokens_max: Option<usize>) -> Ask {
        let (stream, include_usage) = (true, false);
        Ask { model: None, stream, include_usage, tokens_max, prompt_tokens: 1 }
    }

    #[test]
    fn same_seed_goes_the_same_way() {
        let mut options = MockOptions::named("blue");
        options.ttft = "lognormal:20ms,0.5".parse().unwrap();
        options.tokens = "uniform:1..100".parse().unwrap();
        let faults = Faults { cut: 0.5, ..Faults::default() };
        for seed in 0..100 {
            let mut a = Plan::draw(&options, &faults, &ask(None), seed);
            let mut b = Plan::draw(&options, &faults, &ask(None), seed);
            assert_eq!((a.first_token, a.tokens, a.fault), (b.first_token, b.tokens, b.fault));
            assert_eq!(a.gaps(), b.gaps());
        }
    }

    #[test]
    fn faults_leave_the_pace_of_other_answers_alone() {
        let options = MockOptions {
            tokens: "uniform:1..100".parse().unwrap(),
            ttft: "uniform:1ms..9ms".parse().unwrap(),
            ..MockOptions::named("blue")
        };
        let some = Faults { cut: 0.5, ..Faults::default() };
        for seed in 0..100 {
            let plain = Plan::draw(&options, &Faults::default(), &ask(None), seed);
            let faulty = Plan::draw(&options, &some, &ask(None), seed);
            assert_eq!((plain.first_token, plain.tokens), (faulty.first_token, faulty.tokens));
        }
    }

    #[test]
    fn the_request_limits_the_length() {
        let options = MockOptions::named("blue");
        for (tokens_max, tokens, cut) in
            [(None, 32, false), (Some(32), 32, false), (Some(5), 5, true), (Some(0), 1, true)]
        {
            let plan = Plan::draw(&options, &Faults::default(), &ask(tokens_max), 1);
            assert_eq!((plan.tokens, plan.cut_by_length), (tokens, cut));
        }
    }
}
