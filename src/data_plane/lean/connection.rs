//! A connection to an upstream: a stream of bytes, and whether it was used before.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::data_plane::client_io::Carrier;
use crate::data_plane::pool::Pooled;
use crate::data_plane::socket;

/// What a connection that the upstream has closed fails with.
pub const CLOSED_AT_REST: &str = "the connection was closed at rest";

/// A connection to an upstream.
pub struct LeanConnection {
    /// The stream.
    pub carrier: Carrier,
    /// It has carried a request before.
    pub is_reused: bool,
}

impl LeanConnection {
    /// Looks whether anything has come while it rested. Whatever it is belongs to no request: to write one now
    /// would make it that one's answer. No system call, unless the event loop has seen something.
    ///
    /// # Errors
    /// When it is not to be used.
    pub fn poll_rest(&mut self, cx: &mut Context<'_>) -> Result<(), &'static str> {
        let mut unasked = [0; 1];
        let mut buffer = ReadBuf::new(&mut unasked);
        match Pin::new(&mut self.carrier).poll_read(cx, &mut buffer) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                Err("bytes came on the connection that nobody had asked for")
            }
            Poll::Ready(_) => Err(CLOSED_AT_REST),
        }
    }
}

impl Pooled for LeanConnection {
    fn is_ready(&self) -> bool {
        true
    }

    fn is_closed(&self) -> bool {
        false // nobody reads it while it rests; the look below is what tells
    }

    fn was_closed_by_peer(&self) -> bool {
        socket::is_readable(self.carrier.fd())
    }
}
