//! A connection to an upstream: a stream of bytes, and whether it was used before.

use std::pin::Pin;
use std::task::Context;

use tokio::io::{AsyncRead, ReadBuf};

use crate::data_plane::client_io::Carrier;
use crate::data_plane::pool::Pooled;
use crate::data_plane::socket;
use crate::model::addresses::Destination;

/// A connection to an upstream.
pub struct LeanConnection {
    /// The stream.
    pub carrier: Carrier,
    /// Where it leads.
    pub destination: Destination,
    /// It has carried a request before.
    pub is_reused: bool,
}

impl LeanConnection {
    /// Whether nothing has come while it rested. A FIN is the end of it, and bytes belong to no request: to
    /// write one now would make them that one's answer. No system call, unless the event loop has seen
    /// something.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let mut unasked = [0; 1];
        let mut buffer = ReadBuf::new(&mut unasked);
        Pin::new(&mut self.carrier).poll_read(cx, &mut buffer).is_pending()
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

    fn destination(&self) -> &Destination {
        &self.destination
    }
}
