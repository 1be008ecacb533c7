//! Whose end it was: what is known of an answer when it is broken off, and who was waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cyan::data_plane::exchange::edits::Edits;
use cyan::data_plane::exchange::{BodyEnd, Direction, Exchange, OnTime, TunnelEnd};
use cyan::metrics::cohort::Mark;
use cyan::metrics::measure::Measure;
use cyan::model::environment::{EnvironmentId, EnvironmentSpec};
use cyan::model::snapshot::Snapshot;
use cyan::model::standing::Standing;
use cyan::model::upstream::UpstreamId;
use cyan::model::verdict::Verdict;

use crate::support::memory_engine::{Attempt, Head, MemoryEngine, Outcome};
use crate::support::tables::{assignment, name, table_with};

const CHAT: &str = "/v1/chat/completions";
/// A sticky key in the head, so that no body is needed.
const USER: (&str, &str) = ("x-user-id", "ana");
const SSE: (&str, &str) = ("content-type", "text/event-stream");
const GRPC: (&str, &str) = ("content-type", "application/grpc");
const PING: &str = ": ping\n\n";
const FAILED: &str = "data: {\"error\":{\"message\":\"engine died\"}}\n\n";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One choice of a chat stream says something, or stops.
fn choice(index: u8, content: &str, finish: &str) -> String {
    format!(
        "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":{index},\"delta\":\
         {{\"content\":\"{content}\"}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn word() -> String {
    choice(0, "word", "null")
}

/// Everything to blue; red is the fallback.
fn engine(change: impl Fn(usize, &mut EnvironmentSpec)) -> MemoryEngine {
    let mut assignment = assignment(&[10_000, 0, 0], 1);
    assignment.fallback = Some(name(2));
    MemoryEngine::new(Snapshot::new(vec![Arc::new(table_with(&assignment, 1, change))]), [])
}

/// A chat whose answer has this head.
fn answered(engine: &mut MemoryEngine, status: u16, headers: &[(&str, &str)]) -> Exchange {
    let mut exchange = engine.begin(&Head::request("POST", CHAT, &[USER]));
    respond(&mut exchange, status, headers, engine.now);
    exchange
}

fn respond(exchange: &mut Exchange, status: u16, headers: &[(&str, &str)], now: Instant) {
    let header = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    let headers = headers.iter().map(header).collect();
    let head = Head { status, has_body: true, headers, ..Head::default() };
    exchange.on_response(&head, &mut Edits::default(), now);
}

/// Bytes come and the client takes them at once.
fn comes(exchange: &mut Exchange, bytes: &str, now: Instant) {
    exchange.on_response_data(bytes.as_bytes(), now);
    exchange.on_waiting_for_upstream(now);
}

/// What was marked for the cohorts since the last call, in the order of their numbers.
fn marks(engine: &MemoryEngine) -> Vec<Mark> {
    let report = engine.counted();
    let each =
        report.marks.iter().flat_map(|(_, _, mark, count)| vec![mark.mark(); count as usize]);
    let mut marks: Vec<_> = each.collect();
    marks.sort_unstable();
    marks
}

#[test]
fn a_status_that_is_known_stays_the_verdict_whoever_breaks_off() {
    for (status, headers, verdict) in [
        (503, &[][..], Verdict::HttpError),
        (404, &[], Verdict::HttpError),
        (200, &[GRPC, ("grpc-status", "14")], Verdict::HttpError),
        (200, &[GRPC, ("grpc-status", "4")], Verdict::Timeout),
        (200, &[GRPC, ("grpc-status", "0")], Verdict::Complete),
        (200, &[GRPC], Verdict::ClientGone),
        (200, &[], Verdict::ClientGone),
    ] {
        let mut engine = engine(|_, _| {});
        drop(answered(&mut engine, status, headers));
        assert_eq!(engine.verdicts(0), [(verdict, 1)], "it leaves: {status} {headers:?}");

        let mut exchange = answered(&mut engine, status, headers);
        exchange.on_response_data(b"some", engine.now);
        assert_eq!(exchange.on_time(engine.now + s(60)), OnTime::Abort);
        drop(exchange);
        assert_eq!(engine.verdicts(0), [(verdict, 1)], "it takes nothing: {status} {headers:?}");

        let of_silence = if verdict == Verdict::ClientGone { Verdict::Timeout } else { verdict };
        let mut exchange = answered(&mut engine, status, headers);
        assert_eq!(exchange.on_time(engine.now + s(300)), OnTime::Abort);
        drop(exchange);
        assert_eq!(engine.verdicts(0), [(of_silence, 1)], "silence: {status} {headers:?}");

        let of_drain = if verdict == Verdict::ClientGone { Verdict::Shed } else { verdict };
        let mut exchange = answered(&mut engine, status, headers);
        exchange.on_evicted(engine.now);
        drop(exchange);
        assert_eq!(engine.verdicts(0), [(of_drain, 1)], "a drain: {status} {headers:?}");
    }
}

#[test]
fn a_drain_changes_neither_the_status_nor_the_last_word_of_an_answer() {
    let mut engine = engine(|_, _| {});
    answered(&mut engine, 404, &[]).on_evicted(engine.now);
    let report = engine.counted();
    let counts = report.environments.get(EnvironmentId(0)).expect("it is counted");
    assert_eq!(counts.tallies.standing(Standing::Refused), 1, "404, not the 503 of a refusal");

    let mut exchange = answered(&mut engine, 200, &[SSE]);
    let words = [word(), choice(0, "", "\"stop\""), "data: [DONE]\n\n".to_owned()].concat();
    comes(&mut exchange, &words, engine.now);
    exchange.on_evicted(engine.now);
    drop(exchange);
    assert_eq!(engine.verdicts(0), [(Verdict::Complete, 1)]);
}

#[test]
fn an_answer_that_broke_off_is_not_the_fault_of_who_takes_it_slowly() {
    let mut engine = engine(|_, _| {});
    let mut exchange = answered(&mut engine, 200, &[]);
    exchange.on_response_data(b"half", engine.now);
    exchange.on_response_over(BodyEnd::Cut);
    assert_eq!(exchange.on_time(engine.now + s(60)), OnTime::Abort, "it still has a limit");
    drop(exchange);
    assert_eq!(engine.verdicts(0), [(Verdict::Truncated, 1)]);
}

#[test]
fn where_something_is_to_be_generated_no_byte_is_no_answer() {
    for (method, path, status, is_inspected, verdict) in [
        ("POST", CHAT, 204, true, Verdict::Empty),
        ("POST", CHAT, 200, true, Verdict::Empty),
        ("POST", "/v1/messages", 202, true, Verdict::Complete),
        ("POST", CHAT, 200, false, Verdict::Complete),
        ("GET", CHAT, 204, true, Verdict::Complete),
        ("POST", "/v1/files", 204, true, Verdict::Complete),
        ("POST", CHAT, 304, true, Verdict::Complete),
        ("POST", CHAT, 302, true, Verdict::HttpError),
        ("POST", CHAT, 307, false, Verdict::HttpError),
        ("POST", "/login", 302, true, Verdict::Complete),
        ("GET", CHAT, 302, true, Verdict::Complete),
        ("POST", CHAT, 500, true, Verdict::HttpError),
    ] {
        let mut engine = engine(|_, spec| spec.inspect = is_inspected);
        engine.script = [Attempt::Answer(status, Vec::new(), BodyEnd::Whole)].into();
        engine.serve(Head::request(method, path, &[USER]), &[]);
        assert_eq!(engine.verdicts(0), [(verdict, 1)], "{method} {path} {status}");
    }
}

/// An ingress, the start page of an application or a login answers everything with 200 and a page, and
/// faster than any model. All of it was `complete` once, so that nothing spoke against a candidate behind it.
#[test]
fn a_page_for_people_is_no_answer_of_a_model() {
    let forms = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    for (content_type, request, status, end, verdict) in [
        ("text/html", ("accept", "*/*"), 200, BodyEnd::Whole, Verdict::Empty),
        ("Text/HTML; charset=utf-8", USER, 200, BodyEnd::Whole, Verdict::Empty),
        ("application/xhtml+xml", USER, 203, BodyEnd::Whole, Verdict::Empty),
        ("text/html", USER, 200, BodyEnd::Cut, Verdict::Truncated),
        ("text/html", USER, 202, BodyEnd::Whole, Verdict::Complete),
        ("text/html", USER, 302, BodyEnd::Whole, Verdict::HttpError),
        ("text/html", forms, 200, BodyEnd::Whole, Verdict::Complete),
        ("text/plain", USER, 200, BodyEnd::Whole, Verdict::Complete),
        ("audio/mpeg", USER, 200, BodyEnd::Whole, Verdict::Complete),
    ] {
        for (path, inspect) in [(CHAT, true), (CHAT, false), ("/signup", true)] {
            let mut engine = engine(|_, spec| spec.inspect = inspect);
            let mut exchange = engine.begin(&Head::request("POST", path, &[USER, request]));
            respond(&mut exchange, status, &[("content-type", content_type)], engine.now);
            comes(&mut exchange, "<html>Sign in</html>", engine.now);
            exchange.on_response_end(end, engine.now);
            drop(exchange);
            let of_wholeness =
                if end == BodyEnd::Whole { Verdict::Complete } else { Verdict::Truncated };
            let expected = match (path == CHAT, status, inspect) {
                (true, 302, _) | (true, _, true) => verdict,
                _ => of_wholeness,
            };
            let what = format!("{path} {content_type} {status} {request:?} {inspect}");
            assert_eq!(engine.verdicts(0), [(expected, 1)], "{what}");
        }
    }
}

#[test]
fn a_redirect_counts_whoever_breaks_it_off_and_one_to_be_asked_again_by_comparison() {
    let mut engine = engine(|_, _| {});
    let to_a_page = [(true, 302, Standing::Bad), (false, 302, Standing::Bad)];
    let again = [(true, 307, Standing::Refused), (false, 308, Standing::Refused)];
    for (leaves, status, standing) in to_a_page.into_iter().chain(again) {
        let mut exchange = answered(&mut engine, status, &[]);
        if !leaves {
            exchange.on_response_end(BodyEnd::Whole, engine.now);
        }
        drop(exchange);
        let report = engine.counted();
        let counts = report.environments.get(EnvironmentId(0)).expect("it is counted");
        assert_eq!(counts.tallies.standing(standing), 1, "{status} {leaves}");
    }
}

#[test]
fn a_total_limit_is_the_clients_affair_when_it_was_the_client_that_took_long() {
    for (slow, verdict) in [
        (s(0), Verdict::Timeout),
        (s(9), Verdict::Timeout),
        (s(10), Verdict::ClientGone),
        (s(50), Verdict::ClientGone),
    ] {
        let mut engine = engine(|_, spec| spec.timeouts.total = Some(s(100)));
        let mut exchange = answered(&mut engine, 200, &[]);
        exchange.on_response_data(b"some", engine.now);
        exchange.on_waiting_for_upstream(engine.now + slow);
        comes(&mut exchange, "more", engine.now + s(99));
        assert_eq!(exchange.deadline(), Some(engine.now + s(100)), "it stays where it is");
        assert_eq!(exchange.on_time(engine.now + s(100)), OnTime::Abort);
        drop(exchange);
        assert_eq!(engine.verdicts(0), [(verdict, 1)], "{slow:?}");
    }
}

#[test]
fn an_upload_that_takes_all_the_time_there_is_is_no_fault_of_the_upstream() {
    let mut engine = engine(|_, spec| spec.timeouts.total = Some(s(20)));
    let mut exchange = engine.begin(&Head::request("POST", "/", &[USER]));
    exchange.on_waiting_for_client(engine.now);
    exchange.on_client_sent(1 << 20, engine.now + s(19));
    assert!(matches!(exchange.on_time(engine.now + s(20)), OnTime::Reply(_)));
    drop(exchange);
    assert_eq!(engine.verdicts(0), [(Verdict::Shed, 1)]);
}

#[test]
fn the_wait_for_first_content_stands_still_while_the_client_takes_nothing() {
    let mut engine = engine(|_, spec| spec.timeouts.first_content = Some(s(50)));
    let mut exchange = answered(&mut engine, 200, &[SSE]);
    exchange.on_response_data(PING.as_bytes(), engine.now);
    exchange.on_waiting_for_upstream(engine.now + s(40));
    assert_eq!(exchange.deadline(), Some(engine.now + s(90)));
    assert_eq!(exchange.on_time(engine.now + s(89)), OnTime::Nothing);
    assert_eq!(exchange.on_time(engine.now + s(90)), OnTime::Abort);
    drop(exchange);
    assert_eq!(engine.verdicts(0), [(Verdict::Timeout, 1)]);
}

/// A stream in words that nobody here knows was broken off in the middle, and its upstream became suspect.
#[test]
fn a_stream_in_unknown_words_is_no_silence() {
    const START: &str = "data: {\"type\":\"start\"}\n\n";
    const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    let mut engine = engine(|_, spec| {
        spec.upstreams.truncate(1);
        spec.timeouts.first_content = Some(s(100));
    });
    let (snapshot, now) = (Arc::clone(&engine.snapshot), engine.now);
    let environment = &snapshot.table("chat").expect("the service").environments[0];
    let streams = || environment.upstreams[0].progress().streams();
    let mut exchange = answered(&mut engine, 200, &[SSE]);
    comes(&mut exchange, "data: {\"type\":\"ping\"}\n\n: ping\n\n", now);
    assert_eq!(exchange.deadline(), Some(now + s(100)), "pings are silence");
    assert_eq!((streams().awaited, streams().begun, streams().content_mark), (1, 0, 0));
    comes(&mut exchange, START, now + s(1));
    assert_eq!(exchange.deadline(), Some(now + s(301)), "only `idle` is left");
    let first = streams();
    assert_eq!((first.awaited, first.begun), (0, 1));
    comes(&mut exchange, PING, now + s(2));
    assert_eq!(streams(), first, "a ping says nothing of the engine");
    comes(&mut exchange, "data: {\"type\":\"text-delta\",\"delta\":\"a\"}\n\n", now + s(3));
    assert!(streams().content_mark > first.content_mark);
    exchange.on_response_end(BodyEnd::Whole, now + s(4));
    drop(exchange);
    let report = engine.counted();
    let counts = report.environments.get(EnvironmentId(0)).expect("it is counted");
    assert_eq!(counts.tallies.verdicts[Verdict::Complete as usize], 1);
    assert!(counts.distributions.of(Measure::Ttft).is_none(), "nobody can tell its first word");

    // As soon as its words are known, its content has to come in time.
    let mut exchange = answered(&mut engine, 200, &[SSE]);
    comes(&mut exchange, START, now + s(1));
    comes(&mut exchange, ROLE, now + s(2));
    assert_eq!(exchange.deadline(), Some(now + s(100)));
}

/// With several choices the first may have stopped before the second begins.
#[test]
fn a_stream_that_goes_on_after_it_seemed_to_stop_can_still_stall() {
    let mut engine = engine(|_, spec| spec.upstreams.truncate(1));
    let (snapshot, now) = (Arc::clone(&engine.snapshot), engine.now);
    let environment = &snapshot.table("chat").expect("the service").environments[0];
    let open = || environment.upstreams[0].progress().streams().open();
    let mut exchange = answered(&mut engine, 200, &[SSE]);
    comes(&mut exchange, &[word(), choice(0, "", "\"stop\"")].concat(), now);
    assert_eq!(exchange.deadline(), Some(now + s(300)), "nothing more is to be expected");
    assert_eq!(open(), 1, "but it has not ended");
    comes(&mut exchange, &choice(1, "word", "null"), now + s(1));
    assert_eq!(exchange.deadline(), Some(now + s(31)));
    exchange.on_response_end(BodyEnd::Whole, now + s(2));
    assert_eq!(open(), 0);
}

/// Its silence afterwards would make its upstream suspect.
#[test]
fn a_stream_that_has_said_its_last_word_is_not_open_though_its_body_is() {
    let mut engine = engine(|_, spec| spec.upstreams.truncate(1));
    let (snapshot, now) = (Arc::clone(&engine.snapshot), engine.now);
    let environment = &snapshot.table("chat").expect("the service").environments[0];
    let open = || environment.upstreams[0].progress().streams().open();
    for last in [
        "data: [DONE]\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
        "data: {\"type\":\"response.failed\",\"response\":{}}\n\n",
    ] {
        let mut exchange = answered(&mut engine, 200, &[SSE]);
        comes(&mut exchange, &word(), now);
        assert_eq!(open(), 1);
        comes(&mut exchange, last, now);
        assert_eq!(open(), 0, "{last}");
        exchange.on_response_end(BodyEnd::Whole, now + s(9));
        assert_eq!(open(), 0);
    }
}

/// MCP: a 202 without a body, with a word, or with an empty list, and the answer on another stream.
#[test]
fn a_202_promises_nothing_and_is_judged_by_what_it_brings() {
    for (content_type, body, verdict) in [
        ("application/json", "", Verdict::Complete),
        ("text/plain", "Accepted", Verdict::Complete),
        ("application/json", "[]", Verdict::Complete),
        ("text/event-stream", PING, Verdict::Complete),
        ("text/event-stream", &word(), Verdict::Truncated),
    ] {
        let mut engine = engine(|_, spec| spec.timeouts.first_content = Some(s(100)));
        let mut exchange = answered(&mut engine, 202, &[("content-type", content_type)]);
        assert_eq!(
            exchange.deadline(),
            Some(engine.now + s(300)),
            "`idle`, and no `first_content`"
        );
        comes(&mut exchange, body, engine.now);
        exchange.on_response_end(BodyEnd::Whole, engine.now);
        drop(exchange);
        assert_eq!(engine.verdicts(0), [(verdict, 1)], "{content_type} {body:?}");
    }
}

#[test]
fn what_failed_before_its_content_has_ended_for_its_cohort() {
    let mut engine = engine(|_, _| {});
    let mut exchange = answered(&mut engine, 200, &[SSE]);
    comes(&mut exchange, FAILED, engine.now);
    let at_once = [Mark::Began, Mark::FailedEarly, Mark::EndedEarly];
    assert_eq!(marks(&engine), at_once);
    comes(&mut exchange, &word(), engine.now + s(1));
    exchange.on_response_end(BodyEnd::Whole, engine.now + s(2));
    drop(exchange);
    assert_eq!(marks(&engine), [], "neither a first content nor a second end");

    engine.script =
        [Attempt::Refuse, Attempt::Refuse, Attempt::Answer(200, vec!["a", "b"], BodyEnd::Whole)]
            .into();
    engine.serve(Head::request("POST", CHAT, &[USER]), &[]);
    assert_eq!(marks(&engine), at_once, "so has what another environment serves");
}

#[test]
fn a_tunnel_that_breaks_fails_late() {
    let mut engine = engine(|_, _| {});
    let mut exchange = engine.begin(&Head::request("GET", "/socket", &[USER]));
    respond(&mut exchange, 101, &[], engine.now);
    exchange.on_upgraded(engine.now);
    exchange.on_tunnel_end(TunnelEnd::Broken(Direction::Down), engine.now + s(1));
    drop(exchange);
    assert_eq!(marks(&engine), [Mark::Began, Mark::FirstContent, Mark::FailedLate, Mark::Ended]);
}

#[test]
fn what_another_environment_measured_counts_for_neither() {
    let mut engine = engine(|_, _| {});
    engine.script =
        [Attempt::Refuse, Attempt::Refuse, Attempt::Answer(200, vec!["ok"], BodyEnd::Whole)].into();
    let served = engine.serve(Head::request("POST", CHAT, &[USER]), &[]);
    assert_eq!(served, Outcome::Answer(200, "ok".into()));
    let report = engine.counted();
    let blue = report.environments.get(EnvironmentId(0)).expect("it counts for blue");
    assert_eq!((blue.tallies.judged(), blue.tallies.handed_over), (1, 1));
    for measure in Measure::ALL {
        assert!(blue.distributions.of(measure).is_none(), "{measure:?} is red's, not blue's");
    }
    assert!(report.environments.get(EnvironmentId(2)).is_none(), "nor is it red's request");
    // Blue's upstream that failed it last has failed it.
    let failed =
        |id| report.upstreams.get(UpstreamId(id)).map(|u| u.standings[Standing::Bad as usize]);
    assert_eq!([failed(0), failed(1)].into_iter().flatten().sum::<u64>(), 1);
    assert_eq!((failed(4), failed(5)), (None, None), "red's has failed nobody");
}

#[test]
fn an_upstream_that_cannot_be_reached_has_its_failures_counted() {
    let mut engine = engine(|_, spec| spec.upstreams.truncate(1));
    engine.script = [Attempt::LostFresh].into();
    engine.serve(Head::request("POST", CHAT, &[USER]), &[]);
    let report = engine.counted();
    let counts = report.upstreams.get(UpstreamId(0)).expect("it was sent there");
    assert_eq!(counts.standings[Standing::Bad as usize], 1);
    let snapshot = Arc::clone(&engine.snapshot);
    let upstream = &snapshot.table("chat").expect("the service").environments[0].upstreams[0];
    assert_eq!(upstream.in_flight.count(), 0);
}
