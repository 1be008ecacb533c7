//! A request's body as the client sent it.
//!
//! Pieces that were read ahead go first, then whatever the client still sends. While the whole body fits
//! the replay buffer it is kept, so that a request that met a dying connection can be sent once more.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::kept::Kept;
use super::mirror::Copying;
use crate::data_plane::budget::BufferBudget;
use crate::data_plane::clients::Client;
use crate::data_plane::exchange::Refusal;
use crate::data_plane::exchange::strip::is_trailer_allowed;
use crate::data_plane::flight::{Flight, Flights};
use crate::inspect::model_edit::ModelEdit;
use crate::model::service::HeaderNames;

/// Longest body that is kept for a replay.
pub const REPLAY_BYTES_MAX: usize = 64 * 1024;

/// Why sending stopped before the end. The upstream's connection is closed, never ended cleanly.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client broke off.
    #[error("the client stopped sending its body: {0}")]
    Client(#[from] hyper::Error),
    /// The client reset its HTTP/2 stream.
    #[error("the client took its request back")]
    Reset,
    /// Longer than the service allows.
    #[error("the request body exceeds its limit")]
    TooLarge,
}

/// Why sending a body was stopped, if it was. It outlives the body, and what is kept of that.
pub type Stopped = Rc<RefCell<Option<Refusal>>>;

type UploadFrame = Result<Frame<Bytes>, UploadError>;

/// The body, shared by the attempts to send it.
pub struct RequestBody {
    incoming: RefCell<Option<Incoming>>,
    kept: RefCell<Kept>,
    /// Everything that came is still in `kept`.
    is_whole: Cell<bool>,
    is_ended: Cell<bool>,
    total: Cell<u64>,
    max: u64,
    /// The announced length has come with this piece, and HTTP/2 has not said yet that it is the end. To an
    /// upstream over HTTP/1.1 the request would be whole with it, and it may still be taken back.
    held: RefCell<Option<Bytes>>,
    /// What came behind the piece that was held.
    behind: RefCell<Option<Frame<Bytes>>>,
    stopped: Stopped,
    flight: Rc<Flight>,
    flights: Rc<Flights>,
    hint: SizeHint,
    client: Rc<Client>,
    names: HeaderNames,
    copying: RefCell<Option<Copying>>,
}

impl RequestBody {
    /// The body of a request that is in flight.
    pub fn new(
        incoming: Incoming,
        client: Rc<Client>,
        max: u64,
        names: HeaderNames,
        budget: &Arc<BufferBudget>,
        flight: Rc<Flight>,
        flights: Rc<Flights>,
    ) -> Rc<Self> {
        let hint = incoming.size_hint();
        Rc::new(Self {
            is_ended: Cell::new(incoming.is_end_stream()),
            incoming: RefCell::new(Some(incoming)),
            kept: RefCell::new(Kept::new(budget.lease())),
            is_whole: Cell::new(true),
            total: Cell::new(0),
            max,
            held: RefCell::default(),
            behind: RefCell::default(),
            stopped: Stopped::default(),
            flight,
            flights,
            hint,
            client,
            names,
            copying: RefCell::default(),
        })
    }

    /// Has what has come and what comes copied as well.
    pub(super) fn copy_into(&self, copying: Copying) {
        if self.behind.borrow().is_some() {
            return; // trailers, which a copy cannot have
        }
        let copying = self.kept.borrow().pieces().try_fold(copying, Copying::push);
        *self.copying.borrow_mut() = copying;
        if self.is_ended() {
            self.offer_copy();
        }
    }

    /// The length that the client announced.
    pub fn announced(&self) -> Option<u64> {
        self.hint.exact()
    }

    /// The length that it will have after an edit, if all of it is here to be told.
    pub fn edited_length(&self, edit: &ModelEdit) -> Option<u64> {
        let kept = self.kept.borrow();
        let is_here = self.is_ended() && self.is_whole.get();
        is_here.then(|| edit.clone().length_of(kept.pieces()) as u64)
    }

    /// Takes note of what goes to an upstream, and whether it is the end.
    pub fn note_sent(&self, piece: &[u8], is_last: bool) {
        let now = self.flights.coarse_now();
        self.flight.note(|exchange| exchange.on_request_data(piece, is_last, now));
    }

    /// Reads one more piece ahead; `None` at the end.
    ///
    /// # Errors
    /// The metric label of why it could not be read or kept.
    pub async fn read_ahead(&self) -> Option<Result<Bytes, &'static str>> {
        let frame = std::future::poll_fn(|cx| self.poll_incoming(cx)).await?;
        let Ok(frame) = frame else { return Some(Err("client_gone")) };
        let Ok(piece) = frame.into_data() else { return Some(Ok(Bytes::new())) };
        let mut kept = self.kept.borrow_mut();
        let has_room = kept.make_room(&piece);
        kept.push(&piece);
        if has_room { Some(Ok(piece)) } else { Some(Err("no_buffer")) }
    }

    /// Whether all of it that came can still be sent from the beginning.
    pub fn can_replay(&self) -> bool {
        self.is_whole.get()
    }

    /// Whether nothing more will come.
    pub fn is_ended(&self) -> bool {
        self.is_ended.get() && self.behind.borrow().is_none()
    }

    /// Why sending was stopped, if it was.
    pub fn refusal(&self) -> Option<Refusal> {
        self.stopped.borrow().clone()
    }

    /// The same for later on.
    pub fn stopped(&self) -> Stopped {
        Rc::clone(&self.stopped)
    }

    /// Keeps a piece that is being sent, as long as the whole body fits the buffer.
    fn keep_for_replay(&self, piece: &Bytes) {
        if !self.is_whole.get() {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        let fits = kept.bytes() + piece.len() <= REPLAY_BYTES_MAX;
        if fits && kept.make_room(piece) {
            kept.push(piece);
        } else {
            self.is_whole.set(false);
            kept.clear(); // all of it has been read
        }
    }

    /// Copies a frame, if there is leave to. A copy cannot have trailers, so that it would be another
    /// request.
    fn copy(&self, frame: &Frame<Bytes>) {
        let Some(copying) = self.copying.take() else { return };
        let piece = frame.data_ref();
        self.copying.replace(piece.and_then(|piece| copying.push(piece)));
        if self.is_ended() {
            self.offer_copy();
        }
    }

    fn offer_copy(&self) {
        if let Some(copying) = self.copying.take() {
            copying.offer();
        }
    }

    fn poll_incoming(&self, cx: &mut Context<'_>) -> Poll<Option<UploadFrame>> {
        if let Some(frame) = self.behind.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        loop {
            let next = std::task::ready!(self.poll_client(cx));
            if let ControlFlow::Break(next) = self.pass_or_hold(next) {
                return Poll::Ready(next);
            }
        }
    }

    /// Ends the waiting with what may be passed on now.
    fn pass_or_hold(&self, next: Option<UploadFrame>) -> ControlFlow<Option<UploadFrame>> {
        let frame = match next {
            Some(Ok(frame)) => Some(frame),
            None => None,
            Some(Err(error)) => return ControlFlow::Break(Some(Err(error))),
        };
        let is_open = self.client.is_http2() && !self.is_ended();
        if is_open
            && self.announced() == Some(self.total.get())
            && let Some(piece) = frame.as_ref().and_then(Frame::data_ref)
        {
            // Whatever comes after the whole length is empty.
            self.held.borrow_mut().get_or_insert_with(|| piece.clone());
            return ControlFlow::Continue(());
        }
        let Some(held) = self.held.take() else { return ControlFlow::Break(frame.map(Ok)) };
        self.behind.replace(frame.filter(Frame::is_trailers));
        ControlFlow::Break(Some(Ok(Frame::data(held))))
    }

    fn poll_client(&self, cx: &mut Context<'_>) -> Poll<Option<UploadFrame>> {
        let mut slot = self.incoming.borrow_mut();
        let Some(incoming) = slot.as_mut() else { return Poll::Ready(None) };
        let now = self.flights.coarse_now();
        match Pin::new(&mut *incoming).poll_frame(cx) {
            Poll::Pending => {
                self.flight.with(|exchange| exchange.on_waiting_for_client(now));
                Poll::Pending
            }
            // hyper takes a reset with CANCEL for the end, although no END_STREAM has come.
            Poll::Ready(None) if self.client.is_http2() && !incoming.is_end_stream() => {
                *self.stopped.borrow_mut() = Some(Refusal::BodyCut);
                Poll::Ready(Some(Err(UploadError::Reset)))
            }
            Poll::Ready(None) => {
                self.is_ended.set(true);
                self.flight.with(|exchange| exchange.on_client_sent(0, now));
                self.offer_copy();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                *self.stopped.borrow_mut() = Some(if is_malformed(&error) {
                    Refusal::Malformed("the body broke its own framing")
                } else {
                    Refusal::BodyCut
                });
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.is_ended.set(incoming.is_end_stream());
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.flight.with(|exchange| exchange.on_client_sent(bytes, now));
                self.total.set(self.total.get() + bytes);
                if self.total.get() > self.max {
                    *self.stopped.borrow_mut() = Some(Refusal::BodyTooLarge(self.max));
                    return Poll::Ready(Some(Err(UploadError::TooLarge)));
                }
                self.copy(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // hyper reads no further; an HTTP/2 stream has a reset of its own for that.
        if !self.client.is_http2() && !self.is_ended.get() {
            self.client.io.leave_upload(true);
        }
    }
}

/// Whether a body could not be read because of what it says, rather than because it ended too early.
fn is_malformed(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    let kind = cause.map(std::io::Error::kind);
    matches!(kind, Some(std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData))
}

/// The body from its beginning to its end, once.
pub struct Reading {
    body: Rc<RequestBody>,
    next_kept: usize,
    has_begun: bool,
}

impl Reading {
    /// From the beginning.
    pub fn new(body: Rc<RequestBody>) -> Self {
        Self { body, next_kept: 0, has_begun: false }
    }

    /// What is read.
    pub fn body(&self) -> &RequestBody {
        &self.body
    }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<UploadFrame>> {
        let body = Rc::clone(&self.body);
        self.has_begun = true;
        loop {
            let kept = body.kept.borrow().get(self.next_kept).cloned();
            if let Some(piece) = kept {
                self.next_kept += 1;
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let frame = match std::task::ready!(body.poll_incoming(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => frame,
            };
            let frame = match frame.into_data() {
                Ok(piece) if piece.is_empty() => continue, // an empty DATA frame ends h2 connections
                Ok(piece) => {
                    body.keep_for_replay(&piece);
                    self.next_kept = body.kept.borrow().count();
                    Frame::data(piece)
                }
                Err(frame) => match frame.into_trailers() {
                    Ok(mut trailers) => {
                        body.is_whole.set(false);
                        let forbidden: Vec<_> = trailers
                            .keys()
                            .filter(|name| !is_trailer_allowed(name.as_str(), &body.names))
                            .cloned()
                            .collect();
                        forbidden.iter().for_each(|name| drop(trailers.remove(name)));
                        Frame::trailers(trailers)
                    }
                    Err(_) => continue,
                },
            };
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_ended() && self.next_kept >= self.body.kept.borrow().count()
    }

    fn size_hint(&self) -> SizeHint {
        if self.has_begun { SizeHint::new() } else { self.body.hint }
    }
}
