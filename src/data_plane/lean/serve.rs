//! Serves one request: asks the exchange, in the same order as the engine with hyper does.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::attempt::{Attempt, Outcome};
use super::connection::LeanConnection;
use super::conversation::{Conversation, Then};
use super::render;
use super::response::status_line;
use crate::data_plane::clients::Work;
use crate::data_plane::engine::dial::carry;
use crate::data_plane::exchange::head::RequestHead;
use crate::data_plane::exchange::{AfterFailure, Exchange, Next, OnTime, Pick, Refusal, Stage};
use crate::data_plane::flight::FlightOwner;
use crate::data_plane::pool::Rest;
use crate::model::environment::{Environment, Protocol};
use crate::model::upstream::Upstream;

/// How a request ended.
pub enum End {
    /// The client has the whole answer.
    Whole,
    /// It was broken off, or the client has left.
    Broken,
    /// It is answered here.
    Reply(Refusal),
}

/// Why there is no connection.
enum NoConnection {
    /// The exchange is told of this problem.
    Failed(Stage, String),
    /// The request is over.
    Over(End),
}

impl Conversation {
    /// Serves the request at hand.
    pub(super) async fn serve(&mut self) -> Then {
        let (recorder, peer) = (Rc::clone(&self.core.recorder), Rc::clone(&self.client.peer));
        let exchange = Exchange::begin(recorder, peer, Instant::now());
        let flight = self.core.flights.depart(exchange);
        let work = self.client.work(&self.core.clients);
        let end = match self.admit(&flight) {
            Ok(Next::Wait) => match self.wait_for_turn(&flight).await {
                Ok(()) => self.obtain(&flight).await,
                Err(end) => end,
            },
            Ok(_) => self.obtain(&flight).await,
            Err(end) => end,
        };
        match end {
            End::Whole if self.is_last => Then::Close,
            End::Whole => {
                self.release_request();
                Then::Next
            }
            End::Broken => Then::Close,
            End::Reply(refusal) => self.reply(flight, work, &refusal).await,
        }
    }

    /// Asks the exchange what the request is. Its body has come, so that it can be asked at once.
    fn admit(&mut self, flight: &FlightOwner) -> Result<Next, End> {
        let (head, body) = (self.request.head_bytes, self.request.body_bytes());
        let snapshot = self.core.snapshot.load();
        let view = self.request.view(&self.input);
        self.edits.clear();
        let next =
            flight.with(|exchange| match exchange.on_request(&view, &snapshot, &mut self.edits) {
                Next::NeedBody(_) => {
                    exchange.on_body_prefix(Ok(&self.input[head..head + body]), true, &snapshot)
                }
                next => next,
            });
        match next {
            Next::Reply(refusal) => Err(End::Reply(refusal)),
            // A plain request has a path, so it is never `OPTIONS *`.
            next => Ok(next),
        }
    }

    /// Waits until its environment has a place.
    async fn wait_for_turn(&mut self, flight: &FlightOwner) -> Result<(), End> {
        let core = Rc::clone(&self.core);
        // Boxed, because it is rare: the future of every connection would be as large.
        let mut turn = Box::pin(flight.turn(&core.snapshot));
        loop {
            match self.unless_gone(flight, turn.as_mut()).await {
                Ok(Some(Next::Reply(refusal))) => return Err(End::Reply(refusal)),
                Ok(Some(_)) => return Ok(()),
                Ok(None) => on_due(flight).map_err(End::Reply)?,
                Err(NoConnection::Over(end)) => return Err(end),
                Err(NoConnection::Failed(..)) => {} // nothing was dialled
            }
        }
    }

    /// Sends the request until an upstream has answered, or the exchange gives up.
    async fn obtain(&mut self, flight: &FlightOwner) -> End {
        let (mut is_first, mut is_replay) = (true, false);
        loop {
            let mut now = Instant::now();
            let picked = {
                let snapshot = self.core.snapshot.load();
                flight.with(|exchange| exchange.pick(&snapshot, now))
            };
            let upstream = match picked {
                Pick::Upstream(upstream) => upstream,
                Pick::Reply(refusal) => return End::Reply(refusal),
            };
            let Some(environment) = flight.note(|exchange| exchange.environment().cloned()) else {
                return End::Reply(Refusal::Draining);
            };
            let resting = if is_replay { None } else { self.resting(&upstream, now).await };
            let has_waited = resting.is_none() || !is_first;
            is_first = false;
            let connection = match resting {
                Some(connection) => connection,
                None => match self.connect(flight, &upstream, &environment).await {
                    Ok(connection) => {
                        flight.note(|exchange| exchange.on_connected(Instant::now()));
                        connection
                    }
                    Err(NoConnection::Over(end)) => return end,
                    Err(NoConnection::Failed(stage, problem)) => {
                        match self.after(flight, stage, &problem) {
                            Ok(_) => continue,
                            Err(refusal) => return End::Reply(refusal),
                        }
                    }
                },
            };
            if has_waited {
                now = Instant::now();
                let snapshot = self.core.snapshot.load();
                if !flight.with(|exchange| exchange.is_still_routed(&snapshot)) {
                    let rest = Rest::of(&environment, None, false);
                    self.core.lean.pool.borrow_mut().put(&upstream, connection, rest, now);
                    continue;
                }
            }
            let mut attempt = Attempt::on(connection, now);
            match poll_fn(|cx| self.poll_attempt(flight, &mut attempt, cx)).await {
                Outcome::Whole => {
                    self.keep(flight, &upstream, &environment, attempt);
                    return End::Whole;
                }
                Outcome::Broken => return End::Broken,
                Outcome::Refused(refusal) => return End::Reply(refusal),
                Outcome::Failed(stage, problem) => match self.after(flight, stage, &problem) {
                    Ok(is_alone) => is_replay = is_alone,
                    Err(refusal) => return End::Reply(refusal),
                },
            }
        }
    }

    /// A connection at rest on which nothing has come, without waiting: those closed together lie together,
    /// and none of them is a failure.
    async fn resting(&self, upstream: &Upstream, now: Instant) -> Option<LeanConnection> {
        loop {
            let mut connection = self.core.lean.pool.borrow_mut().take(upstream, now)?;
            if poll_fn(|cx| Poll::Ready(connection.is_quiet(cx))).await {
                return Some(connection);
            }
        }
    }

    /// Lets a connection rest after a whole answer.
    fn keep(
        &self,
        flight: &FlightOwner,
        upstream: &Upstream,
        environment: &Environment,
        attempt: Attempt,
    ) {
        let keep_alive = flight.note(|exchange| exchange.keep_alive());
        let (is_doubtful, now) = (attempt.is_doubtful, attempt.now);
        if let Some(connection) = attempt.into_reusable() {
            let rest = Rest::of(environment, keep_alive, is_doubtful);
            self.core.lean.pool.borrow_mut().put(upstream, connection, rest, now);
        }
    }

    /// Makes a new connection.
    async fn connect(
        &mut self,
        flight: &FlightOwner,
        upstream: &Arc<Upstream>,
        environment: &Environment,
    ) -> Result<LeanConnection, NoConnection> {
        let spec = &environment.spec;
        let tls = if upstream.spec.tls {
            let settings = self.core.engine.tls.of(environment.id, spec, Protocol::Http1);
            Some(settings.map_err(|error| NoConnection::Failed(error.stage(), error.to_string()))?)
        } else {
            None
        };
        // Boxed, because it is rare and large: the future of every connection would be as large.
        let mut dialling = Box::pin(carry(upstream, spec, tls, Protocol::Http1));
        loop {
            match self.unless_gone(flight, dialling.as_mut()).await? {
                Some(Ok((carrier, destination))) => {
                    return Ok(LeanConnection { carrier, destination, is_reused: false });
                }
                Some(Err(error)) => {
                    return Err(NoConnection::Failed(error.stage(), error.to_string()));
                }
                None if flight.is_evicted() => {
                    let problem = "being drained".to_owned();
                    return Err(NoConnection::Failed(Stage::Connect, problem));
                }
                None => match flight.with(|exchange| exchange.on_time(Instant::now())) {
                    OnTime::Nothing => {} // the tick was early
                    OnTime::Failed(stage, problem) => {
                        return Err(NoConnection::Failed(stage, problem));
                    }
                    OnTime::Reply(refusal) => return Err(NoConnection::Over(End::Reply(refusal))),
                    OnTime::Abort => return Err(NoConnection::Over(End::Broken)),
                },
            }
        }
    }

    /// Waits for `work` while the client is there; `None` when the flight fell due before.
    async fn unless_gone<F: Future>(
        &mut self,
        flight: &FlightOwner,
        work: F,
    ) -> Result<Option<F::Output>, NoConnection> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(Some(done)));
            }
            if self.is_client_gone(cx) {
                return Poll::Ready(Err(NoConnection::Over(End::Broken)));
            }
            flight.poll_due(cx).map(|_due| Ok(None))
        })
        .await
    }

    /// Tells the exchange of a failure. True: the next attempt needs a connection of its own.
    fn after(&self, flight: &FlightOwner, stage: Stage, problem: &str) -> Result<bool, Refusal> {
        let now = Instant::now();
        if flight.is_evicted() {
            return Err(flight.with(|exchange| exchange.on_evicted(now)));
        }
        let snapshot = self.core.snapshot.load();
        let tell = |exchange: &mut Exchange| {
            exchange.on_upstream_failure(stage, problem, true, &snapshot, now)
        };
        match flight.with(tell) {
            AfterFailure::Retry => Ok(false),
            AfterFailure::Replay => Ok(true),
            AfterFailure::Reply(refusal) => Err(refusal),
        }
    }

    /// Answers with a refusal.
    async fn reply(&mut self, flight: FlightOwner, work: Work, refusal: &Refusal) -> Then {
        self.is_last =
            self.request.is_last || self.client.is_closing() || refusal.ends_connection();
        if refusal.ends_connection() {
            self.client.linger(Instant::now());
        }
        let mut head = Vec::new();
        self.render_reply(&mut head, &flight, refusal);
        drop(flight);
        self.release_request();
        drop(work);
        let mut is_begun = false;
        let written = poll_fn(|cx| {
            if !std::mem::replace(&mut is_begun, true)
                && self.outbox.write(&mut self.carrier, cx, &head).is_err()
            {
                return Poll::Ready(false);
            }
            match self.outbox.poll_empty(&mut self.carrier, cx) {
                // It is idle now, and whoever closes idle connections does not wait for this one.
                Poll::Pending if self.client.is_closing() => Poll::Ready(false),
                done => done.map(|done| done.is_ok()),
            }
        });
        if written.await && !self.is_last { Then::Next } else { Then::Close }
    }

    fn render_reply(&self, out: &mut Vec<u8>, flight: &FlightOwner, refusal: &Refusal) {
        let desk = &mut *self.core.lean.desk.borrow_mut();
        desk.clear();
        flight.note(|exchange| {
            refusal.edit(exchange.was_replayed(), &mut desk.edits);
            exchange.edit_answer(&mut desk.edits);
        });
        let body = refusal.body();
        let status = http::StatusCode::from_u16(refusal.status()).unwrap_or_default();
        let reason = status.canonical_reason().unwrap_or_default();
        status_line(out, refusal.status(), reason.as_bytes());
        render::fields(out, super::fields::Fields::new(&[], &[]), &[&desk.edits]);
        render::number(out, "content-length", body.len() as u64);
        render::line(out, b"date", desk.date.text());
        if self.is_last {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if self.request.view(&self.input).method() != "HEAD" {
            out.extend_from_slice(body.as_bytes());
        }
    }
}

/// A deadline has passed, or a drain ends it: the refusal to answer with.
pub fn on_due(flight: &FlightOwner) -> Result<(), Refusal> {
    let now = Instant::now();
    if flight.is_evicted() {
        return Err(flight.with(|exchange| exchange.on_evicted(now)));
    }
    match flight.with(|exchange| exchange.on_time(now)) {
        OnTime::Reply(refusal) => Err(refusal),
        OnTime::Nothing | OnTime::Abort | OnTime::Failed(..) => Ok(()),
    }
}
