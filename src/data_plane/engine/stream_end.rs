//! What the end of an HTTP/2 stream says about its request.
//!
//! A connection may end under a request that the upstream never saw; a stream that is reset was seen,
//! unless the reset says otherwise. Only what was not seen may be sent again without asking the policy
//! (RFC 9113, section 8.7).

/// How an upstream ended a stream before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// It says that it has not looked at the request.
    Unprocessed,
    /// It has: the request is never sent a second time.
    Processed,
}

impl StreamEnd {
    /// `None` when it was not the stream that ended, but its connection was lost.
    pub fn of(error: &hyper::Error) -> Option<Self> {
        let error = std::error::Error::source(error)?.downcast_ref::<h2::Error>()?;
        if error.is_go_away() && error.is_remote() {
            return Some(Self::Unprocessed);
        }
        let is_refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_reset().then_some(if is_refused { Self::Unprocessed } else { Self::Processed })
    }
}
