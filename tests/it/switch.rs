//! Weights and switches under load: no request fails, no stream is cut, and once a call has returned,
//! an environment at weight 0 gets nothing new. `benches/switch` does the same at length, with times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cyan::model::verdict::Verdict;
use tokio::task::JoinSet;

use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::upstream::{Upstream, Visit};

const CLIENTS: usize = 16;
const STREAMS: usize = 40;
const CHANGES: usize = 210;
/// Every so many changes one is a switch.
const SWITCH_EVERY: usize = 21;
const CHANGE_EVERY: Duration = Duration::from_millis(24);
/// Green's weights in turn, in percent; blue has the rest.
const GREEN: [f64; 7] = [0.0, 1.0, 25.0, 100.0, 50.0, 0.01, 75.0];
/// Requests that each closed time is tried with, at least.
const SHOWN: usize = 4;
const EVENTS: usize = 25;
const EVENT_EVERY: Duration = Duration::from_millis(20);

/// What the clients and the one who makes the changes tell each other.
#[derive(Debug, Default)]
struct Load {
    is_over: AtomicBool,
    /// Short answers that have come.
    answered: AtomicUsize,
}

/// A request as seen from both ends.
#[derive(Debug)]
struct Seen {
    environment: String,
    /// Before its first byte was written.
    written: Instant,
    /// When its environment had it.
    arrived: Instant,
}

/// A time in which an environment must get nothing new: from the return of the call that took its
/// weight to zero until the next call that raises it begins.
#[derive(Debug)]
struct Closed {
    environment: &'static str,
    from: Instant,
    until: Instant,
}

#[tokio::test]
async fn switches_under_load_are_noticed_by_nobody() {
    let origin = Instant::now();
    let blue = Upstream::scripted(move |visit| serve(visit, "blue", origin)).await;
    let green = Upstream::scripted(move |visit| serve(visit, "green", origin)).await;
    let proxy = Proxy::between(&blue, &green);
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS + STREAMS {
        let path = if number < CLIENTS { "/" } else { "/stream" };
        clients.spawn(ask(proxy.client().await, number, path, origin, Arc::clone(&load)));
    }
    let closed = change(&proxy, &load).await;
    load.is_over.store(true, Ordering::Relaxed); // it orders nothing
    let seen: Vec<Seen> = clients.join_all().await.into_iter().flatten().collect();

    assert!(closed.len() > CHANGES / SWITCH_EVERY, "{}", closed.len());
    let mut in_closed_times = 0;
    for request in &seen {
        for time in closed.iter().filter(|time| time.from <= request.written) {
            let is_within = request.arrived < time.until;
            in_closed_times += usize::from(is_within);
            assert!(!is_within || request.environment != time.environment, "{request:?} {time:?}");
        }
    }
    let few = closed.len() * SHOWN;
    assert!(in_closed_times >= few, "only {in_closed_times} of {} show anything", seen.len());
    let count = |environment: &str| seen.iter().filter(|s| s.environment == environment).count();
    proxy.settles("blue", Verdict::Complete, count("blue") as u64).await;
    proxy.settles("green", Verdict::Complete, count("green") as u64).await;
}

/// Makes all changes, one after the other; tells when which environment was closed.
async fn change(proxy: &Proxy, load: &Load) -> Vec<Closed> {
    let mut pace = tokio::time::interval(CHANGE_EVERY);
    let mut active = "blue";
    let mut weights = [("blue", 100.0), ("green", 0.0)];
    let mut since: [Option<Instant>; 2] = [None; 2];
    let mut closed = Vec::new();
    for number in 1..=CHANGES {
        pace.tick().await;
        let is_switch = number % SWITCH_EVERY == 0;
        if is_switch {
            active = if active == "blue" { "green" } else { "blue" };
        }
        let green = match (is_switch, active) {
            (true, "green") => 100.0,
            (true, _) => 0.0,
            (false, _) => GREEN[number % GREEN.len()],
        };
        weights = [(weights[0].0, 100.0 - green), (weights[1].0, green)];
        for ((environment, weight), since) in weights.iter().zip(&mut since) {
            if *weight > 0.0
                && let Some(from) = since.take()
            {
                closed.push(Closed { environment, from, until: Instant::now() });
            }
        }
        let applied =
            if is_switch { proxy.switch(active).await } else { proxy.set_weights(&weights).await };
        assert!(applied.lagging_cores.is_empty(), "{applied:?}");
        for ((_, weight), since) in weights.iter().zip(&mut since) {
            if *weight == 0.0 {
                since.get_or_insert_with(Instant::now);
            }
        }
        if since.iter().any(Option::is_some) {
            load.goes_on().await;
        }
    }
    closed
}

impl Load {
    /// Waits until some that were asked from now on have been answered, on however busy a machine.
    async fn goes_on(&self) {
        // Each client may have one under way.
        let enough = self.answered.load(Ordering::Relaxed) + CLIENTS + SHOWN;
        let is_there = || self.answered.load(Ordering::Relaxed) >= enough;
        eventually("short requests are answered", is_there).await;
    }
}

/// Asks again and again, as another user each time; each answer has to be whole.
async fn ask(
    mut client: Client,
    number: usize,
    path: &str,
    origin: Instant,
    load: Arc<Load>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !load.is_over.load(Ordering::Relaxed) {
        let user = number * 1000 + seen.len() % 1000;
        let written = Instant::now();
        let answer = client.get(path, &format!("x-user-id: user-{user}\r\n")).await;
        assert!(answer.is_whole && answer.status == 200, "{path} of user {user}: {answer:?}");
        assert!(path == "/" || answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
        seen.push(Seen::of(&answer, written, origin));
        load.answered.fetch_add(usize::from(path == "/"), Ordering::Relaxed);
        // On one event loop with the upstreams, a closed loop without a pause would starve them.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    seen
}

impl Seen {
    /// Reads what the environment says of itself: its name and when it had the request.
    fn of(answer: &Answer, written: Instant, origin: Instant) -> Self {
        let text = answer.text();
        let first = text.lines().next().expect("an answer has a line");
        let (environment, after) = first.split_once(' ').expect("a name and a time");
        let after = Duration::from_nanos(after.parse().expect("a time"));
        Self { environment: environment.to_owned(), written, arrived: origin + after }
    }
}

/// An environment that says in each answer who it is and when it had the request.
async fn serve(mut visit: Visit, environment: &'static str, origin: Instant) {
    while let Some(head) = visit.request().await {
        let first = format!("{environment} {}\n", origin.elapsed().as_nanos());
        let length = first.len();
        if !head.starts_with("GET /stream") {
            visit.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{first}")).await;
            continue;
        }
        visit
            .send(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                 transfer-encoding: chunked\r\n\r\n{length:x}\r\n{first}\r\n"
            ))
            .await;
        for _ in 0..EVENTS {
            tokio::time::sleep(EVENT_EVERY).await;
            visit.send("d\r\ndata: token\n\n\r\n").await;
        }
        visit.send("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await;
    }
}
