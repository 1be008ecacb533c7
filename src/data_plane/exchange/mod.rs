//! One request from its head to its last byte, as a state machine without I/O.
//!
//! The engine owns sockets, parsing, framing and timers. It tells the exchange what happened and asks
//! what to do; every decision is here: who may come in, which environment and upstream, what is changed
//! in the heads, what happens after a failure, how long anything may take, and how it all ended. No
//! type of an HTTP library or of an async runtime appears, so that another engine can take over without
//! touching a decision (`tests/it/support/memory_engine.rs` is one).
//!
//! What must stay true:
//! - choosing and entering an environment happen in one call, so that after a quiesce round every
//!   request of an older table is counted in flight;
//! - an exchange keeps its environment, never a table;
//! - it is recorded exactly once, at the latest when it is dropped.

mod access;
mod admit;
mod answer;
mod attempt;
mod compared;
mod conversation;
pub mod edits;
#[cfg(debug_assertions)]
mod fault;
pub mod forwarded;
mod grpc;
pub mod head;
pub mod key;
mod last_words;
mod marks;
mod measure;
mod mirror;
mod model;
mod note;
mod pick;
mod problem;
mod queue;
mod rate;
pub mod reply;
mod route;
pub mod sanity;
pub mod strip;
mod timing;
mod trace;
mod tunnel;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::model::body_end::BodyEnd;
use conversation::Search;
use head::Peer;
use last_words::LastWords;
use measure::Measured;
use pick::Tried;
pub use reply::Refusal;
pub use timing::{OnTime, Phase};
use tunnel::Tunnel;
pub use tunnel::{Direction, TunnelEnd};

use crate::data_plane::recorder::Recorder;
use crate::inspect::asked::AskedScan;
use crate::metrics::shard::{Ended, Values};
use crate::model::environment::{Environment, EnvironmentId};
use crate::model::in_flight::{InFlightGuard, WaitingGuard};
use crate::model::mirror::tap::MirrorPermit;
use crate::model::response_id::ResponseId;
use crate::model::routing_table::RoutingTable;
use crate::model::service::{HeaderNames, ServiceSpec};
use crate::model::snapshot::Snapshot;
use crate::model::sticky::StickyKey;
use crate::model::trace_context::TraceContext;
use crate::model::upstream::{Upstream, UpstreamId};
use crate::model::verdict::Verdict;

/// What to do with a request whose head, or the beginning of whose body, was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Answer it here.
    Reply(Refusal),
    /// Answer `OPTIONS *` here.
    Options,
    /// Read up to this many more bytes of the body, and hand them to `on_body_prefix`.
    NeedBody(usize),
    /// An environment was chosen, and has no place for now: ask `on_turn` until it has one.
    Wait,
    /// An environment was chosen and entered: `pick` an upstream.
    Route,
}

/// Where to send a request.
#[derive(Debug)]
pub enum Pick {
    /// To this upstream.
    Upstream(Arc<Upstream>),
    /// Nowhere: answer here.
    Reply(Refusal),
}

/// How sending a request failed, before any byte of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No connection could be made.
    Connect,
    /// Cyan itself had no file descriptor for one.
    Exhausted,
    /// The connection closed before a byte of the request was written.
    NotStarted,
    /// A pooled connection ended soon after the request was written: most likely it was closed at rest.
    Reused,
    /// A fresh connection ended after the request was written.
    Fresh,
}

/// What to do after such a failure.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// `pick` again.
    Retry,
    /// As `Retry`, but on a connection of its own: the request is a replay.
    Replay,
    /// Answer here.
    Reply(Refusal),
}

/// A request on its way.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one request")]
pub struct Exchange {
    recorder: Rc<Recorder>,
    peer: Rc<Peer>,
    began: Instant,
    phase: Phase,
    service: Option<Arc<ServiceSpec>>,
    client: Option<IpAddr>,
    key: Option<StickyKey>,
    search: Option<Search>,
    /// The answer that it goes on with.
    follows: Option<ResponseId>,
    new_cookie: Option<u64>,
    is_forced: bool,
    is_upgrade: bool,
    is_idempotent: bool,
    is_head: bool,
    is_client_retry: bool,
    is_compared: bool,
    generation: u64,
    /// The rollout under way when it entered its environment; 0 for none.
    rollout: u64,
    place: Option<Place>,
    /// It waits for a place.
    waiting: Option<WaitingGuard>,
    /// Leave to copy it, until the engine takes it.
    mirror: Option<MirrorPermit>,
    /// The environment that a request handed over counts for.
    counted_for: Option<Arc<Environment>>,
    /// The upstream of that environment that had failed it last.
    failed_upstream: Option<UpstreamId>,
    tried: Tried,
    not_started: u8,
    was_replayed: bool,
    request_id: access::RequestId,
    unique: u64,
    status: u16,
    head_after: Option<Duration>,
    /// Most bytes that its body may have.
    body_bytes_max: u64,
    /// Bytes that the client has sent of its body, whether or not they went on.
    uploaded: u64,
    /// How long it was waited for.
    upload_waited: Duration,
    request_bytes: u64,
    response_bytes: u64,
    /// Bytes of the answer that the client has not taken yet.
    offered: u64,
    /// How long it was waited for, less what it has earned by taking bytes.
    stalled: Duration,
    keep_alive: Option<Duration>,
    connect: Option<Duration>,
    measured: Measured,
    last_words: LastWords,
    tunnel: Option<Box<Tunnel>>,
    is_grpc: bool,
    grpc_status: Option<u16>,
    /// The environment in whose cohort it counts, if it is compared at all.
    cohort: Option<EnvironmentId>,
    /// The quarter of a second in which it joined, if somebody observes that environment.
    noted_from: Option<u32>,
    /// How it asks for its answer, looked for while somebody observes.
    asked: AskedScan,
    verdict: Option<Verdict>,
    /// The verdict was counted when it came about.
    is_verdict_counted: bool,
    /// It has ended as far as its cohort is concerned.
    is_end_marked: bool,
    refused: Option<&'static str>,
    ended_at: Option<Instant>,
    /// Why attempts failed, for whoever is told of single exchanges.
    problem: Option<Box<str>>,
    /// Method and path, for whoever is told of single exchanges.
    target: Option<Box<(String, String)>>,
    /// The trace it belongs to, for whoever is told of single exchanges.
    trace: Option<TraceContext>,
    is_recorded: bool,
}

/// The environment an exchange is in. Dropping it leaves.
struct Place {
    environment: Arc<Environment>,
    _in_flight: InFlightGuard,
    /// The one it was sent to last. It is not in flight there any more once it has failed.
    upstream: Option<(Arc<Upstream>, Option<InFlightGuard>)>,
}

impl Exchange {
    /// A request whose head has just been read.
    pub fn begin(recorder: Rc<Recorder>, peer: Rc<Peer>, now: Instant) -> Self {
        recorder.began();
        let unique = recorder.random();
        Self {
            recorder,
            peer,
            began: now,
            phase: Phase::Choosing,
            service: None,
            client: None,
            key: None,
            search: None,
            follows: None,
            new_cookie: None,
            is_forced: false,
            is_upgrade: false,
            is_idempotent: false,
            is_head: false,
            is_client_retry: false,
            is_compared: false,
            generation: 0,
            rollout: 0,
            place: None,
            waiting: None,
            mirror: None,
            counted_for: None,
            failed_upstream: None,
            tried: Tried::default(),
            not_started: 0,
            was_replayed: false,
            request_id: access::RequestId::None,
            unique,
            status: 0,
            head_after: None,
            body_bytes_max: u64::MAX,
            uploaded: 0,
            upload_waited: Duration::ZERO,
            request_bytes: 0,
            response_bytes: 0,
            offered: 0,
            stalled: Duration::ZERO,
            keep_alive: None,
            connect: None,
            measured: Measured::default(),
            last_words: LastWords::default(),
            tunnel: None,
            is_grpc: false,
            grpc_status: None,
            cohort: None,
            noted_from: None,
            asked: AskedScan::default(),
            verdict: None,
            is_verdict_counted: false,
            is_end_marked: false,
            refused: None,
            ended_at: None,
            problem: None,
            target: None,
            trace: None,
            is_recorded: false,
        }
    }

    /// Gives it its verdict, unless it has one.
    fn settle(&mut self, verdict: Verdict) {
        self.verdict.get_or_insert(verdict);
    }

    fn end(&mut self, verdict: Verdict, now: Instant) {
        self.settle(verdict);
        self.ended_at = Some(now);
        // While there is something left to say, the client has its time to take it.
        self.phase = if self.last_words.are_any() {
            Phase::Answering { since: now, waits_for_client: true }
        } else {
            Phase::Ended
        };
    }

    fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.refused = Some(refusal.reason());
        self.status = refusal.status();
        self.phase = Phase::Ended;
        refusal
    }

    /// Whether the request asks for a WebSocket.
    pub fn is_upgrade(&self) -> bool {
        self.is_upgrade
    }

    /// Whether the request has been sent a second time: the client need not do it again by itself.
    pub fn was_replayed(&self) -> bool {
        self.was_replayed
    }

    /// The id of the request, as in `X-Request-Id`.
    pub fn request_id(&self) -> &[u8] {
        self.request_id.as_bytes()
    }

    /// How long the upstream says it keeps an idle connection.
    pub fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// The environment that serves it.
    pub fn environment(&self) -> Option<&Arc<Environment>> {
        self.place.as_ref().map(|place| &place.environment)
    }

    /// The service it is for.
    pub fn service(&self) -> Option<&Arc<ServiceSpec>> {
        self.service.as_ref()
    }

    /// The names of the headers that only Cyan may set.
    pub fn header_names(&self) -> HeaderNames {
        self.service.as_ref().map_or_else(HeaderNames::default, |service| service.headers.clone())
    }

    /// When its request head came.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Most bytes that its body may have.
    pub fn body_bytes_max(&self) -> u64 {
        self.body_bytes_max
    }

    /// The environment whose drain would end it.
    pub fn environment_id(&self) -> Option<EnvironmentId> {
        self.environment().map(|environment| environment.id)
    }

    /// The upstream that it was sent to last.
    fn upstream_id(&self) -> Option<UpstreamId> {
        let (upstream, _) = self.place.as_ref()?.upstream.as_ref()?;
        Some(upstream.id)
    }

    fn table<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Arc<RoutingTable>> {
        snapshot.table(self.service.as_ref()?.name.as_str())
    }

    /// The environment that the exchange counts for.
    fn counted(&self) -> Option<EnvironmentId> {
        self.counted_for.as_ref().or(self.environment()).map(|environment| environment.id)
    }

    /// Records the exchange, once. An end that nobody told of is the client's: it went away.
    pub fn close(&mut self, now: Instant) {
        if std::mem::replace(&mut self.is_recorded, true) {
            return;
        }
        let ended_at = self.ended_at.unwrap_or(now);
        let at_leaving = self.verdict_of_leaving();
        let verdict = match (self.verdict, self.refused) {
            (Some(verdict), _) => verdict,
            (None, Some(_)) => Verdict::Shed,
            (None, None) => at_leaving,
        };
        match self.counted() {
            Some(environment) => {
                self.recorder.ended(&self.ended(environment, verdict, ended_at));
                self.mark_end(verdict, ended_at);
            }
            None => self.recorder.refused(self.refused.unwrap_or("client_gone")),
        }
        self.log(verdict, ended_at);
        self.measured.stream = None;
        self.place = None;
    }

    fn ended(&self, environment: EnvironmentId, verdict: Verdict, ended_at: Instant) -> Ended {
        let is_own = self.counted_for.is_none();
        Ended {
            environment,
            upstream: if is_own { self.upstream_id() } else { self.failed_upstream },
            verdict,
            is_verdict_counted: self.is_verdict_counted,
            status: self.judged_status(),
            values: is_own.then(|| self.values(ended_at)),
            is_tunnel: self.tunnel.is_some(),
            forced: self.is_forced,
            client_retry: self.is_client_retry,
            replayed: self.was_replayed,
            handed_over: !is_own && self.place.is_some(),
        }
    }

    fn values(&self, ended_at: Instant) -> Values {
        let measured = &self.measured;
        Values {
            latency: ended_at.saturating_duration_since(self.began),
            connect: self.connect,
            response_head: self.head_after,
            ttft: measured.ttft(self.began),
            tpot: measured.tpot(),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            tokens: measured.conclusion.map(|conclusion| conclusion.tokens).unwrap_or_default(),
            finish: measured.conclusion.and_then(|conclusion| conclusion.finish),
            inspection: measured.inspection,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.close(Instant::now());
        }
    }
}
