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
pub mod edits;
mod forwarded;
pub mod head;
mod key;
mod pick;
pub mod reply;
mod route;
mod sanity;
pub mod strip;
mod timing;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edits::Edits;
use head::{Peer, RequestHead, ResponseHead};
use key::KeyInHead;
use pick::Tried;
pub use reply::Refusal;
pub use timing::{OnTime, Phase};

use crate::data_plane::recorder::Recorder;
use crate::inspect::json_key::JsonKeyScan;
use crate::link::CoreReport;
use crate::metrics::shard::Ended;
use crate::model::environment::{Environment, EnvironmentId, HostPolicy, Replay};
use crate::model::header_id::HeaderId;
use crate::model::in_flight::InFlightGuard;
use crate::model::routing_table::RoutingTable;
use crate::model::service::{HeaderNames, ServiceSpec};
use crate::model::snapshot::Snapshot;
use crate::model::sticky::StickyKey;
use crate::model::upstream::Upstream;
use crate::model::verdict::Verdict;

/// One request in so many is looked at for keys that carry too much of the traffic.
const KEYS_LOOKED_AT: u64 = 4;

/// What to do with a request whose head, or the beginning of whose body, was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Answer it here.
    Reply(Refusal),
    /// Answer `OPTIONS *` here.
    Options,
    /// Read up to this many more bytes of the body, and hand them to `on_body_prefix`.
    NeedBody(usize),
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
    /// The connection closed before a byte of the request was written.
    NotStarted,
    /// A pooled connection ended after the request was written: most likely it was closed at rest.
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

/// How the body of an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// With everything that was announced.
    Whole,
    /// The connection closed before the announced end.
    Cut,
    /// The upstream reset the connection or stream.
    Reset,
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
    new_cookie: Option<u64>,
    is_forced: bool,
    is_upgrade: bool,
    is_idempotent: bool,
    generation: u64,
    place: Option<Place>,
    /// The environment that a request handed over counts for.
    counted_for: Option<Arc<Environment>>,
    tried: Tried,
    not_started: u8,
    was_replayed: bool,
    request_id: access::RequestId,
    unique: u64,
    status: u16,
    head_after: Option<Duration>,
    request_bytes: u64,
    response_bytes: u64,
    keep_alive: Option<Duration>,
    verdict: Option<Verdict>,
    refused: Option<&'static str>,
    ended_at: Option<Instant>,
    target: Option<Box<access::Target>>,
    is_recorded: bool,
}

/// A scan of the body for a sticky key.
struct Search {
    scan: JsonKeyScan,
    sources: Vec<u8>,
    otherwise: Option<StickyKey>,
    left: usize,
}

/// The environment an exchange is in. Dropping it leaves.
struct Place {
    environment: Arc<Environment>,
    _in_flight: InFlightGuard,
    upstream: Option<(Arc<Upstream>, InFlightGuard)>,
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
            new_cookie: None,
            is_forced: false,
            is_upgrade: false,
            is_idempotent: false,
            generation: 0,
            place: None,
            counted_for: None,
            tried: Tried::default(),
            not_started: 0,
            was_replayed: false,
            request_id: access::RequestId::None,
            unique,
            status: 0,
            head_after: None,
            request_bytes: 0,
            response_bytes: 0,
            keep_alive: None,
            verdict: None,
            refused: None,
            ended_at: None,
            target: None,
            is_recorded: false,
        }
    }

    /// Decides on a request by its head. Writes into `edits` what changes on the way to any upstream.
    pub fn on_request(
        &mut self,
        head: &impl RequestHead,
        snapshot: &Snapshot,
        edits: &mut Edits,
    ) -> Next {
        match self.admit(head, snapshot, edits) {
            Ok(next) => next,
            Err(refusal) => Next::Reply(self.refuse(refusal)),
        }
    }

    fn admit(
        &mut self,
        head: &impl RequestHead,
        snapshot: &Snapshot,
        edits: &mut Edits,
    ) -> Result<Next, Refusal> {
        self.request_id = access::RequestId::of(head, self.unique, self.recorder.random());
        sanity::check(head)?;
        if head.path() == "*" {
            self.refused = Some("options");
            return Ok(Next::Options);
        }
        let table = service_for(head, snapshot)?;
        let service = &table.service;
        sanity::check_length(head, service.body_bytes_max)?;
        self.service = Some(Arc::clone(service));
        self.client = forwarded::client_address(head, &self.peer);
        if self.recorder.is_logging() {
            self.target = Some(Box::new(access::Target::of(head)));
        }
        self.is_idempotent = is_idempotent(head.method());
        self.edit_request(head, service, edits);
        if let Some(environment) = route::forced(head, table, &self.peer)? {
            self.is_forced = true;
            self.key = Some(StickyKey::without(self.unique));
            return self.enter(table, &environment).map(|()| Next::Route);
        }
        match key::in_head(head, &service.sticky, self.client) {
            KeyInHead::Found(key) => self.choose(table, key).map(|()| Next::Route),
            KeyInHead::Missing => self.choose_without_key(table).map(|()| Next::Route),
            KeyInHead::InBody { scan, sources, otherwise } => {
                let left = service.sticky.body_bytes_max as usize;
                self.search = Some(Search { scan, sources, otherwise, left });
                Ok(Next::NeedBody(left))
            }
        }
    }

    /// What changes whatever environment it goes to.
    fn edit_request(&mut self, head: &impl RequestHead, service: &ServiceSpec, edits: &mut Edits) {
        self.is_upgrade = strip::is_websocket(head);
        strip::request(head, &self.peer, &service.headers, service.force.as_ref(), edits);
        if self.is_upgrade {
            strip::restore_websocket(edits);
        }
        forwarded::edit(head, &self.peer, edits);
        if self.request_id.is_ours() {
            edits.set(service.headers.request_id, &[self.request_id.as_bytes()]);
        }
        if let Some(authority) = head.authority() {
            edits.set(HeaderId::HOST, &[authority.as_bytes()]);
        }
    }

    /// The next bytes of the body, while its key is looked for; `None` when it cannot be read further,
    /// with the reason why as a metric label.
    pub fn on_body_prefix(
        &mut self,
        piece: Result<&[u8], &'static str>,
        is_end: bool,
        snapshot: &Snapshot,
    ) -> Next {
        let Some(search) = &mut self.search else { return Next::Route };
        let missed = match piece {
            Ok(piece) => {
                let used = piece.len().min(search.left);
                search.left -= used;
                let is_settled = search.scan.push(&piece[..used]);
                if !is_settled && !is_end && search.left > 0 {
                    return Next::NeedBody(search.left);
                }
                if is_settled || is_end { "absent" } else { "body_too_long" }
            }
            Err(reason) => reason,
        };
        let found = search.scan.found().map(|(i, value)| StickyKey::of(value, search.sources[i]));
        if found.is_none() {
            self.recorder.key_missed(missed);
        }
        let key = found.or(search.otherwise);
        self.search = None;
        let chosen = match self.table(snapshot) {
            None => Err(Refusal::Draining), // the service went away while the body came
            Some(table) => match key {
                Some(key) => self.choose(table, key),
                None => self.choose_without_key(table),
            },
        };
        match chosen {
            Ok(()) => Next::Route,
            Err(refusal) => Next::Reply(self.refuse(refusal)),
        }
    }

    fn choose_without_key(&mut self, table: &RoutingTable) -> Result<(), Refusal> {
        let random = self.recorder.random();
        if table.service.sticky.set_cookie.is_none() {
            return self.choose(table, StickyKey::without(random));
        }
        self.new_cookie = Some(random);
        let cookie = access::hex(random);
        let key = StickyKey { source: None, ..StickyKey::of(&cookie, key::COOKIE_SOURCE) };
        self.choose(table, key)
    }

    fn choose(&mut self, table: &RoutingTable, key: StickyKey) -> Result<(), Refusal> {
        let is_first = self.key.replace(key).is_none();
        if is_first && self.unique.is_multiple_of(KEYS_LOOKED_AT) {
            self.recorder.key_seen(&table.service.name, key);
        }
        let environment = &table.environments[table.choose(key.hash)];
        self.enter(table, environment)
    }

    /// Enters an environment: from here on it counts the exchange as in flight.
    fn enter(
        &mut self,
        table: &RoutingTable,
        environment: &Arc<Environment>,
    ) -> Result<(), Refusal> {
        let guard = match environment.spec.in_flight_max {
            None => environment.in_flight.enter(),
            Some(cap) => environment
                .in_flight
                .try_enter(cap)
                .ok_or_else(|| Refusal::InFlightMax(environment.name().to_string()))
                .inspect_err(|_| self.counted_for = Some(Arc::clone(environment)))?,
        };
        self.generation = table.generation;
        self.place =
            Some(Place { environment: Arc::clone(environment), _in_flight: guard, upstream: None });
        Ok(())
    }

    /// Picks the upstream to try next.
    pub fn pick(&mut self, snapshot: &Snapshot, now: Instant) -> Pick {
        let turn = self.recorder.random();
        loop {
            let Some(place) = &mut self.place else {
                return Pick::Reply(self.refuse(Refusal::Draining));
            };
            let environment = &place.environment;
            let picked = pick::usable(environment, &self.tried, now, turn);
            if picked.is_none() && self.tried.count() == 0 && self.hand_over(snapshot, now) {
                continue;
            }
            let Some(place) = &mut self.place else { continue };
            let picked = picked.or_else(|| pick::any(&place.environment, &self.tried, turn));
            let Some(upstream) = picked else {
                let name = place.environment.name().to_string();
                self.verdict = Some(Verdict::ConnectError);
                return Pick::Reply(self.refuse(Refusal::NoUpstream(name)));
            };
            let guard = upstream.in_flight.enter();
            place.upstream = Some((Arc::clone(&upstream), guard));
            self.phase = Phase::Connecting { since: now };
            return Pick::Upstream(upstream);
        }
    }

    /// Before the first byte, if the exchange has waited since it chose: an environment that has lost
    /// all its weight meanwhile gets nothing new. Returns false when another one was entered, or none
    /// could be, and `pick` has to be called again.
    pub fn is_still_routed(&mut self, snapshot: &Snapshot) -> bool {
        let (Some(place), Some(table)) = (&self.place, self.table(snapshot)) else { return true };
        let is_bound = self.is_forced || self.counted_for.is_some();
        let chosen = place.environment.name();
        if is_bound || table.generation == self.generation || !table.weight(chosen).is_zero() {
            return true;
        }
        let Some(key) = self.key else { return true };
        self.place = None;
        self.tried.clear();
        // A refusal leaves `place` empty, and `pick` then answers.
        let _ = self.choose(table, key);
        false
    }

    /// What changes on the way to the environment that was entered, just before the head is sent.
    pub fn edit_for_upstream(&self, head: &impl RequestHead, edits: &mut Edits) {
        let (Some(place), Some(service)) = (&self.place, &self.service) else { return };
        let spec = &place.environment.spec;
        edits.set(service.headers.deployment, &[spec.name.as_str().as_bytes()]);
        match (&spec.host, &place.upstream) {
            (HostPolicy::Preserve, Some((upstream, _))) if head.first(HeaderId::HOST).is_none() => {
                edits.set(HeaderId::HOST, &[upstream.spec.authority().as_bytes()]);
            }
            (HostPolicy::Upstream, Some((upstream, _))) => {
                edits.set(HeaderId::HOST, &[upstream.spec.authority().as_bytes()]);
            }
            (HostPolicy::Fixed(host), _) => edits.set(HeaderId::HOST, &[host.as_bytes()]),
            _ => {}
        }
        spec.remove_headers.iter().for_each(|id| edits.remove(*id));
        for (id, value) in &spec.set_headers {
            edits.set(*id, &[value.expose().as_bytes()]);
        }
        if let Some(prefix) = &spec.path_prefix {
            let path = head.path().as_bytes();
            match head.query() {
                Some(query) => edits.set_path(&[prefix.as_bytes(), path, b"?", query.as_bytes()]),
                None => edits.set_path(&[prefix.as_bytes(), path]),
            }
        }
    }

    /// The request is being written to a connection.
    pub fn on_sent(&mut self, now: Instant) {
        self.phase = Phase::AwaitingHead { since: now };
    }

    /// Sending failed before any byte of an answer. `can_replay` says whether the engine still has the
    /// whole request.
    pub fn on_upstream_failure(
        &mut self,
        stage: Stage,
        problem: &str,
        can_replay: bool,
        snapshot: &Snapshot,
        now: Instant,
    ) -> AfterFailure {
        if stage != Stage::NotStarted && stage != Stage::Reused {
            self.note_failure(problem, now);
        }
        let refusal = match stage {
            Stage::Connect => {
                if self.may_try_another() || self.hand_over(snapshot, now) {
                    return AfterFailure::Retry;
                }
                Refusal::Connect(problem.to_owned())
            }
            Stage::NotStarted if self.not_started < 2 => {
                self.not_started += 1;
                return AfterFailure::Retry;
            }
            Stage::Reused if can_replay && self.may_replay() => {
                self.was_replayed = true;
                return AfterFailure::Replay;
            }
            Stage::NotStarted | Stage::Reused | Stage::Fresh => Refusal::Lost(problem.to_owned()),
        };
        self.verdict = Some(Verdict::ConnectError);
        AfterFailure::Reply(self.refuse(refusal))
    }

    /// Counts a failure of the upstream in use, which may eject it.
    fn note_failure(&mut self, problem: &str, now: Instant) {
        let Some(place) = &mut self.place else { return };
        let Some((upstream, _guard)) = place.upstream.take() else { return };
        self.tried.add(upstream.id);
        if upstream.failed(&place.environment.spec.ejection, now) {
            let reason = problem.to_owned();
            self.recorder.report(CoreReport::UpstreamEjected { upstream: upstream.id, reason });
        }
    }

    fn may_try_another(&self) -> bool {
        self.place.as_ref().is_some_and(|place| {
            self.tried.count() <= usize::from(place.environment.spec.connect_retries)
                && self.tried.count() < place.environment.upstreams.len()
        })
    }

    fn may_replay(&self) -> bool {
        let policy = self.place.as_ref().map(|place| place.environment.spec.replay);
        !self.was_replayed
            && match policy {
                Some(Replay::ReusedConnection) => true,
                Some(Replay::Idempotent) => self.is_idempotent,
                Some(Replay::Never) | None => false,
            }
    }

    /// Gives the request to another environment, because its own cannot be connected to and nothing was
    /// sent: the active one's goes to the fallback, everybody else's to the active one. It goes on
    /// counting for its own. At most once, and only to one that has a usable upstream.
    fn hand_over(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let (Some(place), Some(table)) = (&self.place, self.table(snapshot)) else { return false };
        if self.is_forced || self.counted_for.is_some() {
            return false;
        }
        let own = Arc::clone(&place.environment);
        let is_active = table.active().id == own.id;
        let target = if is_active { table.fallback() } else { Some(table.active()) };
        let is_able = |e: &&Arc<Environment>| {
            e.id != own.id && e.upstreams.iter().any(|upstream| upstream.is_usable(now))
        };
        let Some(target) = target.filter(is_able) else { return false };
        let (from, to) = (own.id, target.id);
        if self.enter(table, target).is_err() {
            self.counted_for = None;
            return false;
        }
        self.counted_for = Some(own);
        self.tried.clear();
        self.recorder.report(CoreReport::FellBack { from, to });
        true
    }

    /// The head of the answer. Writes into `edits` what changes on the way to the client.
    pub fn on_response(&mut self, head: &impl ResponseHead, edits: &mut Edits, now: Instant) {
        self.status = head.status();
        self.head_after = Some(now.saturating_duration_since(self.began));
        self.phase = Phase::Answering { since: now, waits_for_client: false };
        self.keep_alive = access::keep_alive_timeout(head);
        if let Some(Place { upstream: Some((upstream, _)), .. }) = &self.place {
            upstream.answered();
        }
        if let Some(service) = &self.service {
            strip::response(head, &service.headers, edits);
        }
        self.edit_answer(edits);
    }

    /// The headers that every answer carries, Cyan's own included.
    pub fn edit_answer(&self, edits: &mut Edits) {
        let defaults;
        let (names, service) = if let Some(service) = &self.service {
            (&service.headers, Some(service))
        } else {
            defaults = HeaderNames::default();
            (&defaults, None)
        };
        edits.set(names.request_id, &[self.request_id.as_bytes()]);
        let (Some(service), Some(place)) = (service, &self.place) else { return };
        let environment = place.environment.name().as_str().as_bytes();
        edits.set(names.deployment, &[environment]);
        let (service_name, unique) = (service.name.as_str().as_bytes(), access::hex(self.unique));
        edits.set(names.exchange, &[service_name, b".", environment, b".0.", &unique]);
        if let (Some(value), Some(cookie)) = (self.new_cookie, &service.sticky.set_cookie) {
            let seconds = cookie.max_age.as_secs().to_string();
            let rest =
                [b"; Path=/; Max-Age=", seconds.as_bytes(), b"; HttpOnly; SameSite=Lax"].concat();
            let value = access::hex(value);
            edits.append(HeaderId::SET_COOKIE, &[cookie.name.as_bytes(), b"=", &value, &rest]);
        }
    }

    /// Bytes of the request body went on to the upstream.
    pub fn on_request_data(&mut self, bytes: usize) {
        self.request_bytes += bytes as u64;
    }

    /// Bytes of the answer came from the upstream and are about to be written to the client.
    pub fn on_response_data(&mut self, data: &[u8], now: Instant) {
        self.response_bytes += data.len() as u64;
        self.phase = Phase::Answering { since: now, waits_for_client: true };
    }

    /// The upgrade went through: from here on it is a tunnel.
    pub fn on_upgraded(&mut self, now: Instant) {
        self.phase = Phase::Tunnel { since: now };
    }

    /// The tunnel ended by itself, with so many bytes to the upstream and to the client.
    pub fn on_tunnel_end(&mut self, up: u64, down: u64, is_clean: bool, now: Instant) {
        self.request_bytes += up;
        self.response_bytes += down;
        self.end(if is_clean { Verdict::Complete } else { Verdict::AbortedByServer }, now);
    }

    /// The answer ended.
    pub fn on_response_end(&mut self, end: BodyEnd, now: Instant) {
        let verdict = match end {
            _ if self.status >= 400 => Verdict::HttpError,
            BodyEnd::Whole => Verdict::Complete,
            BodyEnd::Cut => Verdict::Truncated,
            BodyEnd::Reset => Verdict::AbortedByServer,
        };
        self.end(verdict, now);
    }

    /// The client sent more than it may, or broke its own framing.
    pub fn on_request_broken(&mut self, refusal: Refusal) -> Refusal {
        self.verdict = Some(Verdict::Shed);
        self.refuse(refusal)
    }

    /// The upstream's answer cannot be passed on.
    pub fn on_bad_answer(&mut self, refusal: Refusal) -> Refusal {
        self.verdict = Some(Verdict::AbortedByServer);
        self.refuse(refusal)
    }

    /// Cyan ends it: a drain's deadline has passed. Never a clean end for the client.
    pub fn on_evicted(&mut self, now: Instant) -> Refusal {
        self.end(Verdict::Shed, now);
        self.refuse(Refusal::Draining)
    }

    fn end(&mut self, verdict: Verdict, now: Instant) {
        if self.verdict.is_none() {
            self.verdict = Some(verdict);
        }
        self.ended_at = Some(now);
        self.phase = Phase::Ended;
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

    /// The environment whose drain would end it.
    pub fn environment_id(&self) -> Option<EnvironmentId> {
        self.environment().map(|environment| environment.id)
    }

    fn table<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Arc<RoutingTable>> {
        snapshot.table(self.service.as_ref()?.name.as_str())
    }

    /// Records the exchange, once. An end that nobody told of is the client's: it went away.
    pub fn close(&mut self, now: Instant) {
        if std::mem::replace(&mut self.is_recorded, true) {
            return;
        }
        let ended_at = self.ended_at.unwrap_or(now);
        let counted = self.counted_for.as_ref().or(self.environment());
        let verdict = match (self.verdict, self.refused, &self.counted_for) {
            (_, None, Some(_)) => Verdict::ConnectError,
            (Some(verdict), ..) => verdict,
            (None, Some(_), _) => Verdict::Shed,
            (None, None, _) => Verdict::ClientGone,
        };
        match counted.map(|environment| environment.id) {
            Some(environment) => self.recorder.ended(&Ended {
                environment,
                verdict,
                latency: ended_at.saturating_duration_since(self.began),
                response_head: self.head_after,
                request_bytes: self.request_bytes,
                response_bytes: self.response_bytes,
                forced: self.is_forced,
                replayed: self.was_replayed,
                handed_over: self.counted_for.is_some() && self.place.is_some(),
            }),
            None => self.recorder.refused(self.refused.unwrap_or("client_gone")),
        }
        self.log(verdict, ended_at);
        self.place = None;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.close(Instant::now());
        }
    }
}

/// The service that answers to the host and path of a request.
fn service_for<'s>(
    head: &impl RequestHead,
    snapshot: &'s Snapshot,
) -> Result<&'s Arc<RoutingTable>, Refusal> {
    if let Some(table) = snapshot.only_catch_all() {
        return Ok(table);
    }
    let host = sanity::host(head);
    snapshot.route(&host, head.path()).ok_or(Refusal::UnknownHost(host))
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}
