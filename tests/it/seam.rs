//! The seam holds: an engine in memory drives the exchange through everything that can happen.

use std::sync::Arc;
use std::time::Duration;

use cyan::data_plane::exchange::{BodyEnd, Refusal};
use cyan::model::environment::{EnvironmentSpec, Replay};
use cyan::model::snapshot::Snapshot;
use cyan::model::verdict::Verdict;

use crate::support::memory_engine::{Attempt, Head, MemoryEngine, Outcome};
use crate::support::tables::{assignment, name, table_with};

const OK: fn() -> Attempt = || Attempt::Answer(200, vec!["o", "k"], BodyEnd::Whole);

/// Everything to blue; green is its candidate, red the fallback.
fn snapshot(change: impl Fn(usize, &mut EnvironmentSpec)) -> Snapshot {
    weighted(&[10_000, 0, 0], 1, change)
}

fn weighted(
    weights: &[u16],
    generation: u64,
    change: impl Fn(usize, &mut EnvironmentSpec),
) -> Snapshot {
    let mut assignment = assignment(weights, 1);
    assignment.fallback = Some(name(2));
    Snapshot::new(vec![Arc::new(table_with(&assignment, generation, change))])
}

fn get() -> Head {
    Head::request("GET", "/v1/models?x=1", &[("x-user-id", "ana")])
}

fn engine(script: impl IntoIterator<Item = Attempt>) -> MemoryEngine {
    MemoryEngine::new(snapshot(|_, _| {}), script)
}

#[test]
fn an_answer_passes_with_its_heads_edited() {
    let mut engine = engine([OK()]);
    assert_eq!(engine.serve(get(), &[]), Outcome::Answer(200, "ok".into()));
    let (upstream, sent) = &engine.sent[0];
    assert!(upstream.starts_with("http://127.0.0.1:"), "{upstream}");
    assert_eq!(sent.text("x-deployment"), Some("blue"));
    assert_eq!(sent.text("x-forwarded-for"), Some("192.0.2.1"));
    assert_eq!(engine.answers[0].text("x-deployment"), Some("blue"), "not what the upstream says");
    assert_eq!(engine.verdicts(0), [(Verdict::Complete, 1)]);
}

#[test]
fn a_key_in_the_body_is_found_piece_by_piece() {
    let mut engine = MemoryEngine::new(weighted(&[5000, 5000, 0], 1, |_, _| {}), vec![OK(); 40]);
    for user in 0..20 {
        let user = format!("user-{user}");
        engine.serve(Head::request("GET", "/", &[("x-user-id", &user)]), &[]);
        let body = format!(r#"{{"messages":[],"user":"{user}"}}"#);
        let (first, second) = body.as_bytes().split_at(body.len() / 2);
        engine.serve(Head::request("POST", "/", &[]), &[first, second]);
        let [.., by_header, by_body] = engine.sent.as_slice() else { panic!("two were sent") };
        assert_eq!(by_header.1.text("x-deployment"), by_body.1.text("x-deployment"));
    }
}

/// A slow client has neither a place in an environment nor a connection to an upstream until so much is here.
#[test]
fn a_body_begins_before_anything_is_chosen_for_it() {
    let engine = engine([]);
    let request = |lines: &[(&str, &str)]| {
        let lines = [&[("x-user-id", "ana")], lines].concat();
        Head::request("POST", "/", &lines)
    };
    let long = request(&[("content-length", "20000")]);
    assert_eq!(engine.wants(&long, &[]), 16_384);
    assert_eq!(engine.wants(&long, &[1, 16_382]), 1);
    assert_eq!(engine.wants(&long, &[1, 16_382, 1]), 0);
    let short = request(&[("content-length", "5")]);
    assert_eq!(engine.wants(&short, &[4]), 1);
    assert_eq!(engine.wants(&short, &[4, 1]), 0);
    let asks = request(&[("content-length", "20000"), ("expect", "100-continue")]);
    assert_eq!(engine.wants(&asks, &[]), 0, "it waits for leave to send");
    assert_eq!(engine.wants(&request(&[]), &[]), 0, "it may want answers while it sends");
    // Without a key, the search for one wants its own part.
    let keyless = Head::request("POST", "/", &[("content-length", "200000")]);
    assert_eq!(engine.wants(&keyless, &[]), 1 << 20);
    assert_eq!(engine.wants(&keyless, &[20_000]), (1 << 20) - 20_000);
}

#[test]
fn a_refused_connection_is_tried_on_another_upstream_and_then_given_up() {
    let mut engine = engine([Attempt::Refuse, OK()]);
    assert_eq!(engine.serve(get(), &[]), Outcome::Answer(200, "ok".into()));
    let only_blue = Arc::new(table_with(&assignment(&[10_000], 1), 1, |_, _| {}));
    let script = [Attempt::Refuse, Attempt::Hang];
    let mut alone = MemoryEngine::new(Snapshot::new(vec![only_blue]), script);
    assert_eq!(alone.serve(get(), &[]), Outcome::Refused(Refusal::Connect));
    assert_eq!(alone.verdicts(0), [(Verdict::ConnectError, 1)]);
}

#[test]
fn when_all_of_blue_is_down_the_fallback_serves_and_blue_is_blamed() {
    let mut engine = engine([Attempt::Refuse, Attempt::Refuse, OK()]);
    assert_eq!(engine.serve(get(), &[]), Outcome::Answer(200, "ok".into()));
    assert_eq!(engine.sent[0].1.text("x-deployment"), Some("red"));
    assert_eq!(engine.verdicts(0), [(Verdict::ConnectError, 1)]);
}

#[test]
fn a_candidate_that_cannot_be_connected_to_costs_its_users_nothing() {
    let script = [Attempt::Refuse, Attempt::Refuse, OK()];
    let mut engine = MemoryEngine::new(weighted(&[0, 10_000, 0], 1, |_, _| {}), script);
    assert_eq!(engine.serve(get(), &[]), Outcome::Answer(200, "ok".into()));
    assert_eq!(engine.sent[0].1.text("x-deployment"), Some("blue"));
    assert_eq!(engine.verdicts(1), [(Verdict::ConnectError, 1)]);
}

#[test]
fn what_was_never_started_is_sent_again_and_what_was_is_replayed_once() {
    let mut engine = engine([Attempt::DeadAtRest, Attempt::DeadAtRest, OK()]);
    assert_eq!(engine.serve(get(), &[]), Outcome::Answer(200, "ok".into()));
    let post = || Head::request("POST", "/", &[("x-user-id", "ana")]);
    engine.script = [Attempt::LostReused, OK()].into();
    assert_eq!(engine.serve(post(), &[]), Outcome::Answer(200, "ok".into()));
    engine.script = [Attempt::LostReused, Attempt::LostFresh].into();
    let lost = Refusal::Lost("connection closed".into());
    assert_eq!(engine.serve(post(), &[]), Outcome::Refused(lost.clone()));
    engine.script = [Attempt::LostAtWork, OK()].into();
    assert_eq!(engine.serve(post(), &[]), Outcome::Refused(lost.clone()), "it may have been done");
    engine.script = [Attempt::LostFresh].into();
    assert_eq!(engine.serve(get(), &[]), Outcome::Refused(lost), "a fresh one is never replayed");
}

#[test]
fn replay_follows_the_policy() {
    let lost = || Outcome::Refused(Refusal::Lost("connection closed".into()));
    for (policy, method, is_replayed) in [
        (Replay::ReusedConnection, "POST", true),
        (Replay::Idempotent, "POST", false),
        (Replay::Idempotent, "GET", true),
        (Replay::Never, "GET", false),
    ] {
        let tables = snapshot(|_, spec| spec.replay = policy);
        let mut engine = MemoryEngine::new(tables, [Attempt::LostReused, OK()]);
        let outcome = engine.serve(Head::request(method, "/", &[("x-user-id", "a")]), &[]);
        let expected = if is_replayed { Outcome::Answer(200, "ok".into()) } else { lost() };
        assert_eq!(outcome, expected, "{policy:?} {method}");
    }
}

#[test]
fn silence_has_its_limits_and_whose_fault_it_is() {
    let mut engine = engine([Attempt::Silent]);
    let began = engine.now;
    let refusal = Refusal::HeadTimeout(600_000);
    assert_eq!(engine.serve(get(), &[]), Outcome::Refused(refusal));
    assert_eq!(engine.now - began, Duration::from_secs(600));
    assert_eq!(engine.verdicts(0), [(Verdict::Timeout, 1)]);
    engine.script = [Attempt::Stalls(200, "half")].into();
    assert_eq!(engine.serve(get(), &[]), Outcome::Broken(200, "half".into()));
    assert_eq!(engine.verdicts(0), [(Verdict::Timeout, 1)]);
}

#[test]
fn a_total_limit_ends_a_stream_that_goes_on() {
    let tables = snapshot(|_, spec| spec.timeouts.total = Some(Duration::from_secs(2)));
    let mut engine = MemoryEngine::new(tables, [Attempt::Stalls(200, "half")]);
    let began = engine.now;
    assert_eq!(engine.serve(get(), &[]), Outcome::Broken(200, "half".into()));
    assert_eq!(engine.now - began, Duration::from_secs(2));
}

#[test]
fn every_end_of_an_answer_has_its_verdict() {
    for (status, end, verdict) in [
        (200, BodyEnd::Whole, Verdict::Complete),
        (200, BodyEnd::Cut, Verdict::Truncated),
        (200, BodyEnd::Reset, Verdict::AbortedByServer),
        (503, BodyEnd::Whole, Verdict::HttpError),
        (404, BodyEnd::Cut, Verdict::HttpError),
    ] {
        let mut engine = engine([Attempt::Answer(status, vec!["x"], end)]);
        engine.serve(get(), &[]);
        assert_eq!(engine.verdicts(0), [(verdict, 1)], "{status} {end:?}");
    }
}

#[test]
fn an_upgrade_becomes_a_tunnel_and_is_counted_at_its_end() {
    let mut engine = engine([Attempt::Upgrade(3, 5)]);
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("x-user-id", "ana")];
    assert_eq!(engine.serve(Head::request("GET", "/", &upgrade), &[]), Outcome::Tunnel);
    assert_eq!(engine.sent[0].1.text("upgrade"), Some("websocket"));
    assert_eq!(engine.verdicts(0), [(Verdict::ClientGone, 1)], "it left without a close frame");
}

#[test]
fn who_waited_for_a_connection_does_not_reach_an_environment_that_lost_its_weight() {
    let mut engine = MemoryEngine::new(weighted(&[0, 10_000, 0], 1, |_, _| {}), [OK()]);
    let after = Arc::new(weighted(&[10_000, 0, 0], 2, |_, _| {}));
    engine.while_connecting = Some(Box::new(move || Arc::clone(&after)));
    assert_eq!(engine.serve(get(), &[]), Outcome::Answer(200, "ok".into()));
    assert_eq!(engine.sent[0].1.text("x-deployment"), Some("blue"));
    assert_eq!(engine.verdicts(1), [], "it was never green's");
}

#[test]
fn a_body_that_trickles_is_given_up_and_a_slow_upstream_is_not_blamed_on_it() {
    use cyan::data_plane::exchange::{Exchange, OnTime};
    let second = Duration::from_secs(1);
    let uploading = || {
        let mut engine = engine([]);
        (engine.begin(&Head::request("POST", "/", &[("x-user-id", "ana")])), engine.now)
    };
    let trickle = |exchange: &mut Exchange, now: &mut std::time::Instant, bytes, pause| {
        exchange.on_waiting_for_client(*now);
        *now += pause;
        let in_time = exchange.on_time(*now) == OnTime::Nothing;
        exchange.on_client_sent(bytes, *now);
        in_time
    };
    let (mut exchange, mut now) = uploading();
    let kept_up = (0..40).take_while(|_| trickle(&mut exchange, &mut now, 1, second)).count();
    assert_eq!(kept_up, 9, "a byte a second is enough for ten seconds only");
    let (mut exchange, mut now) = uploading();
    assert!((0..100).all(|_| trickle(&mut exchange, &mut now, 2000, second)));
    let (mut exchange, mut now) = uploading();
    for _ in 0..20 {
        now += Duration::from_secs(20); // the upstream takes its time
        assert!(trickle(&mut exchange, &mut now, 10, Duration::from_millis(10)));
    }
}
