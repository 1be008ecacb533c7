//! Connections to upstreams as hyper gives them.

use std::cell::Cell;
use std::future::Future;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};

use super::sending::Upload;
use crate::data_plane::pool::Pooled;
use crate::model::addresses::Destination;

/// Most streams on one HTTP/2 connection. Few, because the connection's flow control and h2's guard
/// against small DATA frames are shared: one slow reader must not stop many streams of tokens.
pub(super) const STREAMS_MAX: u32 = 16;

/// How long a connection without a stream is kept. Longer than in HTTP/1.1: who closes says GOAWAY
/// first, so that no request meets a dying connection.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A connection that one request may use now.
pub enum UpstreamConnection {
    /// HTTP/1.1: exclusively.
    Http1(Http1Connection),
    /// HTTP/2: one stream of it.
    Http2(Http2Stream),
}

/// An HTTP/1.1 connection.
pub struct Http1Connection {
    /// hyper's half.
    pub sender: http1::SendRequest<Upload>,
    /// The socket, to be looked at; valid as long as the sender is not closed.
    pub fd: RawFd,
    /// Where it leads.
    pub destination: Destination,
    /// It has carried a request before.
    pub is_reused: bool,
}

/// A place for one stream on an HTTP/2 connection.
pub struct Http2Stream {
    sender: http2::SendRequest<Upload>,
    streams: Rc<Cell<u32>>,
    is_reused: bool,
}

/// An HTTP/2 connection that has places left, or will have.
pub struct Http2Connection {
    /// hyper's half.
    pub sender: http2::SendRequest<Upload>,
    /// Streams on it.
    pub streams: Rc<Cell<u32>>,
    /// Streams that the upstream allows.
    pub streams_allowed: Rc<Cell<u32>>,
    /// Since when there has been none, as far as was looked.
    pub idle_since: Option<Instant>,
    /// Where it leads.
    pub destination: Destination,
}

impl UpstreamConnection {
    /// Whether it has carried a request before.
    pub fn is_reused(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_reused,
            Self::Http2(stream) => stream.is_reused,
        }
    }

    /// Whether it speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Hands a request over. The first byte goes out when the connection's task runs next.
    pub fn send(
        &mut self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>> + use<>
    {
        enum Either<A, B> {
            Http1(A),
            Http2(B),
        }
        let sent = match self {
            Self::Http1(connection) => {
                connection.is_reused = true;
                Either::Http1(connection.sender.try_send_request(request))
            }
            Self::Http2(stream) => {
                stream.is_reused = true;
                Either::Http2(stream.sender.try_send_request(request))
            }
        };
        async move {
            match sent {
                Either::Http1(sent) => sent.await,
                Either::Http2(sent) => sent.await,
            }
        }
    }
}

impl Http2Connection {
    /// Streams that it may carry at once. Beyond what the upstream allows, a request would wait for
    /// another's stream of tokens to end.
    pub fn places(&self) -> u32 {
        self.streams_allowed.get().min(STREAMS_MAX)
    }

    /// Whether it has a place left.
    pub fn has_place(&self) -> bool {
        self.streams.get() < self.places()
    }

    /// A place on it, if it has one left.
    pub fn stream(&self, is_reused: bool) -> Option<Http2Stream> {
        if self.sender.is_closed() || (is_reused && !self.has_place()) {
            return None;
        }
        self.streams.set(self.streams.get() + 1);
        Some(Http2Stream {
            sender: self.sender.clone(),
            streams: Rc::clone(&self.streams),
            is_reused,
        })
    }

    /// Whether to keep it. Looked at from time to time.
    pub fn is_wanted(&mut self, now: Instant) -> bool {
        if self.streams.get() > 0 {
            self.idle_since = None;
            return !self.sender.is_closed();
        }
        let since = *self.idle_since.get_or_insert(now);
        !self.sender.is_closed() && now.saturating_duration_since(since) < IDLE_MAX
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        self.streams.set(self.streams.get() - 1);
    }
}

impl Pooled for Http1Connection {
    fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn was_closed_by_peer(&self) -> bool {
        // A resting connection has nothing to say: readable means a FIN, a reset or unasked bytes.
        crate::data_plane::socket::is_readable(self.fd)
    }

    fn destination(&self) -> &Destination {
        &self.destination
    }
}
