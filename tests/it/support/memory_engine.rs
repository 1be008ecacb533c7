//! A second engine, without sockets, without hyper, without an event loop: it drives the same exchange.
//!
//! It shows that no decision hides in the first engine. Upstreams are scripts; time is a number that the
//! test moves.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cyan::data_plane::exchange::edits::{Edit, Edits};
use cyan::data_plane::exchange::head::{
    BodyLength, Headers, Peer, RequestHead, ResponseHead, Version,
};
use cyan::data_plane::exchange::{
    AfterFailure, BodyEnd, Direction, Exchange, Next, OnTime, Pick, Refusal, Stage, TunnelEnd,
};
use cyan::data_plane::recorder::Recorder;
use cyan::metrics::shard::ShardReport;
use cyan::model::environment::EnvironmentId;
use cyan::model::header_id::HeaderId;
use cyan::model::note::Note;
use cyan::model::snapshot::Snapshot;
use cyan::model::verdict::Verdict;

/// A head in memory, of a request or an answer.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Method of a request.
    pub method: &'static str,
    /// Path and query of a request.
    pub target: String,
    /// Status of an answer.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whether there is a body.
    pub has_body: bool,
}

/// What an upstream does with one attempt.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// No connection.
    Refuse,
    /// The connection takes longer than anybody waits.
    Hang,
    /// A pooled connection that is dead: nothing was written.
    DeadAtRest,
    /// A pooled connection that dies after the request was written.
    LostReused,
    /// The same, after the upstream has worked on it for two seconds.
    LostAtWork,
    /// A fresh connection that dies after the request was written.
    LostFresh,
    /// The request is read, and nothing comes.
    Silent,
    /// An answer, and how its body ends.
    Answer(u16, Vec<&'static str>, BodyEnd),
    /// An answer whose body stops coming.
    Stalls(u16, &'static str),
    /// 101, then bytes up and down.
    Upgrade(usize, usize),
}

/// What the client saw.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer.
    Answer(u16, String),
    /// An answer that was broken off.
    Broken(u16, String),
    /// Cyan's own answer.
    Refused(Refusal),
    /// A tunnel that ended.
    Tunnel,
}

/// The engine: one core, no pool, scripted upstreams.
pub struct MemoryEngine {
    /// The tables.
    pub snapshot: Arc<Snapshot>,
    /// The clock.
    pub now: Instant,
    /// What the upstreams do, one attempt after the other.
    pub script: VecDeque<Attempt>,
    /// Heads as they were sent, by upstream address.
    pub sent: Vec<(String, Head)>,
    /// Heads of answers as the client got them.
    pub answers: Vec<Head>,
    recorder: Rc<Recorder>,
    /// Runs between choosing and the first byte of a fresh connection.
    pub while_connecting: Option<Box<dyn FnMut() -> Arc<Snapshot>>>,
}

impl MemoryEngine {
    /// An engine before these tables.
    pub fn new(snapshot: Snapshot, script: impl IntoIterator<Item = Attempt>) -> Self {
        Self {
            snapshot: Arc::new(snapshot),
            now: Instant::now(),
            script: script.into_iter().collect(),
            sent: Vec::new(),
            answers: Vec::new(),
            recorder: Rc::new(Recorder::counting(1)),
            while_connecting: None,
        }
    }

    /// What was counted since the last call.
    pub fn counted(&self) -> ShardReport {
        self.recorder.collect(Instant::now())
    }

    /// What was noted of two environments since the last call. The first call begins it.
    pub fn notes(&self, environments: [EnvironmentId; 2]) -> Vec<Note> {
        let report = self.recorder.observed.hand_over(environments, Instant::now());
        report.notes.iter().copied().collect()
    }

    /// How an environment's exchanges ended since the last call: verdicts that occurred.
    pub fn verdicts(&self, environment: u32) -> Vec<(Verdict, u64)> {
        let report = self.counted();
        let counts = report.environments.get(EnvironmentId(environment));
        let count = |verdict: Verdict| counts.map_or(0, |c| c.tallies.verdicts[verdict as usize]);
        let all = Verdict::ALL.into_iter().map(|verdict| (verdict, count(verdict)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// A request that is being sent to an upstream.
    pub fn begin(&mut self, head: &Head) -> Exchange {
        let peer = Rc::new(Peer::new(None));
        let mut exchange = Exchange::begin(Rc::clone(&self.recorder), peer, self.now);
        let mut edits = Edits::default();
        let next = exchange.on_request(head, &self.snapshot, &mut edits);
        assert_eq!(next, Next::Route);
        assert!(matches!(exchange.pick(&self.snapshot, self.now), Pick::Upstream(_)));
        exchange.on_sent(self.now);
        exchange
    }

    /// Reads the head of its answer.
    pub fn answers(&self, exchange: &mut Exchange) {
        let head = Head { status: 200, has_body: true, ..Head::default() };
        exchange.on_response(&head, &mut Edits::default(), self.now);
    }

    /// How many more bytes of its body a request wants before it goes anywhere, after pieces of these lengths.
    pub fn wants(&self, head: &Head, pieces: &[usize]) -> usize {
        let peer = Rc::new(Peer::new(None));
        let mut exchange = Exchange::begin(Rc::clone(&self.recorder), peer, self.now);
        let mut next = exchange.on_request(head, &self.snapshot, &mut Edits::default());
        for length in pieces {
            assert!(exchange.environment().is_none() && matches!(next, Next::NeedBody(_)));
            next = exchange.on_body_prefix(Ok(&vec![b' '; *length]), false, &self.snapshot);
        }
        match next {
            Next::NeedBody(wanted) => wanted,
            Next::Route => 0,
            next => panic!("{next:?}"),
        }
    }

    /// Serves one request from its head to its end.
    pub fn serve(&mut self, mut head: Head, body: &[&[u8]]) -> Outcome {
        let peer = Rc::new(Peer::new(Some("192.0.2.1".parse().expect("an address"))));
        let mut exchange = Exchange::begin(Rc::clone(&self.recorder), peer, self.now);
        let mut edits = Edits::default();
        let mut next = exchange.on_request(&head, &self.snapshot, &mut edits);
        head.apply(&edits);
        let mut pieces = body.iter();
        while let Next::NeedBody(_) = next {
            next = match pieces.next() {
                Some(piece) => exchange.on_body_prefix(Ok(piece), false, &self.snapshot),
                None => exchange.on_body_prefix(Ok(&[]), true, &self.snapshot),
            };
        }
        match next {
            Next::Reply(refusal) => Outcome::Refused(refusal),
            Next::Options => Outcome::Answer(204, String::new()),
            Next::Wait => {
                exchange.on_waiting_for_turn(self.now);
                self.now = exchange.deadline().expect("waiting has a limit");
                let OnTime::Reply(refusal) = exchange.on_time(self.now) else {
                    panic!("one that waits in vain is answered");
                };
                Outcome::Refused(refusal)
            }
            Next::Route | Next::NeedBody(_) => self.obtain(&mut exchange, &head),
        }
    }

    fn obtain(&mut self, exchange: &mut Exchange, head: &Head) -> Outcome {
        loop {
            let upstream = match exchange.pick(&self.snapshot, self.now) {
                Pick::Upstream(upstream) => upstream,
                Pick::Reply(refusal) => return Outcome::Refused(refusal),
            };
            if let Some(happen) = &mut self.while_connecting {
                self.snapshot = happen();
                self.while_connecting = None;
                if !exchange.is_still_routed(&self.snapshot) {
                    continue;
                }
            }
            let attempt = self.script.pop_front().expect("the script covers every attempt");
            let failed = match &attempt {
                Attempt::Refuse => Some((Stage::Connect, "refused".to_owned())),
                Attempt::Hang => {
                    self.now = exchange.deadline().expect("connecting has a limit");
                    match exchange.on_time(self.now) {
                        OnTime::Failed(stage, problem) => Some((stage, problem)),
                        other => panic!("a connection that hangs is a failure, not {other:?}"),
                    }
                }
                _ => None,
            };
            let failed =
                failed.or_else(|| self.send(exchange, head, &upstream.spec.to_string(), &attempt));
            if let Some((stage, problem)) = failed {
                match exchange.on_upstream_failure(stage, &problem, true, &self.snapshot, self.now)
                {
                    AfterFailure::Retry | AfterFailure::Replay => continue,
                    AfterFailure::Reply(refusal) => return Outcome::Refused(refusal),
                }
            }
            return self.answer(exchange, &attempt);
        }
    }

    /// Sends the head; a stage if the connection was lost before an answer.
    fn send(
        &mut self,
        exchange: &mut Exchange,
        head: &Head,
        upstream: &str,
        attempt: &Attempt,
    ) -> Option<(Stage, String)> {
        let lost = |stage| Some((stage, "connection closed".to_owned()));
        if matches!(attempt, Attempt::DeadAtRest) {
            return lost(Stage::NotStarted);
        }
        let mut edits = Edits::default();
        exchange.edit_for_upstream(head, &mut edits);
        let mut head = head.clone();
        head.apply(&edits);
        self.sent.push((upstream.to_owned(), head));
        exchange.on_sent(self.now);
        match attempt {
            Attempt::LostReused => lost(Stage::Reused),
            Attempt::LostAtWork => {
                self.now += Duration::from_secs(2);
                lost(Stage::Reused)
            }
            Attempt::LostFresh => lost(Stage::Fresh),
            _ => None,
        }
    }

    fn answer(&mut self, exchange: &mut Exchange, attempt: &Attempt) -> Outcome {
        let (status, pieces) = match attempt {
            Attempt::Silent => {
                self.now = exchange.deadline().expect("waiting has a limit");
                let OnTime::Reply(refusal) = exchange.on_time(self.now) else {
                    panic!("a silent upstream is answered for");
                };
                return Outcome::Refused(refusal);
            }
            Attempt::Answer(status, pieces, _) => (*status, pieces.clone()),
            Attempt::Stalls(status, piece) => (*status, vec![*piece]),
            _ => (101, Vec::new()),
        };
        let mut head = Head { status, has_body: !pieces.is_empty(), ..Head::default() };
        head.headers.push(("x-deployment".into(), b"forged".to_vec()));
        let mut edits = Edits::default();
        exchange.on_response(&head, &mut edits, self.now);
        head.apply(&edits);
        self.answers.push(head);
        for piece in &pieces {
            self.now += Duration::from_millis(10);
            exchange.on_response_data(piece.as_bytes(), self.now);
            exchange.on_waiting_for_upstream(self.now);
        }
        let body = pieces.concat();
        match attempt {
            Attempt::Upgrade(up, down) => {
                exchange.on_upgraded(self.now);
                exchange.on_tunnel_data(Direction::Up, &vec![0; *up], self.now);
                exchange.on_tunnel_data(Direction::Down, &vec![0; *down], self.now);
                exchange.on_tunnel_end(TunnelEnd::Ended(Direction::Up), self.now);
                Outcome::Tunnel
            }
            Attempt::Stalls(..) => {
                self.now = exchange.deadline().expect("an answer has a limit");
                assert_eq!(exchange.on_time(self.now), OnTime::Abort);
                Outcome::Broken(status, body)
            }
            Attempt::Answer(_, _, end) => {
                exchange.on_response_end(*end, self.now);
                let is_whole = *end == BodyEnd::Whole;
                if is_whole { Outcome::Answer(status, body) } else { Outcome::Broken(status, body) }
            }
            _ => unreachable!("every other attempt ended above"),
        }
    }
}

impl Head {
    /// A request with these header lines.
    pub fn request(method: &'static str, target: &str, headers: &[(&str, &str)]) -> Self {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        let mut headers: Vec<_> = headers.iter().map(header).collect();
        headers.push(("host".into(), b"test".to_vec()));
        let has_body = method == "POST";
        Self { method, target: target.to_owned(), status: 0, headers, has_body }
    }

    /// A header's first value as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    fn apply(&mut self, edits: &Edits) {
        for edit in edits.iter() {
            match edit {
                Edit::Remove(id) => self.headers.retain(|(name, _)| name != id.name()),
                Edit::RemoveNamed(gone) => self.headers.retain(|(name, _)| **name != **gone),
                Edit::Set(id, value) => {
                    self.headers.retain(|(name, _)| name != id.name());
                    self.headers.push((id.name().to_owned(), edits.value(value).to_vec()));
                }
                Edit::Append(id, value) => {
                    self.headers.push((id.name().to_owned(), edits.value(value).to_vec()));
                }
            }
        }
        if let Some(path) = edits.path() {
            self.target = String::from_utf8_lossy(path).into_owned();
        }
    }
}

impl Headers for Head {
    fn first(&self, id: HeaderId) -> Option<&[u8]> {
        self.headers.iter().find(|(name, _)| name == id.name()).map(|(_, value)| value.as_slice())
    }

    fn each_value<'a>(&'a self, id: HeaderId, visit: &mut dyn FnMut(&'a [u8])) {
        self.headers
            .iter()
            .filter(|(name, _)| name == id.name())
            .for_each(|(_, value)| visit(value));
    }

    fn each_name(&self, visit: &mut dyn FnMut(&str)) {
        self.headers.iter().for_each(|(name, _)| visit(name));
    }
}

impl RequestHead for Head {
    fn method(&self) -> &str {
        self.method
    }

    fn version(&self) -> Version {
        Version::Http11
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    fn authority(&self) -> Option<&str> {
        None
    }

    fn body_length(&self) -> BodyLength {
        match self.text("content-length").map(str::parse) {
            Some(length) => BodyLength::Known(length.expect("a length")),
            None if self.has_body => BodyLength::Unknown,
            None => BodyLength::Empty,
        }
    }
}

impl ResponseHead for Head {
    fn status(&self) -> u16 {
        self.status
    }

    fn body_length(&self) -> BodyLength {
        if self.has_body { BodyLength::Unknown } else { BodyLength::Empty }
    }
}
