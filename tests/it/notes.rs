//! What a judge is told of single exchanges, and that nothing is noted while nobody observes.

use std::sync::Arc;
use std::time::Duration;

use cyan::data_plane::exchange::edits::Edits;
use cyan::data_plane::exchange::{BodyEnd, Exchange};
use cyan::model::environment::EnvironmentId;
use cyan::model::note::What;
use cyan::model::snapshot::Snapshot;

use crate::support::memory_engine::{Attempt, Head, MemoryEngine};
use crate::support::tables::{assignment, table_with};

const WORD: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}],\"object\":\
    \"chat.completion.chunk\"}\n\n";
const DONE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const PAIR: [EnvironmentId; 2] = [EnvironmentId(0), EnvironmentId(1)];

/// All traffic goes to environment 0, which is observed.
fn observed(script: impl IntoIterator<Item = Attempt>) -> MemoryEngine {
    let table = table_with(&assignment(&[10_000, 0, 0], 1), 1, |_, _| {});
    let engine = MemoryEngine::new(Snapshot::new(vec![Arc::new(table)]), script);
    assert_eq!(noted(&engine), []);
    engine
}

fn ask() -> Head {
    Head::request("POST", "/v1/chat/completions", &[("x-user-id", "ana")])
}

/// What was noted since the last call.
fn noted(engine: &MemoryEngine) -> Vec<What> {
    engine.notes(PAIR).iter().map(|note| note.what).collect()
}

fn answered(engine: &mut MemoryEngine, status: u16, content_type: &str) -> Exchange {
    let mut exchange = engine.begin(&ask());
    let headers = vec![("content-type".to_owned(), content_type.as_bytes().to_vec())];
    let head = Head { status, has_body: true, headers, ..Head::default() };
    exchange.on_response(&head, &mut Edits::default(), engine.now);
    exchange
}

#[test]
fn each_end_is_noted_as_what_it_is() {
    let stream = "text/event-stream";
    let content = [What::Began, What::FirstContent];
    for (status, content_type, pieces, end, after) in [
        (200, stream, vec![WORD, DONE], BodyEnd::Whole, vec![What::FirstContent, What::Ended]),
        (
            200,
            stream,
            vec![WORD],
            BodyEnd::Reset,
            vec![What::FirstContent, What::FailedLate, What::Ended],
        ),
        (200, "text/plain", vec!["hello"], BodyEnd::Whole, vec![What::Answered]),
        (500, "text/plain", vec!["no"], BodyEnd::Whole, vec![What::FailedEarly]),
        (404, "text/plain", vec!["no"], BodyEnd::Whole, vec![What::Refused]),
        (429, "text/plain", vec!["no"], BodyEnd::Whole, vec![What::Watched]),
    ] {
        let mut engine = observed([]);
        let mut exchange = answered(&mut engine, status, content_type);
        for piece in &pieces {
            exchange.on_response_data(piece.as_bytes(), engine.now);
        }
        exchange.on_response_end(end, engine.now);
        drop(exchange);
        let expected: Vec<_> = [What::Began].into_iter().chain(after).collect();
        assert_eq!(noted(&engine), expected, "{status} {pieces:?}");
    }
    let mut engine = observed([]);
    let mut exchange = answered(&mut engine, 200, stream);
    exchange.on_response_data(WORD.as_bytes(), engine.now);
    assert_eq!(noted(&engine), content, "at once, not at the end");
    drop(exchange);
    assert_eq!(noted(&engine), [What::Watched, What::Left, What::Ended]);
}

#[test]
fn a_note_knows_whose_it_is_and_how_old() {
    let mut engine = observed([]);
    let start = engine.now;
    let mut exchange = engine.begin(&ask());
    exchange.on_response(&Head { status: 503, ..Head::default() }, &mut Edits::default(), start);
    exchange.on_response_end(BodyEnd::Whole, start + Duration::from_millis(40));
    drop(exchange);
    drop(engine.begin(&Head::request("GET", "/", &[])));
    let notes = engine.notes(PAIR);
    let whose: Vec<_> = notes.iter().map(|note| (note.key().is_some(), note.age_ms)).collect();
    assert_eq!(whose[..3], [(true, 0), (true, 40), (false, 0)]);
    assert_eq!(notes[0].exchange, notes[1].exchange);
    assert_ne!(notes[0].exchange, notes[2].exchange);
    assert!(notes.iter().all(|note| note.environment == PAIR[0]));
}

#[test]
fn nothing_is_noted_of_environments_that_nobody_observes() {
    let attempt = || Attempt::Answer(200, vec!["hello"], BodyEnd::Whole);
    let mut engine = observed([attempt(), attempt()]);
    let others = [EnvironmentId(7), EnvironmentId(8)];
    engine.serve(Head::request("POST", "/", &[]), &[]);
    assert_eq!(engine.notes(others), []);
    assert_eq!(noted(&engine), [What::Began, What::Answered]);
    engine.serve(Head::request("POST", "/", &[("x-stainless-retry-count", "1")]), &[]);
    assert_eq!(noted(&engine), [], "a client's own retry is not compared");
}
