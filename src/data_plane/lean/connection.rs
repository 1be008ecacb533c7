//! A connection to an upstream: a stream of bytes, and whether it was used before.

use crate::data_plane::client_io::Carrier;
use crate::data_plane::pool::Pooled;
use crate::data_plane::socket;

/// A connection to an upstream.
pub struct LeanConnection {
    /// The stream.
    pub carrier: Carrier,
    /// It has carried a request before.
    pub is_reused: bool,
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
