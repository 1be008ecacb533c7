//! Serves one request: asks the exchange, moves the bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, request, response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::answer::{Answer, Relay};
use super::connection::{Http1Connection, Http2Connection, UpstreamConnection};
use super::dial::{DialError, Dialed, TlsSettings, dial};
use super::heads::{HeaderForge, HyperRequest, HyperResponse, length_of};
use super::stream_end::StreamEnd;
use super::upload::{RequestBody, Upload};
use super::{target, tunnel};
use crate::data_plane::clients::{Client, Work};
use crate::data_plane::core::Core;
use crate::data_plane::exchange::edits::Edits;
use crate::data_plane::exchange::head::BodyLength;
use crate::data_plane::exchange::reply::METHODS;
use crate::data_plane::exchange::{AfterFailure, Exchange, Next, OnTime, Pick, Refusal, Stage};
use crate::data_plane::flight::FlightOwner;
use crate::data_plane::pool::{Pool, Rest};
use crate::model::environment::{Environment, Protocol};
use crate::model::upstream::{Upstream, UpstreamId};

/// What this engine keeps per core.
#[derive(Default)]
pub struct Engine {
    /// HTTP/1.1 connections at rest.
    pub pool: RefCell<Pool<Http1Connection>>,
    /// HTTP/2 connections, in use or at rest.
    pub http2: RefCell<HashMap<UpstreamId, Vec<Http2Connection>>>,
    /// Header names and values.
    pub forge: HeaderForge,
    edits: RefCell<Edits>,
    /// TLS towards upstreams.
    pub tls: TlsSettings,
}

/// The connection or stream to the client has to be broken: there is nothing honest to send any more.
#[derive(Debug)]
pub struct Hangup;

impl fmt::Display for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer was broken off")
    }
}

impl std::error::Error for Hangup {}

/// Serves one request of a client.
///
/// # Errors
/// When the client's connection has to be broken.
pub async fn serve(
    core: Rc<Core>,
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Hangup> {
    let peer = Rc::clone(&client.peer);
    let exchange = Exchange::begin(Rc::clone(&core.recorder), peer, Instant::now());
    let flight = core.flights.depart(exchange);
    let work = client.work(&core.clients);
    let (parts, incoming) = request.into_parts();
    let serving = Serving {
        is_body_pending: !hyper::body::Body::is_end_stream(&incoming),
        version: parts.version,
        core,
        flight,
        work,
    };
    serving.run(parts, incoming).await
}

/// A request being served.
struct Serving {
    core: Rc<Core>,
    flight: FlightOwner,
    work: Work,
    version: http::Version,
    is_body_pending: bool,
}

/// A request ready to be sent, perhaps more than once.
struct Outgoing {
    parts: request::Parts,
    body: Option<Rc<RequestBody>>,
    upgrade: Option<hyper::upgrade::OnUpgrade>,
}

/// An answer's head, and where it came from.
struct Answered {
    response: Response<Incoming>,
    connection: UpstreamConnection,
    upstream: Arc<Upstream>,
    environment: Arc<Environment>,
}

impl Serving {
    async fn run(
        self,
        parts: request::Parts,
        incoming: Incoming,
    ) -> Result<Response<Answer>, Hangup> {
        let outgoing = match self.admit(parts, incoming).await {
            Ok(outgoing) => outgoing,
            Err(Some(refusal)) => return Ok(self.reply(&refusal)),
            Err(None) => return Ok(self.options()),
        };
        match self.obtain(&outgoing).await {
            Ok(answered) => Ok(self.relay(outgoing, answered)),
            Err(refusal) => Ok(self.reply(&refusal)),
        }
    }

    /// Asks the exchange what the request is, reading of its body what the key needs. `Err(None)` is
    /// `OPTIONS *`.
    async fn admit(
        &self,
        mut parts: request::Parts,
        incoming: Incoming,
    ) -> Result<Outgoing, Option<Refusal>> {
        let mut next = self.ask(&mut parts, length_of(&incoming));
        let body = match &next {
            Next::Reply(_) | Next::Options => None,
            _ if !self.is_body_pending => None,
            _ => self.body(incoming),
        };
        loop {
            next = match (next, &body) {
                (Next::Reply(refusal), _) => return Err(Some(refusal)),
                (Next::Options, _) => return Err(None),
                (Next::NeedBody(_), Some(body)) => self.read_on(body).await.map_err(Some)?,
                (Next::Route | Next::NeedBody(_), _) => break,
            };
        }
        let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        parts.extensions.clear();
        Ok(Outgoing { parts, body, upgrade })
    }

    fn ask(&self, parts: &mut request::Parts, body: BodyLength) -> Next {
        let engine = &self.core.engine;
        let mut edits = engine.edits.borrow_mut();
        edits.clear();
        let next = {
            let head = HyperRequest { parts, body, forge: &engine.forge };
            let snapshot = self.core.snapshot.load();
            self.flight.with(|exchange| exchange.on_request(&head, &snapshot, &mut edits))
        };
        engine.forge.apply(&edits, &mut parts.headers);
        next
    }

    fn body(&self, incoming: Incoming) -> Option<Rc<RequestBody>> {
        let service = self.flight.note(|exchange| exchange.service().cloned())?;
        Some(RequestBody::new(
            incoming,
            self.version == http::Version::HTTP_2,
            service.body_bytes_max,
            service.headers.clone(),
            &self.core.budget,
            self.flight.share(),
            Rc::clone(&self.core.flights),
        ))
    }

    /// Reads one more piece of the body for the key.
    async fn read_on(&self, body: &Rc<RequestBody>) -> Result<Next, Refusal> {
        let piece = match self.flight.wait(body.read_ahead()).await {
            Ok(piece) => piece,
            Err(_due) => {
                self.on_due()?;
                return Ok(Next::NeedBody(0));
            }
        };
        if let Some(refusal) = body.refusal() {
            return Err(self.flight.with(|exchange| exchange.on_request_broken(refusal)));
        }
        let snapshot = self.core.snapshot.load();
        Ok(self.flight.with(|exchange| match piece {
            None => exchange.on_body_prefix(Ok(&[]), true, &snapshot),
            Some(Ok(piece)) => exchange.on_body_prefix(Ok(&piece), body.is_ended(), &snapshot),
            Some(Err(reason)) => exchange.on_body_prefix(Err(reason), false, &snapshot),
        }))
    }

    /// A deadline has passed, or a drain ends it: the refusal to answer with.
    fn on_due(&self) -> Result<(), Refusal> {
        let now = Instant::now();
        if self.flight.is_evicted() {
            return Err(self.flight.with(|exchange| exchange.on_evicted(now)));
        }
        match self.flight.with(|exchange| exchange.on_time(now)) {
            OnTime::Reply(refusal) => Err(refusal),
            OnTime::Nothing | OnTime::Abort | OnTime::Failed(..) => Ok(()),
        }
    }

    /// Sends the request until an upstream answers, or the exchange gives up.
    async fn obtain(&self, outgoing: &Outgoing) -> Result<Answered, Refusal> {
        let mut is_replay = false;
        // Once it has waited since it chose, the tables may have changed, whatever comes after.
        let mut has_waited = false;
        loop {
            let snapshot = self.core.snapshot.load();
            let now = Instant::now();
            let picked = self.flight.with(|exchange| exchange.pick(&snapshot, now));
            drop(snapshot);
            let upstream = match picked {
                Pick::Upstream(upstream) => upstream,
                Pick::Reply(refusal) => return Err(refusal),
            };
            let environment = self.environment()?;
            let is_alone = is_replay || self.flight.note(|exchange| exchange.is_upgrade());
            let resting = if is_alone { None } else { self.resting(&upstream, &environment, now) };
            has_waited |= resting.is_none();
            let connection = match resting {
                Some(connection) => connection,
                // Boxed, because it is rare and large: the future of every connection would be as large.
                None => match Box::pin(self.connect(&upstream, &environment, outgoing)).await {
                    Ok(connection) => connection,
                    Err(problem) => {
                        self.after(Stage::Connect, &problem, false)?;
                        continue;
                    }
                },
            };
            if has_waited {
                let snapshot = self.core.snapshot.load();
                if !self.flight.with(|exchange| exchange.is_still_routed(&snapshot)) {
                    self.keep(&upstream, &environment, connection);
                    continue;
                }
            }
            match self.send(outgoing, connection, upstream, environment).await? {
                Ok(answered) => return Ok(answered),
                Err(again_alone) => is_replay = again_alone,
            }
            has_waited = true;
        }
    }

    fn environment(&self) -> Result<Arc<Environment>, Refusal> {
        let environment = self.flight.note(|exchange| exchange.environment().cloned());
        environment.ok_or(Refusal::Draining)
    }

    /// A connection that rests in the pool.
    fn resting(
        &self,
        upstream: &Upstream,
        environment: &Environment,
        now: Instant,
    ) -> Option<UpstreamConnection> {
        let engine = &self.core.engine;
        if environment.spec.protocol == Protocol::Http1 {
            let resting = engine.pool.borrow_mut().take(upstream.id, now);
            return resting.map(UpstreamConnection::Http1);
        }
        let mut http2 = engine.http2.borrow_mut();
        let connections = http2.get_mut(&upstream.id)?;
        connections.retain(|connection| !connection.sender.is_closed());
        let stream = connections.iter().find_map(|connection| connection.stream(true));
        stream.map(UpstreamConnection::Http2)
    }

    /// Makes a new connection. The error is a text for people.
    async fn connect(
        &self,
        upstream: &Arc<Upstream>,
        environment: &Environment,
        outgoing: &Outgoing,
    ) -> Result<UpstreamConnection, String> {
        let spec = &environment.spec;
        // A WebSocket over HTTP/2 would need extended CONNECT; HTTP/1.1 works everywhere.
        let protocol = match outgoing.upgrade {
            Some(_) if self.flight.note(|exchange| exchange.is_upgrade()) => Protocol::Http1,
            _ => spec.protocol,
        };
        let engine = &self.core.engine;
        let tls = if upstream.spec.tls {
            let settings = engine.tls.of(environment.id, spec, protocol);
            Some(settings.map_err(|error| error.to_string())?)
        } else {
            None
        };
        let dialed = loop {
            match self.flight.wait(dial(upstream, spec, tls.clone(), protocol)).await {
                Ok(dialed) => break dialed.map_err(|error: DialError| error.to_string())?,
                Err(_due) if self.flight.is_evicted() => return Err("being drained".to_owned()),
                Err(_due) => {
                    let on_time = |exchange: &mut Exchange| exchange.on_time(Instant::now());
                    match self.flight.with(on_time) {
                        OnTime::Nothing => {} // the tick was early; dialling begins anew
                        OnTime::Failed(_, problem) => return Err(problem),
                        _ => return Err("the exchange took too long".to_owned()),
                    }
                }
            }
        };
        Ok(match dialed {
            Dialed::Http1(connection) => UpstreamConnection::Http1(connection),
            Dialed::Http2(connection) => {
                let stream = connection.stream(false).ok_or("the connection closed at once")?;
                let mut http2 = engine.http2.borrow_mut();
                let connections = http2.entry(upstream.id).or_default();
                // Beyond the limit it serves this one request and is closed.
                if connections.len() < spec.pool_idle_max as usize {
                    connections.push(connection);
                }
                UpstreamConnection::Http2(stream)
            }
        })
    }

    /// Keeps a fresh connection that is not needed after all.
    fn keep(&self, upstream: &Upstream, environment: &Environment, connection: UpstreamConnection) {
        if let UpstreamConnection::Http1(connection) = connection {
            let rest = Rest::of(environment, None, false);
            let mut pool = self.core.engine.pool.borrow_mut();
            pool.put(upstream.id, connection, rest, Instant::now());
        }
    }

    /// Sends the request on a connection. The inner error asks for another attempt; true: on a
    /// connection of its own.
    async fn send(
        &self,
        outgoing: &Outgoing,
        mut connection: UpstreamConnection,
        upstream: Arc<Upstream>,
        environment: Arc<Environment>,
    ) -> Result<Result<Answered, bool>, Refusal> {
        let was_reused = connection.is_reused();
        // The original stays as it is: what is changed for one environment, credentials above all, must
        // never be shown to another, and a replay begins anew.
        let mut parts = clone_head(&outgoing.parts);
        self.edit_for_upstream(&mut parts);
        target::set(&mut parts, connection.is_http2(), upstream.spec.tls);
        let upload = Upload::new(outgoing.body.clone());
        let sent = connection.send(Request::from_parts(parts, upload));
        self.flight.with(|exchange| exchange.on_sent(Instant::now()));
        let mut sent = std::pin::pin!(sent);
        let outcome = loop {
            match self.flight.wait(sent.as_mut()).await {
                Ok(outcome) => break outcome,
                Err(_due) => self.on_due()?,
            }
        };
        let error = match outcome {
            Ok(response) => {
                return Ok(Ok(Answered { response, connection, upstream, environment }));
            }
            Err(error) => error,
        };
        self.after_lost(outgoing, error, was_reused).map(Err)
    }

    /// What to do after a connection was lost before the head of an answer.
    fn after_lost(
        &self,
        outgoing: &Outgoing,
        mut error: TrySendError<Request<Upload>>,
        was_reused: bool,
    ) -> Result<bool, Refusal> {
        let refusal = outgoing.body.as_ref().and_then(|body| body.refusal());
        if let Some(refusal) = refusal {
            return Err(self.flight.with(|exchange| exchange.on_request_broken(refusal)));
        }
        let problem = describe(error.error());
        if error.take_message().is_some() {
            return self.after(Stage::NotStarted, &problem, true);
        }
        let can_replay = outgoing.body.as_ref().is_none_or(|body| body.can_replay());
        let stage = match StreamEnd::of(error.error()) {
            Some(StreamEnd::Unprocessed) if was_reused && can_replay => Stage::NotStarted,
            None if was_reused => Stage::Reused,
            _ => Stage::Fresh,
        };
        self.after(stage, &problem, can_replay)
    }

    /// Tells the exchange of a failure. True: the next attempt needs a connection of its own.
    fn after(&self, stage: Stage, problem: &str, can_replay: bool) -> Result<bool, Refusal> {
        if self.flight.is_evicted() {
            return Err(self.flight.with(|exchange| exchange.on_evicted(Instant::now())));
        }
        let snapshot = self.core.snapshot.load();
        let now = Instant::now();
        let tell = |exchange: &mut Exchange| {
            exchange.on_upstream_failure(stage, problem, can_replay, &snapshot, now)
        };
        match self.flight.with(tell) {
            AfterFailure::Retry => Ok(false),
            AfterFailure::Replay => Ok(true),
            AfterFailure::Reply(refusal) => Err(refusal),
        }
    }

    fn edit_for_upstream(&self, parts: &mut request::Parts) {
        let engine = &self.core.engine;
        let mut edits = engine.edits.borrow_mut();
        edits.clear();
        let head = HyperRequest { parts, body: BodyLength::Unknown, forge: &engine.forge };
        self.flight.note(|exchange| exchange.edit_for_upstream(&head, &mut edits));
        engine.forge.apply(&edits, &mut parts.headers);
        HeaderForge::apply_path(&edits, &mut parts.uri);
    }

    /// Passes the answer on.
    fn relay(self, outgoing: Outgoing, answered: Answered) -> Response<Answer> {
        let Answered { mut response, connection, upstream, environment } = answered;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let theirs = hyper::upgrade::on(&mut response);
            return self.switch_protocols(outgoing.upgrade, theirs, response.into_parts().0);
        }
        let (mut parts, incoming) = response.into_parts();
        let length = length_of(&incoming);
        self.edit_response(&mut parts, length);
        let keep_alive = self.flight.note(|exchange| exchange.keep_alive());
        let is_request_sent = outgoing.body.is_none_or(|body| body.is_ended());
        let is_stream = length == BodyLength::Unknown;
        let ends_with_connection = self.version < http::Version::HTTP_11 && is_stream;
        let incoming = Rc::new(RefCell::new(Some(incoming)));
        let (upstreams_half, client) = (Rc::clone(&incoming), Rc::clone(self.work.client()));
        let is_http1 = self.version < http::Version::HTTP_2;
        self.flight.on_stuck(move || {
            upstreams_half.borrow_mut().take();
            // One HTTP/2 stream that nobody reads must not cost the others their connection.
            if is_http1 {
                client.cut();
            }
        });
        let relay = Relay {
            incoming,
            flight: self.flight,
            connection: Some(connection),
            rest: is_request_sent.then(|| Rest::of(&environment, keep_alive, is_stream)),
            upstream: upstream.id,
            core: self.core,
            work: self.work,
            ends_with_connection,
            is_over: false,
            is_breaking: false,
        };
        parts.version = http::Version::HTTP_11;
        Response::from_parts(parts, Answer::Relay(Box::new(relay)))
    }

    fn edit_response(&self, parts: &mut response::Parts, body: BodyLength) {
        let engine = &self.core.engine;
        let mut edits = engine.edits.borrow_mut();
        edits.clear();
        let head = HyperResponse { parts, body, forge: &engine.forge };
        let now = Instant::now();
        self.flight.with(|exchange| exchange.on_response(&head, &mut edits, now));
        engine.forge.apply(&edits, &mut parts.headers);
        parts.extensions.clear();
    }

    /// The upstream took the upgrade: from here on bytes are passed in both directions.
    fn switch_protocols(
        self,
        ours: Option<hyper::upgrade::OnUpgrade>,
        theirs: hyper::upgrade::OnUpgrade,
        mut parts: response::Parts,
    ) -> Response<Answer> {
        let is_wanted = self.flight.note(|exchange| exchange.is_upgrade());
        let Some(ours) = ours.filter(|_| is_wanted) else {
            // Nobody asked for it; a tunnel would carry bytes that nobody has looked at.
            let refusal = Refusal::Lost("101 without an upgrade that was asked for".to_owned());
            let refusal = self.flight.with(|exchange| exchange.on_bad_answer(refusal));
            return self.reply(&refusal);
        };
        let protocol = parts.headers.remove(http::header::UPGRADE);
        self.edit_response(&mut parts, BodyLength::Empty);
        let protocol = protocol.unwrap_or(HeaderValue::from_static("websocket"));
        parts.headers.insert(http::header::UPGRADE, protocol);
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.version = http::Version::HTTP_11;
        self.flight.with(|exchange| exchange.on_upgraded(Instant::now()));
        tokio::task::spawn_local(tunnel::run(ours, theirs, self.flight, self.work));
        Response::from_parts(parts, Answer::Own(None))
    }

    /// Answers with a refusal.
    fn reply(&self, refusal: &Refusal) -> Response<Answer> {
        let body = Bytes::from(refusal.body());
        let mut response = Response::new(Answer::Own(Some(body)));
        *response.status_mut() =
            StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_GATEWAY);
        let engine = &self.core.engine;
        let mut edits = engine.edits.borrow_mut();
        edits.clear();
        self.flight.note(|exchange| refusal.edit(exchange.was_replayed(), &mut edits));
        engine.forge.apply(&edits, response.headers_mut());
        drop(edits);
        self.sign(&mut response);
        response
    }

    fn options(&self) -> Response<Answer> {
        let mut response = Response::new(Answer::Own(None));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        self.sign(&mut response);
        response
    }

    /// Puts Cyan's headers on its own answer, and reads what the client still sends for a moment, or it
    /// would see a reset before the answer.
    fn sign(&self, response: &mut Response<Answer>) {
        let engine = &self.core.engine;
        let mut edits = engine.edits.borrow_mut();
        edits.clear();
        self.flight.note(|exchange| exchange.edit_answer(&mut edits));
        engine.forge.apply(&edits, response.headers_mut());
        if self.is_body_pending && self.version < http::Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            self.work.client().linger(Instant::now());
        }
    }
}

/// A copy of a head, to be sent once more if the connection turns out to be dead.
fn clone_head(parts: &request::Parts) -> request::Parts {
    let mut copy = Request::new(()).into_parts().0;
    copy.method = parts.method.clone();
    copy.uri = parts.uri.clone();
    copy.version = parts.version;
    copy.headers = parts.headers.clone();
    copy
}

/// An error of hyper with what caused it.
fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
