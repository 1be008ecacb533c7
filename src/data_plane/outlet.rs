//! What is on its way to an HTTP/2 client and has not left yet.
//!
//! hyper takes a piece of an answer and keeps it until the client opens its window. A client that never
//! does, or byte by byte, makes us keep what it does not take: the exchange may have ended long ago, and no
//! limit on time sees it (CVE-2019-9517 and its kin). So the pieces themselves count: they tell an outlet
//! what they hold until they have gone, and the outlet tells whether the stream moves.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};

/// What a stream has to move within its limit, once something waits. Window updates of single bytes are
/// no progress.
const PROGRESS_BYTES: u64 = 16 * 1024;

/// Where the pieces of one answer leave.
#[derive(Debug)]
pub struct Outlet {
    /// How long it may stand still.
    limit: Duration,
    held: Cell<usize>,
    gone: Cell<u64>,
    /// It was empty since it was looked at.
    was_empty: Cell<bool>,
    since: Cell<(Instant, u64)>,
    /// Its exchange is still at work.
    is_open: Cell<bool>,
}

/// A piece of an answer.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    outlet: Option<Rc<Outlet>>,
}

impl Outlet {
    /// An outlet of a stream that may stand still for this long.
    pub fn new(limit: Duration, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            limit,
            held: Cell::new(0),
            gone: Cell::new(0),
            was_empty: Cell::new(true),
            since: Cell::new((now, 0)),
            is_open: Cell::new(true),
        })
    }

    /// The exchange is over; what it has left behind may still be held.
    pub fn close(&self) {
        self.is_open.set(false);
    }

    /// Whether the exchange is still at work.
    pub fn is_open(&self) -> bool {
        self.is_open.get()
    }

    /// Whether there is nothing left to watch.
    pub fn is_over(&self) -> bool {
        !self.is_open() && self.held.get() == 0
    }

    /// Whether something has waited for longer than the limit, without moving enough. To be asked from time
    /// to time; it measures from one time to another.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let (since, gone) = self.since.get();
        let has_moved = self.gone.get() - gone >= PROGRESS_BYTES;
        if self.was_empty.replace(self.held.get() == 0) || has_moved {
            self.since.set((now, self.gone.get()));
            return false;
        }
        now.saturating_duration_since(since) >= self.limit
    }

    fn left(&self, bytes: usize) {
        let held = self.held.get() - bytes;
        self.held.set(held);
        self.gone.set(self.gone.get() + bytes as u64);
        if held == 0 {
            self.was_empty.set(true);
        }
    }
}

impl Piece {
    /// A piece that leaves by `outlet`.
    pub fn by(outlet: Option<Rc<Outlet>>, bytes: Bytes) -> Self {
        if let Some(outlet) = &outlet {
            outlet.held.set(outlet.held.get() + bytes.len());
        }
        Self { bytes, outlet }
    }
}

impl From<Bytes> for Piece {
    /// A piece that nobody watches.
    fn from(bytes: Bytes) -> Self {
        Self { bytes, outlet: None }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(outlet) = &self.outlet {
            outlet.left(count);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(outlet) = &self.outlet {
            outlet.left(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn held(bytes: usize) -> (Rc<Outlet>, Piece, Instant) {
        let now = Instant::now();
        let outlet = Outlet::new(LIMIT, now);
        let piece = Piece::by(Some(Rc::clone(&outlet)), Bytes::from(vec![0; bytes]));
        assert!(!outlet.is_stuck(now));
        (outlet, piece, now)
    }

    #[test]
    fn a_stream_that_stands_still_is_stuck_after_the_limit() {
        let (outlet, mut piece, now) = held(100_000);
        assert!(!outlet.is_stuck(now + Duration::from_secs(59)));
        assert!(outlet.is_stuck(now + LIMIT));
        piece.advance(20_000);
        assert!(!outlet.is_stuck(now + LIMIT), "that was progress");
        assert!(outlet.is_stuck(now + 2 * LIMIT));
    }

    #[test]
    fn a_byte_now_and_then_is_no_progress() {
        let (outlet, mut piece, now) = held(100_000);
        for second in 1..60 {
            piece.advance(100);
            assert!(!outlet.is_stuck(now + Duration::from_secs(second)));
        }
        assert!(outlet.is_stuck(now + LIMIT));
    }

    #[test]
    fn whoever_takes_everything_is_never_stuck() {
        let (outlet, piece, now) = held(10);
        drop(piece);
        assert!(!outlet.is_stuck(now + LIMIT));
        let piece = Piece::by(Some(Rc::clone(&outlet)), Bytes::from_static(b"slow tokens"));
        assert!(!outlet.is_stuck(now + 3 * LIMIT), "it was empty in between");
        outlet.close();
        assert!(!outlet.is_over(), "its last piece is still held");
        assert!(outlet.is_stuck(now + 4 * LIMIT));
        drop(piece);
        assert!(outlet.is_over());
    }
}
