//! A source of traffic: many users, each recognisable, at a steady rate, over kept connections.
//!
//! The rate is kept whatever the answers do (an open loop), because users do not wait for each other;
//! a source that cannot keep it says so in its tally. Everything is bounded: requests, time, requests
//! in flight, and the time that one answer may take.

mod client;
mod reading;
mod tally;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout};

use client::{Client, Question};

pub use client::Seen;
pub use tally::{Counts, Grade, Phase, Tally};

/// What a source sends, and how long.
#[derive(Debug, Clone)]
pub struct TrafficOptions {
    /// Where to.
    pub to: SocketAddr,
    /// Users; each request is of one of them, drawn evenly.
    pub users: u32,
    /// Requests started per second.
    pub rate: f64,
    /// Share of requests that ask for a stream, 0 to 1.
    pub streaming: f64,
    /// The header that names the user.
    pub user_header: &'static str,
    /// A further header of every request; it must be well-formed.
    pub header: Option<(String, String)>,
    /// Most requests in flight; beyond it a request is skipped and counted as such.
    pub in_flight_max: usize,
    /// Most requests altogether.
    pub requests_max: u64,
    /// Longest time for which requests are started.
    pub duration_max: Duration,
    /// Longest time that one answer may take.
    pub answer_max: Duration,
    /// What users and streams are drawn from.
    pub seed: u64,
}

impl TrafficOptions {
    /// 100 requests a second of 1000 users, two thirds of them streams, for an hour at most.
    pub fn towards(to: SocketAddr) -> Self {
        Self {
            to,
            users: 1000,
            rate: 100.0,
            streaming: 0.66,
            user_header: "x-user-id",
            header: None,
            in_flight_max: 1000,
            requests_max: 1_000_000,
            duration_max: Duration::from_secs(3600),
            answer_max: Duration::from_secs(60),
            seed: 0,
        }
    }
}

/// A running source, on a thread of its own. Dropped, it starts nothing more and waits for answers.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    tally: Mutex<Tally>,
    /// The phase of requests that start now. Relaxed would let a request that starts after
    /// `begin_phase` read the older one, so it is sequentially consistent.
    phase: AtomicUsize,
}

impl Traffic {
    /// Starts a source.
    ///
    /// # Errors
    /// When the system has no thread or event loop.
    pub fn start(options: TrafficOptions) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared =
            Arc::new(Shared { tally: Mutex::new(Tally::new()), phase: AtomicUsize::new(0) });
        let stop = watch::Sender::new(false);
        let (context, stopped) = (Arc::clone(&shared), stop.subscribe());
        let run = move || LocalSet::new().block_on(&runtime, send(options, context, stopped));
        let thread = std::thread::Builder::new().name("traffic".to_owned()).spawn(run)?;
        Ok(Self { shared, stop, thread: Some(thread) })
    }

    /// Begins a new phase: requests that start from now on are counted in it. Returns its number.
    pub fn begin_phase(&self) -> usize {
        let phase = self.shared.tally().begin_phase();
        self.shared.phase.store(phase, Ordering::SeqCst);
        phase
    }

    /// What has ended so far.
    pub fn tally(&self) -> Tally {
        self.shared.tally().clone()
    }

    /// What has been graded since this was asked last.
    pub fn take_grades(&self) -> Vec<Grade> {
        self.shared.tally().take_grades()
    }

    /// Waits until the last of its requests is answered, and tells everything.
    pub fn complete(mut self) -> Tally {
        self.join();
        self.tally()
    }

    /// Starts nothing more, waits for the answers that are still missing, and tells everything.
    pub fn finish(mut self) -> Tally {
        self.end();
        self.tally()
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on stderr, and its tally is short of answers.
            let _ = thread.join();
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// A panic while counting leaves the tally at most one request off.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts requests on schedule until a limit or `stop`, then waits for their ends.
async fn send(options: TrafficOptions, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let client = Rc::new(Client::new(&options));
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let mut running = JoinSet::new();
    let started = Instant::now();
    let spacing = Duration::from_secs_f64(1.0 / options.rate.max(0.001));
    let mut due = started;
    for number in 0..options.requests_max {
        tokio::select! {
            // An error means that the handle is gone, which is as good as its word.
            _ = stop.wait_for(|stops| *stops) => break,
            () = sleep_until(due) => {}
        }
        if started.elapsed() >= options.duration_max {
            break;
        }
        due += spacing;
        while running.try_join_next().is_some() {}
        let question = Question {
            user: rng.u32(0..options.users.max(1)),
            streams: rng.f64() < options.streaming,
        };
        let phase = shared.phase.load(Ordering::SeqCst);
        if running.len() >= options.in_flight_max {
            shared.tally().skipped(phase);
            continue;
        }
        let (client, shared) = (Rc::clone(&client), Arc::clone(&shared));
        let answer_max = options.answer_max;
        running.spawn_local(async move {
            let seen = timeout(answer_max, client.ask(question)).await;
            let seen = seen.unwrap_or_else(|_| Seen::late(answer_max));
            shared.tally().ended(phase, number, question.user, &seen);
        });
    }
    while running.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::mock_llm::{Faults, MockLlm, MockOptions};
    use crate::model::verdict::Verdict;

    /// Sends `requests` requests to a mock with `faults` and tells what came back.
    fn tally_with(faults: Faults, requests: u64) -> Tally {
        let options = MockOptions { faults, ..MockOptions::named("blue").instant() };
        let server = MockLlm::start(options).unwrap();
        let options = TrafficOptions {
            rate: 2000.0,
            users: 10,
            requests_max: requests,
            answer_max: Duration::from_secs(5),
            ..TrafficOptions::towards(server.address())
        };
        let tally = Traffic::start(options).unwrap().complete();
        let seen = server.stats();
        assert_eq!(seen.requests_total() + tally.verdicts(Verdict::Shed), requests);
        tally
    }

    #[test]
    fn whole_answers_are_complete_and_kept_connections_are_used() {
        let tally = tally_with(Faults::default(), 100);
        assert_eq!((tally.requests(), tally.lost()), (100, 0));
        assert_eq!(tally.verdicts(Verdict::Complete), 100);
        // A mock without a proxy before it names no environment.
        assert_eq!(tally.phases[0].environments.keys().collect::<Vec<_>>(), ["-"]);
        assert!(tally.phases[0].environments["-"].first_token.len() == 100);
    }

    #[test]
    fn each_fault_is_seen_for_what_it_is() {
        for (faults, verdict) in [
            (Faults { status: 1.0, ..Faults::default() }, Verdict::HttpError),
            (Faults { error_midway: 1.0, ..Faults::default() }, Verdict::ErrorInBand),
            (Faults { cut: 1.0, ..Faults::default() }, Verdict::Truncated),
            (Faults { reset: 1.0, ..Faults::default() }, Verdict::Truncated),
            (Faults { truncate: 1.0, ..Faults::default() }, Verdict::Truncated),
            (Faults { no_answer: 1.0, ..Faults::default() }, Verdict::ConnectError),
        ] {
            let tally = tally_with(faults.clone(), 20);
            assert_eq!(tally.verdicts(verdict), 20, "{faults:?}: {tally:?}");
            assert_eq!(tally.lost(), 20);
        }
    }

    #[test]
    fn the_length_of_a_run_is_bounded_by_time_too() {
        let server = MockLlm::start(MockOptions::named("blue").instant()).unwrap();
        let options = TrafficOptions {
            rate: 1000.0,
            duration_max: Duration::from_millis(100),
            ..TrafficOptions::towards(server.address())
        };
        let requests = Traffic::start(options).unwrap().complete().requests();
        assert!((1..=101).contains(&requests), "{requests} requests");
    }
}
