//! One client's connection, from request to request.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

use super::outbox::Outbox;
use super::request::{Found, HEAD_BYTES_MAX, Request};
use crate::data_plane::budget::BufferLease;
use crate::data_plane::client_io::{Carrier, ClientIo};
use crate::data_plane::clients::Client;
use crate::data_plane::core::Core;
use crate::data_plane::exchange::edits::Edits;

/// A buffer of requests that has grown beyond this is given back.
const INPUT_KEPT_BYTES_MAX: usize = 4 * 1024;
/// Bodies up to this length need no share of the process's buffers.
const FREE_BODY_BYTES: usize = 4 * 1024;
/// Most bytes read of requests that follow the one being served. Beyond them the socket is left alone,
/// and the sweep notices a client that leaves.
const PIPELINED_BYTES_MAX: usize = 16 * 1024;

/// How long a body may take after its head. Clients that write both apart need less than a millisecond.
const BODY_PATIENCE: Duration = Duration::from_millis(20);
/// Longest time that saying goodbye may take.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// A client's connection.
pub struct Conversation {
    pub(super) core: Rc<Core>,
    pub(super) client: Rc<Client>,
    pub(super) carrier: Carrier,
    /// The request at hand, and what the client has sent after it.
    pub(super) input: Vec<u8>,
    pub(super) request: Request,
    /// What changes in it on the way to any upstream.
    pub(super) edits: Edits,
    /// The share of the process's buffers that a long body takes.
    pub(super) lease: Option<BufferLease>,
    /// What the client has not taken yet.
    pub(super) outbox: Outbox,
    /// The connection ends after the request at hand.
    pub(super) is_last: bool,
    /// How long the rest of a body is waited for.
    patience: Option<Pin<Box<Sleep>>>,
    head_bytes_max: usize,
}

/// What comes next.
enum Arrived {
    Plain,
    NotPlain,
    Nothing,
}

/// How a request ended, as far as the connection is concerned.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// The next one may come.
    Next,
    /// The connection is closed.
    Close,
}

/// Serves the plain requests of a client. Returns the connection, with what was read and not served, at
/// the first request that is not plain; `None` when it has ended.
pub async fn converse(
    core: Rc<Core>,
    client: Rc<Client>,
    carrier: Carrier,
    ahead: Vec<u8>,
    head_bytes_max: usize,
) -> Option<(Carrier, Vec<u8>)> {
    client.io.await_head();
    let mut conversation = Conversation {
        core,
        client,
        carrier,
        input: ahead,
        request: Request::default(),
        edits: Edits::default(),
        lease: None,
        outbox: Outbox::default(),
        is_last: false,
        patience: None,
        head_bytes_max,
    };
    loop {
        match poll_fn(|cx| conversation.poll_request(cx)).await {
            Arrived::Plain => {}
            Arrived::NotPlain => return Some((conversation.carrier, conversation.input)),
            Arrived::Nothing => break,
        }
        if conversation.serve().await == Then::Close {
            break;
        }
    }
    conversation.close().await;
    None
}

impl Conversation {
    /// Waits for a whole request. One whose body does not follow its head soon is left to hyper, which has limits
    /// for slow ones.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Arrived> {
        let mut missing = 0;
        loop {
            if !self.input.is_empty() {
                self.client.io.begin_head();
                match self.read_request() {
                    Found::Plain if self.has_room() => {
                        missing = self.missing_bytes();
                        if missing == 0 {
                            self.patience = None;
                            return Poll::Ready(Arrived::Plain);
                        }
                    }
                    Found::Plain | Found::NotPlain => return Poll::Ready(Arrived::NotPlain),
                    Found::Part => {}
                }
            } else if self.client.is_rested() {
                return Poll::Ready(Arrived::Nothing);
            }
            match self.poll_input(cx, missing.max(HEAD_BYTES_MAX)) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) if missing > 0 => return Poll::Ready(Arrived::NotPlain),
                Poll::Ready(_) => return Poll::Ready(Arrived::Nothing),
                Poll::Pending if missing > 0 => {
                    let new = || Box::pin(tokio::time::sleep(BODY_PATIENCE));
                    let patience = self.patience.get_or_insert_with(new);
                    return patience.as_mut().poll(cx).map(|()| Arrived::NotPlain);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// How much of the request at hand has not come yet.
    fn missing_bytes(&self) -> usize {
        let whole = self.request.head_bytes + self.request.body_bytes();
        whole.saturating_sub(self.input.len())
    }

    fn read_request(&mut self) -> Found {
        if self.core.snapshot.load().speaks_http2() {
            return Found::NotPlain;
        }
        let desk = &mut *self.core.lean.desk.borrow_mut();
        desk.names.refresh();
        self.request.read(&mut self.input, &desk.names, self.head_bytes_max)
    }

    /// Takes a long body's share of the process's buffers; hyper can do without, since it passes a body
    /// on while it comes.
    fn has_room(&mut self) -> bool {
        let body = self.request.body_bytes();
        if body <= FREE_BODY_BYTES || self.lease.is_some() {
            return true;
        }
        let mut lease = self.core.budget.lease();
        let has_room = lease.extend(body);
        self.lease = has_room.then_some(lease);
        has_room
    }

    /// Reads up to so many more bytes from the client.
    pub(super) fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        let desk = &mut *self.core.lean.desk.borrow_mut();
        let room = room.min(desk.input.len());
        let mut buffer = ReadBuf::new(&mut desk.input[..room]);
        ready!(Pin::new(&mut self.carrier).poll_read(cx, &mut buffer))?;
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Whether the client has left, while something else is waited for. What it sends meanwhile is kept
    /// for later, up to a limit.
    pub(super) fn is_client_gone(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let ahead = self.input.len() - self.request_bytes();
            let room = PIPELINED_BYTES_MAX.saturating_sub(ahead);
            if room == 0 {
                return false;
            }
            match self.poll_input(cx, room) {
                Poll::Pending => return false,
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return true,
            }
        }
    }

    /// Length of the request at hand, as far as it is in the buffer.
    pub(super) fn request_bytes(&self) -> usize {
        (self.request.head_bytes + self.request.body_bytes()).min(self.input.len())
    }

    /// Takes the request at hand off the buffer: it will not be sent any more.
    pub(super) fn release_request(&mut self) {
        let length = self.request_bytes();
        self.request.head_bytes = 0;
        self.request.content_length = None;
        self.lease = None;
        if length < self.input.len() {
            self.input.drain(..length);
        } else if self.input.capacity() > INPUT_KEPT_BYTES_MAX {
            self.input = Vec::new();
        } else {
            self.input.clear();
        }
    }

    /// Closes the connection.
    async fn close(self) {
        let mut io =
            ClientIo::new(self.carrier, Vec::new(), std::sync::Arc::clone(&self.client.io));
        // Whether the client still hears it is no concern of ours; TLS could wait for it for ever.
        let _ = tokio::time::timeout(CLOSE_TIME_MAX, io.shutdown()).await;
    }
}
