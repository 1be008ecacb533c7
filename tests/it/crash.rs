//! What is left after `kill -9`: the state from before a change or from after it, never from between.
//!
//! A change is one transaction with its journal entry. So whenever the process dies, the state that the
//! next one serves is that of the last change answered as durable, or of the one that was under way; and
//! the journal leads to it without a gap.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use cyan::model::assignment::Assignment;
use cyan::model::routing_table::Weighted;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::proxy::{name, weights};
use crate::support::served::{Served, call, write_config};

const CHAT: &str = "/v1/services/chat";
/// Nobody listens there; nothing is proxied here.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);
/// Kills of a run; `CYAN_TEST_CRASHES` sets another number.
const CRASHES: u32 = 100;
/// The latest kill after the first change was begun.
const LIFE_MAX: Duration = Duration::from_millis(40);

/// A state that the test expects: its generation, and who has what. Salts are held by the journal.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    generation: u64,
    active: String,
    partner: Option<Value>,
    weights: Vec<Weighted>,
}

/// What is asked for, in turn.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Green's weight, in percent; blue has the rest.
    Weights(f64),
    /// All to the environment that is not active.
    Switch,
    /// Back.
    RollBack,
}

/// Everything that a kill may leave behind.
struct Candidates {
    /// The assignment of the newest of them, from which the next change is worked out.
    latest: Assignment,
    /// The last one answered as durable, and all since.
    states: Vec<Expected>,
}

#[tokio::test]
async fn a_kill_leaves_the_state_before_a_change_or_after_it() {
    let crashes = std::env::var("CYAN_TEST_CRASHES").map_or(CRASHES, |n| n.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), NOWHERE, NOWHERE);
    let mut random = fastrand::Rng::with_seed(4711);
    let began = Instant::now();
    let (mut changes, mut under_way_kept) = (0, 0);
    let mut cyan = Served::start(directory.path()).await;
    for crash in 0..crashes {
        let mut candidates = Candidates::from(kept(directory.path()));
        let life = LIFE_MAX.mul_f64(random.f64());
        let mut client = Client::connect(cyan.admin).await;
        // The moment is what is tested, so this is the one place that waits for an amount of time.
        let _ = tokio::time::timeout(life, async {
            loop {
                changes += 1;
                candidates.change(&mut client, &mut random).await;
            }
        })
        .await;
        cyan.kill().await;
        cyan = Served::start(directory.path()).await;
        let state = kept(directory.path());
        let restored = Expected::of(state.0, state.1);
        let position = candidates.states.iter().position(|expected| *expected == restored);
        let position = position.unwrap_or_else(|| {
            panic!("crash {crash}: {restored:?} is none of {:?}", candidates.states)
        });
        under_way_kept += u32::from(position > 0);
        serves(&cyan, &restored).await;
    }
    the_journal_has_no_gap(directory.path());
    println!(
        "{crashes} kills in {:?} within {changes} changes; {under_way_kept} left the change that was \
         under way",
        began.elapsed()
    );
}

impl Step {
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..10) {
            0 => Self::Switch,
            1 => Self::RollBack,
            2 => Self::Weights(0.0),
            _ => Self::Weights(f64::from(random.u16(0..=10_000)) / 100.0),
        }
    }

    /// What it makes of an assignment; `None` when there is nothing to do.
    fn applied_to(self, now: &Assignment) -> Option<Assignment> {
        let salt = || 0; // is not compared
        let next = match self {
            Self::Weights(green) => {
                now.set_weights(&weights(&[("blue", 100.0 - green), ("green", green)]), salt)
            }
            Self::Switch => now.switch(&other(now)),
            Self::RollBack => now.roll_back(),
        };
        next.ok().filter(|next| Expected::of(0, next.clone()) != Expected::of(0, now.clone()))
    }

    fn call(self, now: &Assignment) -> (&'static str, &'static str, Value) {
        match self {
            Self::Weights(green) => {
                let weights = weights(&[("blue", 100.0 - green), ("green", green)]);
                let pairs = weights.iter().map(|w| (w.environment.to_string(), json!(w.weight)));
                let pairs: serde_json::Map<_, _> = pairs.collect();
                ("PUT", "/weights", json!({ "weights": pairs }))
            }
            Self::Switch => ("POST", "/switch", json!({ "to": other(now) })),
            Self::RollBack => ("POST", "/rollback", json!({})),
        }
    }
}

fn other(now: &Assignment) -> cyan::model::name::Name {
    name(if now.active == name("blue") { "green" } else { "blue" })
}

impl Expected {
    fn of(generation: u64, assignment: Assignment) -> Self {
        Self {
            generation,
            weights: assignment.weights(),
            active: assignment.active.to_string(),
            partner: assignment.partner.map(|partner| json!(partner)),
        }
    }
}

impl From<(u64, Assignment)> for Candidates {
    fn from((generation, latest): (u64, Assignment)) -> Self {
        Self { states: vec![Expected::of(generation, latest.clone())], latest }
    }
}

impl Candidates {
    /// Makes a change. Where this is abandoned, both the state before and the one after are possible.
    async fn change(&mut self, client: &mut Client, random: &mut fastrand::Rng) {
        let step = Step::random(random);
        let Some(next) = step.applied_to(&self.latest) else { return };
        let generation = self.states.last().expect("there is always one").generation + 1;
        let (method, path, body) = step.call(&self.latest);
        self.states.push(Expected::of(generation, next.clone()));
        self.latest = next;
        let (status, answer) =
            call(client, method, &format!("{CHAT}{path}"), &body.to_string()).await;
        assert_eq!((status, &answer["generation"]), (200, &json!(generation)), "{answer}");
        // A disk that takes longer than the answer waits may still lose what it has not got.
        if answer["durable"] == json!(true) {
            self.states.drain(..self.states.len() - 1);
        }
    }
}

fn open(directory: &Path) -> rusqlite::Connection {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let file = directory.join("state/state.db");
    let connection = rusqlite::Connection::open_with_flags(file, flags).expect("a state file");
    connection.busy_timeout(Duration::from_secs(5)).expect("an option");
    connection
}

/// Generation and assignment as the state file has them.
fn kept(directory: &Path) -> (u64, Assignment) {
    let row = open(directory)
        .query_row("SELECT generation, assignment FROM service WHERE name = 'chat'", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .expect("a row for the service");
    let assignment = serde_json::from_str(&row.1).expect("an assignment");
    (row.0.try_into().expect("a generation"), assignment)
}

/// The process serves what its file says.
async fn serves(cyan: &Served, expected: &Expected) {
    let service = cyan.ask(CHAT).await;
    assert_eq!(service["generation"], json!(expected.generation));
    assert_eq!(service["active"], json!(expected.active));
    for (shown, weighted) in
        service["environments"].as_array().expect("a list").iter().zip(&expected.weights)
    {
        assert_eq!(shown["name"], json!(weighted.environment));
        assert_eq!(shown["weight_percent"], json!(weighted.weight));
    }
    let sum: u32 = expected.weights.iter().map(|w| u32::from(w.weight.hundredths())).sum();
    assert_eq!(sum, 10_000);
}

/// Each change begins where the one before ended, salts included, and the last one is the state. (Some
/// entries change nothing: how long a rollback took.)
fn the_journal_has_no_gap(directory: &Path) {
    let connection = open(directory);
    let mut statement = connection
        .prepare(
            "SELECT before, after FROM journal
             WHERE service = 'chat' AND after <> 'null' ORDER BY id",
        )
        .expect("a journal");
    let json = |text: String| serde_json::from_str::<Value>(&text).expect("JSON");
    let entries = statement
        .query_map([], |row| Ok((json(row.get(0)?), json(row.get(1)?))))
        .expect("a journal")
        .map(|entry| entry.expect("two texts"));
    let mut state = Value::Null;
    for (before, after) in entries {
        assert_eq!(before, state);
        state = after;
    }
    let (generation, assignment) = kept(directory);
    assert_eq!(state["generation"], json!(generation));
    assert_eq!(state["assignment"], json!(assignment));
}
