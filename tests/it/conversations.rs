//! Who goes on with an answer of the Responses API comes to whoever gave it: only there it is kept.

use std::sync::Arc;
use std::time::Duration;

use cyan::control_plane::command::Command;
use cyan::data_plane::exchange::BodyEnd;
use cyan::data_plane::exchange::edits::Edits;
use cyan::model::assignment::Assignment;
use cyan::model::environment::EnvironmentSpec;
use cyan::model::snapshot::Snapshot;
use cyan::model::upstream::Probe;

use crate::support::memory_engine::{Attempt, Head, MemoryEngine};
use crate::support::proxy::{Proxy, name as named};
use crate::support::tables::{assignment, name, table_with};
use crate::support::upstream::{Upstream, Visit};

const RESPONSES: &str = "/v1/responses";
const JSON: (&str, &str) = ("content-type", "application/json");

fn snapshot(assignment: &Assignment, generation: u64) -> Arc<Snapshot> {
    let change = |_, spec: &mut EnvironmentSpec| spec.upstreams.truncate(1);
    Arc::new(Snapshot::new(vec![Arc::new(table_with(assignment, generation, change))]))
}

/// Blue has given the answer `resp_1`; all that was counted of it is taken away.
fn engine() -> MemoryEngine {
    let mut engine = MemoryEngine::new(Snapshot::default(), []);
    engine.snapshot = snapshot(&assignment(&[10_000, 0], 1), 1);
    let mut exchange =
        engine.begin(&Head::request("POST", RESPONSES, &[("x-user-id", "ana"), JSON]));
    let headers = vec![("content-type".to_owned(), b"text/event-stream".to_vec())];
    let head = Head { status: 200, has_body: true, headers, ..Head::default() };
    exchange.on_response(&head, &mut Edits::default(), engine.now);
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"";
    exchange.on_response_data(created.as_bytes(), engine.now);
    drop(exchange);
    engine.counted();
    engine
}

/// Who serves each of fifty users, and how many of their requests are compared.
fn served(engine: &mut MemoryEngine, request: impl Fn(&str) -> (Head, String)) -> (Vec<u8>, usize) {
    engine.sent.clear();
    for user in 0..50 {
        engine.script = [Attempt::Answer(200, vec!["{}"], BodyEnd::Whole)].into();
        let (head, body) = request(&format!("user-{user}"));
        engine.serve(head, &[body.as_bytes()]);
    }
    let by = |address: &str| if address.contains("127.0.0.1") { b'b' } else { b'g' };
    let by = engine.sent.iter().map(|(address, _)| by(address)).collect();
    (by, engine.counted().marks.iter().count())
}

fn by_header(user: &str) -> (Head, String) {
    let body = r#"{"input":"and then?","previous_response_id":"resp_1","user":"somebody"}"#;
    (Head::request("POST", RESPONSES, &[("x-user-id", user), JSON]), body.to_owned())
}

fn by_body(user: &str) -> (Head, String) {
    let body = format!(r#"{{"user":"{user}","input":[],"previous_response_id":"resp_1"}}"#);
    (Head::request("POST", RESPONSES, &[JSON]), body)
}

fn by_path(user: &str) -> (Head, String) {
    (
        Head::request("GET", "/v1/responses/resp_1/input_items", &[("x-user-id", user)]),
        String::new(),
    )
}

fn without(user: &str) -> (Head, String) {
    let (head, _) = by_header(user);
    (head, r#"{"input":"hello","previous_response_id":null}"#.to_owned())
}

fn unknown(user: &str) -> (Head, String) {
    let (head, body) = by_body(user);
    (head, body.replace("resp_1", "resp_2"))
}

#[test]
fn an_answer_is_followed_over_steps_and_the_switch_and_nobody_else_moves() {
    let mut engine = engine();
    let switched = assignment(&[10_000, 0], 1).switch(&name(1)).expect("green is known");
    for (generation, assignment) in
        [(2, assignment(&[5_000, 5_000], 1)), (3, assignment(&[100, 9_900], 1)), (4, switched)]
    {
        engine.snapshot = snapshot(&assignment, generation);
        let (others, compared) = served(&mut engine, without);
        assert!(others.contains(&b'g') && compared > 0, "at {generation}");
        assert_eq!(served(&mut engine, unknown).0, others, "the key decides, wherever it stands");
        for request in [by_header, by_body, by_path] {
            assert_eq!(served(&mut engine, request), (vec![b'b'; 50], 0), "at {generation}");
        }
    }
}

/// Blue is armed no more.
fn released(switched: &Assignment) -> Assignment {
    switched.disarm(&name(0)).expect("blue has no users")
}

#[test]
fn whoever_has_nobody_left_for_it_is_not_followed() {
    let switched = assignment(&[10_000, 0], 1).switch(&name(1)).expect("green is known");
    let all_to_green = |engine: &mut MemoryEngine, why: &str| {
        for request in [by_header, by_body, by_path] {
            let (by, compared) = served(engine, request);
            assert_eq!(by, [b'g'; 50], "{why}");
            assert!(compared > 0, "{why}");
        }
    };
    let mut engine = engine();
    engine.snapshot = snapshot(&switched, 2);
    let table = Arc::clone(engine.snapshot.table("chat").expect("the service"));
    table.environments[0].in_flight.close(true);
    all_to_green(&mut engine, "it is drained");
    table.environments[0].in_flight.close(false);
    table.environments[0].upstreams[0].set_probe(Probe::Down, engine.now);
    all_to_green(&mut engine, "it is down");

    engine.snapshot = snapshot(&released(&switched), 3);
    all_to_green(&mut engine, "the rollout is over");

    // Blue was the candidate, and was taken back.
    let mut gone = assignment(&[0, 10_000], 1);
    gone.active = name(1);
    gone.partner.as_mut().expect("a partner").environment = name(0);
    engine.snapshot = snapshot(&gone, 4);
    all_to_green(&mut engine, "it was rolled back");
}

#[test]
fn a_request_that_waits_while_its_maker_goes_is_chosen_for_anew() {
    let mut engine = engine();
    let switched = assignment(&[10_000, 0], 1).switch(&name(1)).expect("green is known");
    for (then, by) in [(switched.clone(), b'b'), (released(&switched), b'g')] {
        engine.snapshot = snapshot(&assignment(&[5_000, 5_000], 1), 2);
        engine.sent.clear();
        engine.script = [Attempt::Answer(200, vec!["{}"], BodyEnd::Whole)].into();
        engine.while_connecting = Some(Box::new(move || snapshot(&then, 3)));
        let (head, body) = by_body("ana");
        engine.serve(head, &[body.as_bytes()]);
        assert_eq!(engine.sent[0].0.contains("127.0.0.1"), by == b'b');
    }
}

/// A server that keeps its own answers and knows no others.
async fn keeper(own: &'static str) -> Upstream {
    Upstream::scripted(move |mut visit: Visit| async move {
        while let Some(head) = visit.request().await {
            let answer =
                format!("{{\"id\":\"{own}\",\"object\":\"response\",\"status\":\"completed\"}}");
            let kind = if head.starts_with("POST") { "application/json" } else { "text/plain" };
            let length = answer.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}");
            visit.send(format!("{head}\r\n\r\n{answer}")).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_conversation_stays_where_it_began_until_it_is_drained() {
    let (blue, green) = (keeper("resp_blue").await, keeper("resp_green").await);
    let proxy = Proxy::between(&blue, &green);
    let mut client = proxy.client().await;
    let first = client.post(RESPONSES, "x-user-id: ana\r\n", r#"{"input":"hello"}"#).await;
    assert_eq!(first.header("x-deployment"), Some("blue"));
    proxy.switch("green").await;
    let fresh = client.post(RESPONSES, "x-user-id: ana\r\n", r#"{"input":"hello"}"#).await;
    assert_eq!(fresh.header("x-deployment"), Some("green"));
    let go_on = r#"{"input":"and then?","previous_response_id":"resp_blue"}"#;
    for headers in ["x-user-id: ana\r\n", "content-type: application/json\r\n", ""] {
        let mut client = proxy.client().await; // any core
        let next = client.post(RESPONSES, headers, go_on).await;
        assert_eq!(next.header("x-deployment"), Some("blue"), "{headers}");
        let looked_up = client.get("/v1/responses/resp_blue", headers).await;
        assert_eq!(looked_up.header("x-deployment"), Some("blue"), "{headers}");
        let other = client.get("/v1/responses/resp_green", headers).await;
        assert_eq!(other.header("x-deployment"), Some("green"), "{headers}");
    }
    let drain = Command::Drain {
        service: named("chat"),
        environment: named("blue"),
        deadline: Duration::from_secs(5),
    };
    proxy.ask(drain).await.expect("blue has no traffic");
    let next = client.post(RESPONSES, "", go_on).await;
    assert_eq!(next.header("x-deployment"), Some("green"), "drained means nobody");
    proxy.ask(Command::RollBack { service: named("chat"), instant: false }).await.expect("armed");
    for id in ["resp_blue", "resp_green"] {
        let answer = client.get(&format!("{RESPONSES}/{id}"), "").await;
        assert_eq!(answer.header("x-deployment"), Some("blue"), "{id}: green was rolled back");
    }
    proxy.switch("green").await;
    let next = client.post(RESPONSES, "", go_on).await;
    assert_eq!(next.header("x-deployment"), Some("blue"), "it had traffic again");
    proxy.adds_up().await;
}
