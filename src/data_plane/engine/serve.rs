//! Serves one request: asks the exchange, moves the bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, request, response};
use hyper::body::Incoming;

use super::answer::{Answer, Relay};
use super::attempt::{Answered, Outgoing};
use super::connection::{Http1Connection, Http2Connection};
use super::dial::TlsSettings;
use super::dialing::Dialing;
use super::heads::{HeaderForge, HyperRequest, HyperResponse, length_of};
use super::tunnel;
use super::upload::RequestBody;
use crate::data_plane::clients::{Client, Work};
use crate::data_plane::core::Core;
use crate::data_plane::exchange::edits::Edits;
use crate::data_plane::exchange::head::BodyLength;
use crate::data_plane::exchange::reply::METHODS;
use crate::data_plane::exchange::{Exchange, Next, OnTime, Refusal};
use crate::data_plane::flight::FlightOwner;
use crate::data_plane::pool::{Pool, Rest};
use crate::data_plane::quantum::Quantum;
use crate::model::upstream::UpstreamId;

/// What this engine keeps per core.
#[derive(Default)]
pub struct Engine {
    /// HTTP/1.1 connections at rest.
    pub pool: RefCell<Pool<Http1Connection>>,
    /// HTTP/2 connections, in use or at rest.
    pub http2: RefCell<HashMap<UpstreamId, Vec<Http2Connection>>>,
    /// HTTP/2 connections that are being made.
    pub dialing: Dialing,
    /// Header names and values.
    pub forge: HeaderForge,
    /// The changes of a head, one head after the other.
    pub edits: RefCell<Edits>,
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
    client.has_room().await;
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
    let answer = serving.run(parts, incoming).await;
    client.io.credit.earn_answer();
    answer
}

/// A request being served.
pub(super) struct Serving {
    pub(super) core: Rc<Core>,
    pub(super) flight: FlightOwner,
    pub(super) work: Work,
    pub(super) version: http::Version,
    pub(super) is_body_pending: bool,
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

    /// Asks the exchange what the request is, reading of its body what has to come first. `Err(None)` is
    /// `OPTIONS *`.
    async fn admit(
        &self,
        mut parts: request::Parts,
        incoming: Incoming,
    ) -> Result<Outgoing, Option<Refusal>> {
        let mut next = self.ask(&mut parts, length_of(&incoming));
        let goes_on = matches!(next, Next::Route | Next::Wait | Next::NeedBody(_));
        let body = (goes_on && self.is_body_pending).then(|| self.body(incoming)).flatten();
        loop {
            next = match (next, &body) {
                (Next::Reply(refusal), _) => return Err(Some(refusal)),
                (Next::Options, _) => return Err(None),
                (Next::Wait, _) => self.wait_for_turn().await.map_err(Some)?,
                (Next::NeedBody(_), Some(body)) => self.read_on(body).await.map_err(Some)?,
                (Next::Route | Next::NeedBody(_), _) => break,
            };
        }
        if body.is_some() {
            // Only now are the limits of its environment known.
            self.on_due().map_err(Some)?;
        }
        self.begin_copy(&parts, body.as_ref());
        let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        parts.extensions.clear();
        let has_waited = self.hold_for_edit(&parts, body.as_ref()).await.map_err(Some)?;
        Ok(Outgoing { parts, body, upgrade, has_waited })
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
        let bytes_max = self.flight.note(|exchange| exchange.body_bytes_max());
        Some(RequestBody::new(
            incoming,
            Rc::clone(self.work.client()),
            bytes_max,
            service.headers.clone(),
            &self.core.budget,
            self.flight.share(),
            Rc::clone(&self.core.flights),
        ))
    }

    /// Reads one more piece of the body ahead.
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

    /// Waits until its environment has a place.
    async fn wait_for_turn(&self) -> Result<Next, Refusal> {
        // Boxed, because it is rare: the future of every request would be as large.
        let mut turn = Box::pin(self.flight.turn(&self.core.snapshot));
        loop {
            match self.flight.wait(turn.as_mut()).await {
                Ok(next) => return Ok(next),
                Err(_due) => self.on_due()?,
            }
        }
    }

    /// A deadline has passed, or a drain ends it: the refusal to answer with.
    pub(super) fn on_due(&self) -> Result<(), Refusal> {
        let now = Instant::now();
        if self.flight.is_evicted() {
            return Err(self.flight.with(|exchange| exchange.on_evicted(now)));
        }
        match self.flight.with(|exchange| exchange.on_time(now)) {
            OnTime::Reply(refusal) => Err(refusal),
            OnTime::Nothing | OnTime::Abort | OnTime::Failed(..) => Ok(()),
        }
    }

    /// Passes the answer on.
    fn relay(self, outgoing: Outgoing, answered: Answered) -> Response<Answer> {
        let Answered { mut response, connection, upstream, environment } = answered;
        let limit = environment.spec.timeouts.write_stall;
        self.work.client().limit_tail(limit);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let theirs = hyper::upgrade::on(&mut response);
            return self.switch_protocols(outgoing.upgrade, theirs, response.into_parts().0);
        }
        let (mut parts, incoming) = response.into_parts();
        let length = length_of(&incoming);
        self.edit_response(&mut parts, length);
        let keep_alive = self.flight.note(|exchange| exchange.keep_alive());
        let unsent = outgoing.body.filter(|body| !body.is_ended());
        let is_stream = length == BodyLength::Unknown;
        let ends_with_connection = self.version < http::Version::HTTP_11 && is_stream;
        if ends_with_connection {
            self.work.client().ends_answer();
        }
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
        let outlet = (!is_http1).then(|| self.work.client().outlet(limit, Instant::now()));
        let relay = Relay {
            incoming,
            outlet,
            flight: self.flight,
            connection: Some(connection),
            rest: unsent.is_none().then(|| Rest::of(&environment, keep_alive, is_stream)),
            stopped: unsent.map(|body| body.stopped()),
            upstream,
            core: self.core,
            work: self.work,
            ends_with_connection,
            is_over: false,
            ending: None,
            quantum: Quantum::of(is_stream),
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
        self.sign(&mut response, refusal.ends_connection());
        response
    }

    fn options(&self) -> Response<Answer> {
        let mut response = Response::new(Answer::Own(None));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        self.sign(&mut response, false);
        response
    }

    /// Puts Cyan's headers on its own answer. Where the connection ends with it, what the client still sends
    /// is read for a moment, or it would see a reset before the answer.
    fn sign(&self, response: &mut Response<Answer>, is_last: bool) {
        let engine = &self.core.engine;
        let mut edits = engine.edits.borrow_mut();
        edits.clear();
        self.flight.note(|exchange| exchange.edit_answer(&mut edits));
        engine.forge.apply(&edits, response.headers_mut());
        if (is_last || self.is_body_pending) && self.version < http::Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            self.work.client().linger(Instant::now());
        }
    }
}
