//! Bytes that a peer has not taken yet. Usually there are none: what is written goes out at once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::data_plane::client_io::Carrier;

/// Bytes owed to a peer.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// Of these, what `take_progress` has not told yet.
    untold: usize,
    /// TLS may still hold what it was given.
    is_flushed: bool,
}

/// The peer is gone.
#[derive(Debug)]
pub struct Gone {
    /// It had taken nothing of what was being written.
    pub is_untouched: bool,
}

impl Outbox {
    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes bytes after whatever is still owed. What is not taken now is kept.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn write(
        &mut self,
        carrier: &mut Carrier,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Result<(), Gone> {
        let mut taken = 0;
        while self.bytes.is_empty() && taken < bytes.len() {
            match Pin::new(&mut *carrier).poll_write(cx, &bytes[taken..]) {
                Poll::Ready(Ok(count)) if count > 0 => taken += count,
                Poll::Ready(_) => return Err(Gone { is_untouched: taken == 0 }),
                Poll::Pending => break,
            }
        }
        self.bytes.extend_from_slice(&bytes[taken..]);
        self.is_flushed = false;
        match self.poll_empty(carrier, cx) {
            Poll::Ready(Err(gone)) => Err(gone),
            _ => Ok(()),
        }
    }

    /// Writes what is owed.
    pub fn poll_empty(
        &mut self,
        carrier: &mut Carrier,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        while self.written < self.bytes.len() {
            let rest = &self.bytes[self.written..];
            match ready!(Pin::new(&mut *carrier).poll_write(cx, rest)) {
                Ok(count) if count > 0 => {
                    self.written += count;
                    self.untold += count;
                }
                _ => return Poll::Ready(Err(Gone { is_untouched: false })),
            }
        }
        if !self.bytes.is_empty() {
            self.forget(); // its memory would stay as long as the connection
        }
        if !self.is_flushed {
            if ready!(Pin::new(carrier).poll_flush(cx)).is_err() {
                return Poll::Ready(Err(Gone { is_untouched: false }));
            }
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// How much of what is owed was taken since this was last asked.
    pub fn take_progress(&mut self) -> u64 {
        std::mem::take(&mut self.untold) as u64
    }

    /// Gives up what is owed.
    pub fn forget(&mut self) {
        self.bytes = Vec::new();
        self.written = 0;
        self.untold = 0;
    }
}
