//! The clock of content: what makes a stream stall, and what does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cyan::data_plane::exchange::edits::Edits;
use cyan::data_plane::exchange::{Exchange, OnTime};
use cyan::metrics::cohort::Mark;
use cyan::metrics::measure::Measure;
use cyan::model::environment::EnvironmentId;
use cyan::model::snapshot::Snapshot;
use cyan::model::verdict::Verdict;

use crate::support::memory_engine::{Head, MemoryEngine};
use crate::support::tables::{assignment, table_with};

const WORD: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}],\"object\":\
    \"chat.completion.chunk\"}\n\n";
/// A sticky key in the head, so that no body is needed.
const USER: (&str, &str) = ("x-user-id", "ana");
const PING: &str = ": ping\n\n";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A stream whose head has come, and the time.
fn stream() -> (MemoryEngine, Exchange, Instant) {
    let table = table_with(&assignment(&[10_000, 0, 0], 1), 1, |_, _| {});
    let mut engine = MemoryEngine::new(Snapshot::new(vec![Arc::new(table)]), []);
    let mut exchange = engine.begin(&Head::request("POST", "/v1/chat/completions", &[USER]));
    let headers = vec![("content-type".to_owned(), b"text/event-stream".to_vec())];
    let head = Head { status: 200, has_body: true, headers, ..Head::default() };
    exchange.on_response(&head, &mut Edits::default(), engine.now);
    let now = engine.now;
    (engine, exchange, now)
}

/// Bytes come and the client takes them at once.
fn comes(exchange: &mut Exchange, bytes: &str, now: Instant) {
    exchange.on_response_data(bytes.as_bytes(), now);
    exchange.on_waiting_for_upstream(now);
}

#[test]
fn a_stream_stalls_without_content_whatever_else_comes() {
    let (engine, mut exchange, start) = stream();
    comes(&mut exchange, WORD, start);
    comes(&mut exchange, PING, start + s(20));
    assert_eq!(exchange.deadline(), Some(start + s(30)));
    assert_eq!(exchange.on_time(start + s(30)), OnTime::Nothing);
    assert_eq!(engine.verdicts(0), [(Verdict::Stalled, 1)], "counted while it is open");
    comes(&mut exchange, WORD, start + s(40));
    drop(exchange);
    assert_eq!(engine.verdicts(0), [], "and not a second time");
}

#[test]
fn time_in_which_the_client_takes_nothing_is_not_the_upstreams() {
    let (engine, mut exchange, start) = stream();
    exchange.on_response_data(WORD.as_bytes(), start);
    assert_eq!(exchange.on_time(start + s(40)), OnTime::Nothing);
    exchange.on_waiting_for_upstream(start + s(40));
    assert_eq!(exchange.deadline(), Some(start + s(70)), "the clock stood still for 40 s");
    comes(&mut exchange, WORD, start + s(45));
    let report = engine.counted();
    let counts = report.environments.get(EnvironmentId(0)).expect("it is counted");
    let gaps = counts.distributions.of(Measure::Gap).expect("there was a gap");
    assert_eq!((gaps.count(), gaps.sum()), (1, 5_000_000), "45 s, of which the client took 40");
}

#[test]
fn the_last_word_ends_the_wait_for_content() {
    let (_engine, mut exchange, start) = stream();
    comes(&mut exchange, WORD, start);
    let stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    comes(&mut exchange, stop, start + s(1));
    assert_eq!(exchange.deadline(), Some(start + s(301)), "only the idle timeout is left");
}

#[test]
fn who_has_said_nothing_yet_has_longer() {
    let (engine, mut exchange, start) = stream();
    for minute in 0..10 {
        comes(&mut exchange, PING, start + s(60 * minute));
    }
    assert_eq!(exchange.on_time(start + s(599)), OnTime::Nothing);
    assert_eq!(exchange.on_time(start + s(600)), OnTime::Abort);
    drop(exchange);
    assert_eq!(engine.verdicts(0), [(Verdict::Timeout, 1)]);
}

/// What was marked for the cohorts since the last call, in no order.
fn marks(engine: &MemoryEngine) -> Vec<Mark> {
    let report = engine.counted();
    report.marks.iter().map(|(_, _, mark, _)| mark.mark()).collect()
}

#[test]
fn an_exchange_is_marked_once_for_everything_that_happens_to_it() {
    let (engine, mut exchange, start) = stream();
    comes(&mut exchange, WORD, start);
    exchange.on_time(start + s(30));
    drop(exchange);
    let mut marks = marks(&engine);
    marks.sort_unstable();
    assert_eq!(marks, [Mark::Began, Mark::FirstContent, Mark::FailedLate, Mark::Ended]);
}

#[test]
fn what_says_nothing_of_an_environment_is_not_compared() {
    for (method, path, header) in [
        ("OPTIONS", "/v1/chat/completions", ("x-a", "b")),
        ("GET", "/v1/models", ("x-a", "b")),
        ("GET", "/health", ("x-a", "b")),
        ("POST", "/v1/chat/completions", ("x-stainless-retry-count", "1")),
    ] {
        let table = table_with(&assignment(&[10_000, 0, 0], 1), 1, |_, _| {});
        let mut engine = MemoryEngine::new(Snapshot::new(vec![Arc::new(table)]), []);
        drop(engine.begin(&Head::request(method, path, &[USER, header])));
        assert_eq!(marks(&engine), [], "{method} {path} {header:?}");
    }
}
