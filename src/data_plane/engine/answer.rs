//! The body of an answer on its way to the client.
//!
//! Chunk by chunk, as it comes: nothing is merged, copied or held back. An answer that does not end as
//! announced ends with an error here, which makes hyper break the connection (HTTP/1.1) or reset the
//! stream (HTTP/2): a client must never take a broken answer for a whole one.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::UpstreamConnection;
use super::heads::{HyperTrailers, TrailerParts};
use super::serve::Hangup;
use super::upload::Stopped;
use crate::data_plane::clients::Work;
use crate::data_plane::core::Core;
use crate::data_plane::exchange::strip::is_trailer_allowed;
use crate::data_plane::exchange::{BodyEnd, Exchange, OnTime};
use crate::data_plane::flight::FlightOwner;
use crate::data_plane::outlet::{Outlet, Piece};
use crate::data_plane::pool::Rest;
use crate::data_plane::quantum::Quantum;
use crate::model::upstream::Upstream;

/// A body for a client.
pub enum Answer {
    /// An upstream's answer, passed on.
    Relay(Box<Relay>),
    /// Cyan's own.
    Own(Option<Bytes>),
}

/// An upstream's answer, passed on.
pub struct Relay {
    /// What comes from the upstream; empty once it was let go of.
    pub incoming: Rc<RefCell<Option<Incoming>>>,
    /// The exchange; its end is recorded when this is dropped.
    pub flight: FlightOwner,
    /// The connection it comes on, to be pooled when it has ended well.
    pub connection: Option<UpstreamConnection>,
    /// How that connection may rest; `None` when it must not be used again.
    pub rest: Option<Rest>,
    /// Why the upload was stopped that was still under way when the answer began.
    pub stopped: Option<Stopped>,
    /// The upstream of the connection.
    pub upstream: Arc<Upstream>,
    /// The core.
    pub core: Rc<Core>,
    /// Keeps the client's connection counted as busy.
    pub work: Work,
    /// Where it leaves, of HTTP/2: what is not taken is seen there.
    pub outlet: Option<Rc<Outlet>>,
    /// The client takes the end of the connection for the end of the answer.
    pub ends_with_connection: bool,
    /// It has ended.
    pub is_over: bool,
    /// It ends otherwise than its body does, as soon as what came before is flushed.
    pub ending: Option<Ending>,
    /// What was passed on since others had their turn.
    pub quantum: Quantum,
}

/// How an answer ends that is not whole.
pub enum Ending {
    /// With what is left to be said to the client, and then as a whole one does.
    Told(Option<Bytes>),
    /// With a break.
    Cut,
}

impl Relay {
    fn poll_relay(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, Hangup>>> {
        if self.ending.is_some() {
            return Poll::Ready(self.end());
        }
        if self.quantum.is_used_up(cx) {
            return Poll::Pending;
        }
        loop {
            let polled = match self.incoming.borrow_mut().as_mut() {
                Some(incoming) => Pin::new(incoming).poll_frame(cx),
                None => return Poll::Ready(Some(Err(Hangup))),
            };
            match polled {
                Poll::Pending => return self.poll_due(cx),
                Poll::Ready(None) if self.was_reset() => {
                    self.broken(BodyEnd::Reset);
                    return self.poll_hang_up(cx);
                }
                Poll::Ready(None) => {
                    self.finish();
                    return Poll::Ready(self.end());
                }
                Poll::Ready(Some(Err(error))) => {
                    self.broken(if is_reset(&error) { BodyEnd::Reset } else { BodyEnd::Cut });
                    return self.poll_hang_up(cx);
                }
                Poll::Ready(Some(Ok(frame))) => match self.pass(frame) {
                    Some(frame) => return Poll::Ready(Some(Ok(frame))),
                    None => continue,
                },
            }
        }
    }

    /// What is left to be said to the client, and then the end or the break.
    fn end(&mut self) -> Option<Result<Frame<Piece>, Hangup>> {
        match &mut self.ending {
            Some(Ending::Cut) => Some(Err(Hangup)),
            Some(Ending::Told(words)) => {
                let piece = words.take().map(|words| Piece::by(self.outlet.clone(), words));
                piece.map(|piece| Ok(Frame::data(piece)))
            }
            None => None,
        }
    }

    fn is_at_end(&self) -> bool {
        self.incoming.borrow().as_ref().is_some_and(Body::is_end_stream)
    }

    /// Whether as many bytes have come as were announced, so that nothing but trailers may follow.
    fn has_announced_length(&self) -> bool {
        let incoming = self.incoming.borrow();
        incoming.as_ref().is_some_and(|incoming| incoming.size_hint().exact() == Some(0))
    }

    /// A frame as the client gets it; `None` for one that says nothing.
    fn pass(&mut self, frame: Frame<Bytes>) -> Option<Frame<Piece>> {
        let is_trailers = frame.is_trailers();
        let frame = match frame.into_data() {
            Ok(data) if data.is_empty() => None,
            Ok(data) => {
                let now = Instant::now();
                self.flight.with(|exchange| exchange.on_response_data(&data, now));
                self.quantum.took(data.len());
                if self.outlet.is_some() {
                    self.work.client().io.credit.earn_piece();
                }
                Some(Frame::data(Piece::by(self.outlet.clone(), data)))
            }
            Err(frame) => frame.into_trailers().ok().map(|mut trailers| {
                let forge = &self.core.engine.forge;
                self.flight.note(|exchange| {
                    let parts = TrailerParts { headers: &trailers };
                    exchange.on_trailers(&HyperTrailers { parts, forge });
                });
                let names = self.flight.note(|exchange| exchange.header_names());
                let kept =
                    trailers.keys().filter(|name| !is_trailer_allowed(name.as_str(), &names));
                for name in kept.cloned().collect::<Vec<_>>() {
                    trailers.remove(name);
                }
                Frame::trailers(trailers)
            }),
        };
        // hyper does not ask again once the announced length is reached, or trailers came.
        if is_trailers || self.is_at_end() {
            self.finish();
        }
        frame
    }

    fn poll_due(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Piece>, Hangup>>> {
        let now = self.core.flights.coarse_now();
        self.flight.with(|exchange| exchange.on_waiting_for_upstream(now));
        if self.flight.poll_due(cx).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        let is_over = self.flight.is_evicted()
            || self.flight.with(|exchange| exchange.on_time(now)) == OnTime::Abort;
        if !is_over {
            return Poll::Pending; // the deadline moved; the tick wakes us again
        }
        if self.flight.is_evicted() {
            self.flight.with(|exchange| exchange.on_evicted(now));
        }
        self.poll_hang_up(cx)
    }

    /// Whether what looks like the end is a reset: hyper takes `RST_STREAM` with CANCEL or `NO_ERROR` for
    /// one, although no `END_STREAM` has come.
    fn was_reset(&self) -> bool {
        self.connection.as_ref().is_some_and(UpstreamConnection::is_http2) && !self.is_at_end()
    }

    /// The answer broke off. An upload that its client has broken takes the upstream's connection or stream
    /// with it, and that is not the upstream's fault.
    fn broken(&self, end: BodyEnd) {
        let now = Instant::now();
        let refusal = self.stopped.as_ref().and_then(|stopped| stopped.borrow().clone());
        self.flight.with(|exchange| match refusal {
            Some(refusal) => drop(exchange.on_request_broken(refusal)),
            None => exchange.on_response_end(end, now),
        });
    }

    /// Breaks off in the next round: an error now would make hyper drop what it has not flushed yet, and
    /// the client shall see everything that came, down to the head.
    fn poll_hang_up(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Piece>, Hangup>>> {
        let words = self.flight.note(Exchange::take_last_words);
        let is_told = words.is_some();
        self.ending = Some(words.map_or(Ending::Cut, |words| Ending::Told(Some(words.into()))));
        self.is_over = true;
        self.incoming.take();
        self.connection = None;
        if self.ends_with_connection && !is_told {
            self.work.client().reset_on_close();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The answer is whole: it is recorded, and its connection may rest.
    fn finish(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let now = Instant::now();
        let words = self.flight.with(|exchange| {
            exchange.on_response_end(BodyEnd::Whole, now);
            exchange.take_last_words()
        });
        self.ending = words.map(|words| Ending::Told(Some(words.into())));
        if let (Some(UpstreamConnection::Http1(connection)), Some(rest)) =
            (self.connection.take(), self.rest)
        {
            self.core.engine.pool.borrow_mut().put(&self.upstream, connection, rest, now);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(outlet) = &self.outlet {
            outlet.close();
        }
        // hyper drops an empty body without asking it for its end, and over HTTP/1.1 any whose announced
        // length has come; an upstream of HTTP/2 may say later, in a frame of its own, that this was all.
        if !self.is_over && (self.is_at_end() || self.has_announced_length()) {
            self.finish();
        }
    }
}

impl Body for Answer {
    type Data = Piece;
    type Error = Hangup;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Hangup>>> {
        match self.get_mut() {
            Self::Relay(relay) => relay.poll_relay(cx),
            Self::Own(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(Piece::from(bytes)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Relay(relay) => relay.is_at_end() && relay.ending.is_none(),
            Self::Own(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Relay(relay) => {
                let incoming = relay.incoming.borrow();
                incoming.as_ref().map_or_else(SizeHint::new, Body::size_hint)
            }
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

/// Whether the upstream broke off on purpose: a reset connection or stream.
fn is_reset(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            return error.is_reset();
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionReset;
        }
        source = cause.source();
    }
    false
}
