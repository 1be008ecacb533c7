//! Warm-ups second by second, as a server might answer.

use super::*;

/// A window of 30 s, 20 answers, 10 %, 5 minutes.
fn usual() -> WarmUpRule {
    WarmUpRule::default()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a second brings: how many answers, each with which TTFT; or failures.
enum Second {
    Answers(u64, Duration),
    Failures(u64, &'static str),
    Nothing,
}

/// Runs a warm-up until it is over; looks ten times a second.
fn run(rule: WarmUpRule, second: impl Fn(u64) -> Second) -> (WarmUpReport, u64) {
    let mut warm_up = WarmUp::new(rule, LatencySignal::Auto);
    for tick in 1..=10 * 3_600 {
        if tick % 10 == 1 {
            play(&mut warm_up, &second(tick / 10));
        }
        let now = ms(tick * 100);
        if let Some(outcome) = warm_up.look(now) {
            return (warm_up.report(outcome, now), now.as_secs());
        }
    }
    panic!("it never ends");
}

fn play(warm_up: &mut WarmUp, second: &Second) {
    match second {
        Second::Answers(count, ttft) => {
            for _ in 0..*count {
                warm_up.begun(Source::Synthetic);
                warm_up.first_content(*ttft);
                warm_up.ended(Source::Synthetic, Ended::Answered(None));
            }
        }
        Second::Failures(count, saw) => {
            for _ in 0..*count {
                warm_up.begun(Source::Synthetic);
                warm_up.ended(Source::Synthetic, Ended::Failed((*saw).to_owned()));
            }
        }
        Second::Nothing => {}
    }
}

#[test]
fn a_server_that_gets_faster_is_warm_when_it_no_longer_does() {
    let (report, seconds) = run(usual(), |second| {
        let ttft = if second < 20 { 1_900 } else { 410 };
        Second::Answers(2, ms(ttft))
    });
    assert_eq!((report.outcome, report.passed, seconds), (WarmUpOutcome::Stable, true, 90));
    let words =
        "warm-up: stable after 3 windows in 1 min 30 s: p99 TTFT 1.9 s -> 410 ms; 180 requests";
    assert_eq!(report.gate().sentence, words);
    let near = |found: Option<f64>, expected: f64| (found.unwrap() / expected - 1.0).abs() < 0.01;
    assert!(near(report.p99_before_ms, 1_900.0) && near(report.p99_after_ms, 410.0), "{report:?}");
}

#[test]
fn a_window_waits_for_its_answers() {
    let (report, seconds) = run(usual(), |second| match second % 4 {
        0 => Second::Answers(1, ms(300)),
        _ => Second::Nothing,
    });
    // 20 answers take 77 s and 80 s, not 30.
    assert_eq!((report.outcome, seconds), (WarmUpOutcome::Stable, 156));
    assert_eq!(report.windows.iter().map(|window| window.requests).collect::<Vec<_>>(), [20, 20]);
}

#[test]
fn at_the_deadline_the_rule_decides_for_what_is_answered() {
    let never = |second: u64| Second::Answers(2, ms(100 + 100 * (second / 30 % 2)));
    let (report, seconds) = run(usual(), never);
    assert_eq!((report.outcome, report.passed, seconds), (WarmUpOutcome::NotStable, true, 300));
    let said = report.explanation;
    assert!(
        said.starts_with("not stable after 5 min, its deadline: p99 TTFT 100 ms -> "),
        "{said}"
    );
    assert!(said.ends_with("600 requests; it goes on all the same"), "{said}");
    let strict = WarmUpRule { at_deadline: AtDeadline::Fail, ..usual() };
    let (report, _) = run(strict, never);
    assert!(!report.passed && report.explanation.ends_with("; 600 requests"), "{report:?}");
}

#[test]
fn a_dead_server_fails_after_two_windows_and_is_quoted() {
    let (report, seconds) = run(usual(), |_| Second::Failures(2, "connection refused"));
    assert_eq!((report.outcome, report.passed, seconds), (WarmUpOutcome::Failing, false, 60));
    let words = "most requests fail: 120 requests, 120 failed; 120 times: connection refused";
    assert_eq!(report.explanation, words);
}

#[test]
fn a_first_window_that_fails_is_what_a_warm_up_is_for() {
    let (report, seconds) = run(usual(), |second| match second {
        0..30 => Second::Failures(2, "no answer within 60s"),
        _ => Second::Answers(2, ms(200)),
    });
    assert_eq!((report.outcome, seconds), (WarmUpOutcome::Stable, 90));
}

#[test]
fn what_hangs_and_what_was_never_asked_are_told_apart() {
    let mut hanging = WarmUp::new(usual(), LatencySignal::Auto);
    hanging.begun(Source::Synthetic);
    assert_eq!(hanging.look(ms(299_999)), None);
    let outcome = hanging.look(ms(300_000)).unwrap();
    let report = hanging.report(outcome, ms(300_000));
    assert_eq!((report.outcome, report.passed), (WarmUpOutcome::Silent, false));
    assert_eq!(report.explanation, "nothing was answered within 5 min: 1 request");
    let mut unasked = WarmUp::new(usual(), LatencySignal::Auto);
    let outcome = unasked.look(ms(300_000)).unwrap();
    let report = unasked.report(outcome, ms(300_000));
    assert_eq!((report.outcome, report.passed), (WarmUpOutcome::Unasked, true));
}

#[test]
fn a_difference_within_the_tolerance_is_none_and_5_ms_never_are_one() {
    for (before, after, stable) in [
        (1_000, 1_090, true),
        (1_000, 910, true),
        (1_000, 1_130, false),
        (1_000, 870, false),
        (3, 7, true),
        (3, 9, false),
    ] {
        let mut warm_up = WarmUp::new(usual(), LatencySignal::Auto);
        play(&mut warm_up, &Second::Answers(20, ms(before)));
        assert_eq!(warm_up.look(ms(30_000)), None);
        play(&mut warm_up, &Second::Answers(20, ms(after)));
        let end = warm_up.look(ms(60_000));
        assert_eq!(end == Some(WarmUpOutcome::Stable), stable, "{before} {after}");
    }
}

#[test]
fn answers_in_one_piece_are_measured_by_their_total_and_mistakes_of_users_are_not() {
    let mut warm_up = WarmUp::new(usual(), LatencySignal::Auto);
    for _ in 0..20 {
        warm_up.begun(Source::Mirror);
        warm_up.ended(Source::Mirror, Ended::Refused);
        warm_up.begun(Source::Mirror);
        warm_up.ended(Source::Mirror, Ended::Answered(Some(ms(700))));
    }
    assert_eq!(warm_up.look(ms(30_000)), None);
    let words = warm_up.progress();
    assert_eq!(words, "window 2, p99 total 700 ms, 40 requests, 40 of them mirrored");
    assert!(warm_up.closed[0].requests == 20 && warm_up.closed[0].failed == 0);
}

#[test]
fn what_is_kept_is_bounded() {
    let rule = WarmUpRule { window: ms(1), requests_min: 1, deadline: ms(3_600_000), ..usual() };
    let mut warm_up = WarmUp::new(rule, LatencySignal::Auto);
    for index in 0..1_000_u64 {
        warm_up.begun(Source::Synthetic);
        warm_up.first_content(ms(100 + 100 * (index % 2)));
        warm_up.ended(Source::Synthetic, Ended::Answered(None));
        warm_up.begun(Source::Synthetic);
        warm_up.ended(Source::Synthetic, Ended::Failed(format!("{index}")));
        assert_eq!(warm_up.look(ms(index + 1)), None);
    }
    assert_eq!((warm_up.closed.len(), warm_up.failures.len()), (WINDOWS_MAX, FAILURES_MAX));
    assert!(warm_up.progress().starts_with("window 1001, "));
}
