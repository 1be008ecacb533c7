//! Sends a request until an upstream answers, or the exchange gives up.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, request};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::connection::{Http2Connection, STREAMS_MAX, UpstreamConnection};
use super::dial::{DialError, Dialed, dial};
use super::dialing::{DialEnd, Unmade};
use super::heads::{HeaderForge, HyperRequest};
use super::interim;
use super::sending::Upload;
use super::serve::Serving;
use super::stream_end::StreamEnd;
use super::target;
use super::upload::RequestBody;
use crate::data_plane::exchange::head::BodyLength;
use crate::data_plane::exchange::{AfterFailure, Exchange, OnTime, Pick, Refusal, Stage};
use crate::data_plane::pool::Rest;
use crate::inspect::model_edit::ModelEdit;
use crate::model::environment::{Environment, Protocol};
use crate::model::upstream::Upstream;

/// A request ready to be sent, perhaps more than once.
pub(super) struct Outgoing {
    pub(super) parts: request::Parts,
    pub(super) body: Option<Rc<RequestBody>>,
    pub(super) upgrade: Option<hyper::upgrade::OnUpgrade>,
    /// Its body was waited for after its environment had been chosen.
    pub(super) has_waited: bool,
}

/// An answer's head, and where it came from.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) connection: UpstreamConnection,
    pub(super) upstream: Arc<Upstream>,
    pub(super) environment: Arc<Environment>,
}

/// Why there is no connection.
enum NoConnection {
    /// It could not be made; whoever waited for it has failed with it.
    Unmade(Unmade),
    /// This exchange is drained. Others may not be.
    Evicted(Unmade),
    /// The exchange is over.
    Over(Refusal),
}

impl Serving {
    /// Sends the request until an upstream answers, or the exchange gives up.
    pub(super) async fn obtain(&self, outgoing: &Outgoing) -> Result<Answered, Refusal> {
        let (mut is_replay, mut has_failed) = (false, false);
        // Once it has waited since it chose, the tables may have changed, whatever comes after.
        let mut has_waited = outgoing.has_waited;
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
            let resting = (!is_alone)
                .then(|| self.resting(&upstream, &environment, !has_failed, now))
                .flatten();
            has_waited |= resting.is_none();
            let connection = match resting {
                Some(connection) => connection,
                // Boxed, because it is rare and large: the future of every connection would be as large.
                None => {
                    let connecting = self.connect(&upstream, &environment, outgoing, is_alone);
                    match Box::pin(connecting).await {
                        Ok(connection) => {
                            self.flight.note(|exchange| exchange.on_connected(Instant::now()));
                            connection
                        }
                        Err(NoConnection::Over(refusal)) => return Err(refusal),
                        Err(
                            NoConnection::Unmade((stage, problem))
                            | NoConnection::Evicted((stage, problem)),
                        ) => {
                            self.after(stage, &problem, false)?;
                            has_failed = true;
                            continue;
                        }
                    }
                }
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

    /// A connection that stands, unless another one should be made.
    fn resting(
        &self,
        upstream: &Upstream,
        environment: &Environment,
        may_spread: bool,
        now: Instant,
    ) -> Option<UpstreamConnection> {
        let engine = &self.core.engine;
        if environment.spec.protocol == Protocol::Http1 {
            let resting = engine.pool.borrow_mut().take(upstream, now);
            return resting.map(UpstreamConnection::Http1);
        }
        // Streams side by side are spread over the addresses of a name, one connection each; who has failed
        // to make one takes what there is, and so do all while one is being made.
        let idle_max = environment.spec.pool_idle_max as usize;
        self.place(upstream, |connections, streams| {
            streams == 0
                || !may_spread
                || !engine.dialing.may_spread(upstream.id, now)
                || connections >= upstream.addresses.load().len().min(idle_max)
                || engine.dialing.is_under_way(upstream.id)
        })
    }

    /// A place on the connection over HTTP/2 that has the fewest streams, if that is wanted: by how many
    /// connections there are, and how many streams it has.
    fn place(
        &self,
        upstream: &Upstream,
        is_wanted: impl FnOnce(usize, u32) -> bool,
    ) -> Option<UpstreamConnection> {
        let mut http2 = self.core.engine.http2.borrow_mut();
        let connections = http2.get_mut(&upstream.id)?;
        // Streams on one that leads to an address of the past go on; with the last one it ends.
        connections.retain(|connection| {
            !connection.sender.is_closed() && upstream.addresses.has(&connection.destination)
        });
        let free = connections.iter().filter(|connection| connection.has_place());
        let least = free.min_by_key(|connection| connection.streams.get())?;
        let stream = if is_wanted(connections.len(), least.streams.get()) {
            least.stream(true)
        } else {
            None
        };
        stream.map(UpstreamConnection::Http2)
    }

    /// Streams that a new connection to the upstream will carry, as far as its others tell.
    fn places(&self, upstream: &Upstream) -> u32 {
        let http2 = self.core.engine.http2.borrow();
        let latest = http2.get(&upstream.id).and_then(|connections| connections.last());
        latest.map_or(STREAMS_MAX, Http2Connection::places)
    }

    /// Makes a new connection, or waits for one that is being made and can be shared.
    async fn connect(
        &self,
        upstream: &Arc<Upstream>,
        environment: &Environment,
        outgoing: &Outgoing,
        is_alone: bool,
    ) -> Result<UpstreamConnection, NoConnection> {
        // A WebSocket over HTTP/2 would need extended CONNECT; HTTP/1.1 works everywhere.
        let protocol = match outgoing.upgrade {
            Some(_) if self.flight.note(|exchange| exchange.is_upgrade()) => Protocol::Http1,
            _ => environment.spec.protocol,
        };
        if protocol == Protocol::Http1 {
            return self.dial(upstream, environment, protocol).await;
        }
        let dialing = &self.core.engine.dialing;
        while !is_alone && let Some(dial) = dialing.join(upstream.id, self.places(upstream)) {
            match self.patiently(dial.ended()).await? {
                DialEnd::Failed(unmade) => return Err(NoConnection::Unmade(unmade)),
                DialEnd::Left => {}
                // Without a place, others were faster: those who have none share the next connection.
                DialEnd::Made => {
                    if let Some(connection) = self.place(upstream, |_, _| true) {
                        return Ok(connection);
                    }
                }
            }
        }
        let promise = dialing.begin(upstream.id);
        let dialed = self.dial(upstream, environment, protocol).await;
        // One more was wanted for its address only: who cannot have it shares what stands, and nobody is
        // told of a failure.
        if let Err(NoConnection::Unmade(_)) = &dialed
            && !is_alone
            && let Some(connection) = self.place(upstream, |_, _| true)
        {
            dialing.spread_failed(upstream.id, Instant::now());
            return Ok(connection);
        }
        promise.end(match &dialed {
            Ok(_) => DialEnd::Made,
            Err(NoConnection::Unmade(unmade)) => DialEnd::Failed(unmade.clone()),
            Err(NoConnection::Evicted(_) | NoConnection::Over(_)) => DialEnd::Left,
        });
        dialed
    }

    async fn dial(
        &self,
        upstream: &Arc<Upstream>,
        environment: &Environment,
        protocol: Protocol,
    ) -> Result<UpstreamConnection, NoConnection> {
        let failed = |error: DialError| NoConnection::Unmade((error.stage(), error.to_string()));
        let spec = &environment.spec;
        let engine = &self.core.engine;
        let tls = if upstream.spec.tls {
            let settings = engine.tls.of(environment.id, spec, protocol);
            Some(settings.map_err(failed)?)
        } else {
            None
        };
        let dialed = self.patiently(dial(upstream, spec, tls, protocol)).await?;
        Ok(match dialed.map_err(failed)? {
            Dialed::Http1(connection) => UpstreamConnection::Http1(connection),
            Dialed::Http2(connection) => {
                let stream = connection.stream(false);
                let closed = || NoConnection::Unmade(unmade("the connection closed at once"));
                let stream = stream.ok_or_else(closed)?;
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

    /// Waits for a part of connecting, as long as the exchange may.
    async fn patiently<F: Future>(&self, work: F) -> Result<F::Output, NoConnection> {
        let mut work = std::pin::pin!(work);
        loop {
            match self.flight.wait(work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_due) if self.flight.is_evicted() => {
                    return Err(NoConnection::Evicted(unmade("being drained")));
                }
                Err(_due) => {
                    let on_time = |exchange: &mut Exchange| exchange.on_time(Instant::now());
                    match self.flight.with(on_time) {
                        // Who waits for the same connection fails with it: the time left to the next would
                        // be too short for any.
                        OnTime::Failed(stage, problem) => {
                            return Err(NoConnection::Unmade((stage, problem)));
                        }
                        OnTime::Reply(refusal) => return Err(NoConnection::Over(refusal)),
                        // The tick was early; there is no answer yet to break off.
                        OnTime::Nothing | OnTime::Abort => {}
                    }
                }
            }
        }
    }

    /// Keeps a fresh connection that is not needed after all.
    fn keep(&self, upstream: &Upstream, environment: &Environment, connection: UpstreamConnection) {
        if let UpstreamConnection::Http1(connection) = connection {
            let rest = Rest::of(environment, None, false);
            let mut pool = self.core.engine.pool.borrow_mut();
            pool.put(upstream, connection, rest, Instant::now());
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
        let edit = self.edit_for_upstream(&mut parts);
        target::set(&mut parts, connection.is_http2(), upstream.spec.tls);
        let upload = Upload::new(outgoing.body.clone(), edit);
        upload.announce(&mut parts.headers, connection.is_http2());
        let mut request = Request::from_parts(parts, upload);
        if self.version == http::Version::HTTP_11 {
            let names = self.flight.note(|exchange| exchange.header_names());
            interim::pass_on(&mut request, Arc::clone(&self.work.client().io), names).await;
        }
        let sent = connection.send(request);
        self.flight.with(|exchange| exchange.on_sent(Instant::now()));
        let mut sent = std::pin::pin!(sent);
        let outcome = loop {
            match self.flight.wait(sent.as_mut()).await {
                Ok(outcome) => break outcome,
                Err(_due) => self.on_due()?,
            }
        };
        let error = match outcome {
            Ok(response) if has_coding(response.headers()) => {
                let why =
                    "the answer cannot be passed on: its `Transfer-Encoding` is not `chunked`";
                let refusal = Refusal::Lost(why.to_owned());
                return Err(self.flight.with(|exchange| exchange.on_bad_answer(refusal)));
            }
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

    /// Changes the head for the environment that was entered. Returns what changes in the body.
    fn edit_for_upstream(&self, parts: &mut request::Parts) -> Option<ModelEdit> {
        let engine = &self.core.engine;
        let mut edits = engine.edits.borrow_mut();
        edits.clear();
        let head = HyperRequest { parts, body: BodyLength::Unknown, forge: &engine.forge };
        let edit = self.flight.note(|exchange| {
            exchange.edit_for_upstream(&head, &mut edits);
            exchange.model_edit(&head)
        });
        engine.forge.apply(&edits, &mut parts.headers);
        HeaderForge::apply_path(&edits, &mut parts.uri);
        edit
    }
}

fn unmade(problem: &str) -> Unmade {
    (Stage::Connect, problem.to_owned())
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

/// Whether hyper has left a coding in the body: it takes off the chunks, and the header goes with them.
fn has_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(|first| !is_chunked(first)) || codings.next().is_some()
}
