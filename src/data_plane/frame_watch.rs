//! What an HTTP/2 client may have us do for nothing.
//!
//! Most frames cost their sender nothing and us some work: pings and settings want an answer, resets throw
//! work away, empty frames have to be looked at. Floods of them are a family of attacks (CVE-2019-9511 to
//! 9518, CVE-2023-44487, CVE-2025-8671), and each kind is legitimate in moderation. So there is one credit
//! per connection for all of them: it refills with time, and with every piece of an answer that the client
//! is sent, because who reads a stream of tokens updates windows and pings as often as tokens come. Bytes
//! of bodies and requests themselves are free here; they are limited elsewhere.
//!
//! When the credit runs low, the client is said GOAWAY, which an honest one takes for a reason to connect
//! anew. When it is used up, the connection is cut. So a connection makes us look at no more than
//! `CREDIT_MAX` idle frames at once, and at `REFILL_PER_SECOND` more in each second after that.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Idle frames that a connection may send at once. Clients begin with a few settings, and a busy one may
/// cancel a hundred streams when its own user leaves.
const CREDIT_MAX: u32 = 1000;
/// From here on the client is asked to leave.
const CREDIT_LOW: u32 = CREDIT_MAX / 4;
/// Earned with time alone.
const REFILL_PER_SECOND: u128 = 100;
/// Earned with a piece of an answer: window updates of stream and connection, a ping and its answer.
const PER_PIECE: u32 = 4;
/// Earned with the head of an answer.
const PER_ANSWER: u32 = 16;
/// A reset costs more: a request was parsed, routed and sent for nothing.
const RESET_COST: u32 = 4;

// Types and flags of RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

/// RFC 9113, section 3.4: what an HTTP/2 connection begins with.
const PREFACE_BYTES: u32 = 24;
/// RFC 9113, section 4.1.
const HEAD_BYTES: usize = 9;

/// What is left for a connection. Only one thread ever touches it; the atomics are there because an
/// upgraded stream has to be `Send`.
#[derive(Debug)]
pub struct FrameCredit {
    left: AtomicU32,
    is_used_up: AtomicBool,
}

/// Follows the frames of one connection, however its bytes are cut into reads.
#[derive(Debug)]
pub struct FrameWatch {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// Bytes to pass before the next head.
    skip: u32,
    has_begun: bool,
}

impl Default for FrameCredit {
    fn default() -> Self {
        Self { left: AtomicU32::new(CREDIT_MAX), is_used_up: AtomicBool::new(false) }
    }
}

impl FrameCredit {
    /// Some time has passed.
    pub fn refill(&self, passed: Duration) {
        let earned = passed.as_millis() * REFILL_PER_SECOND / 1000;
        self.earn(u32::try_from(earned).unwrap_or(CREDIT_MAX));
    }

    /// The client was sent a piece of an answer.
    pub fn earn_piece(&self) {
        self.earn(PER_PIECE);
    }

    /// The client was sent the head of an answer.
    pub fn earn_answer(&self) {
        self.earn(PER_ANSWER);
    }

    /// Whether the client should go, because it sends so many frames for nothing.
    pub fn is_low(&self) -> bool {
        self.left.load(Ordering::Relaxed) < CREDIT_LOW
    }

    /// Whether the connection was cut for it.
    pub fn is_used_up(&self) -> bool {
        self.is_used_up.load(Ordering::Relaxed)
    }

    fn earn(&self, credit: u32) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_add(credit).min(CREDIT_MAX), Ordering::Relaxed);
    }

    fn spend(&self, cost: u32) -> bool {
        match self.left.load(Ordering::Relaxed).checked_sub(cost) {
            Some(left) => self.left.store(left, Ordering::Relaxed),
            None => self.is_used_up.store(true, Ordering::Relaxed),
        }
        !self.is_used_up()
    }
}

impl Default for FrameWatch {
    fn default() -> Self {
        Self { head: [0; HEAD_BYTES], head_bytes: 0, skip: PREFACE_BYTES, has_begun: false }
    }
}

impl FrameWatch {
    /// Looks at bytes from the client. Returns false when it has used up its credit, or begins with anything
    /// but its settings (RFC 9113, section 3.4), which h2 lets pass.
    pub fn pass(&mut self, mut bytes: &[u8], credit: &FrameCredit) -> bool {
        loop {
            let skipped = bytes.len().min(self.skip as usize);
            bytes = &bytes[skipped..];
            self.skip -= u32::try_from(skipped).expect("no more than `skip`, which is one");
            let wanted = (HEAD_BYTES - self.head_bytes).min(bytes.len());
            if wanted == 0 {
                return true;
            }
            self.head[self.head_bytes..][..wanted].copy_from_slice(&bytes[..wanted]);
            self.head_bytes += wanted;
            bytes = &bytes[wanted..];
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                let [high, middle, low, kind, flags, ..] = self.head;
                self.skip = u32::from_be_bytes([0, high, middle, low]);
                if !std::mem::replace(&mut self.has_begun, true)
                    && (kind, flags & ACK) != (SETTINGS, 0)
                {
                    return false;
                }
                let cost = cost(kind, flags, self.skip);
                if cost > 0 && !credit.spend(cost) {
                    return false;
                }
            }
        }
    }
}

/// What a frame costs, by type, flags and length.
fn cost(kind: u8, flags: u8, length: u32) -> u32 {
    match kind {
        DATA if length > 0 || flags & END_STREAM != 0 => 0,
        HEADERS => 0,
        RST_STREAM => RESET_COST,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(frame.len() + usize::from(length), 0xee);
        frame
    }

    fn begun() -> (FrameWatch, FrameCredit) {
        let (mut watch, credit) = (FrameWatch::default(), FrameCredit::default());
        assert!(watch.pass(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &credit));
        assert!(watch.pass(&frame(SETTINGS, 0, 0), &credit));
        credit.earn(1);
        (watch, credit)
    }

    fn left(credit: &FrameCredit) -> u32 {
        credit.left.load(Ordering::Relaxed)
    }

    #[test]
    fn frames_cost_what_they_make_us_do() {
        for (kind, flags, length, cost) in [
            (0, 0, 100, 0), // DATA
            (0, 0, 0, 1),   // empty DATA
            (0, 1, 0, 0),   // the end of a body
            (1, 4, 20, 0),  // HEADERS
            (2, 0, 5, 1),   // PRIORITY
            (3, 0, 4, 4),   // RST_STREAM
            (4, 0, 0, 1),   // SETTINGS
            (6, 0, 8, 1),   // PING
            (8, 0, 4, 1),   // WINDOW_UPDATE
            (9, 0, 0, 1),   // CONTINUATION
            (99, 0, 7, 1),  // unknown
        ] {
            let (mut watch, credit) = begun();
            assert!(watch.pass(&frame(kind, flags, length), &credit));
            assert_eq!(left(&credit), CREDIT_MAX - cost, "{kind}");
        }
    }

    #[test]
    fn settings_come_first() {
        for (kind, flags, is_taken) in
            [(SETTINGS, 0, true), (SETTINGS, ACK, false), (PING, 0, false)]
        {
            let (mut watch, credit) = (FrameWatch::default(), FrameCredit::default());
            let sent = [&[0; 24][..], &frame(kind, flags, 0)].concat();
            assert_eq!(watch.pass(&sent, &credit), is_taken, "{kind} {flags}");
        }
    }

    #[test]
    fn heads_are_found_however_bytes_are_cut() {
        let sent =
            [frame(1, 5, 30), frame(PING, 0, 8), frame(0, 0, 200), frame(PING, 0, 8)].concat();
        for size in 1..=sent.len() {
            let (mut watch, credit) = begun();
            assert!(sent.chunks(size).all(|piece| watch.pass(piece, &credit)));
            assert_eq!(left(&credit), CREDIT_MAX - 2, "{size}");
        }
    }

    #[test]
    fn a_flood_is_asked_to_leave_and_then_cut() {
        let (mut watch, credit) = begun();
        let mut sent = 0;
        while watch.pass(&frame(PING, 0, 8), &credit) {
            sent += 1;
            assert_eq!(credit.is_low(), sent > CREDIT_MAX - CREDIT_LOW, "{sent}");
        }
        assert_eq!(sent, CREDIT_MAX);
        assert!(credit.is_used_up());
    }

    #[test]
    fn who_reads_a_stream_earns_its_pings() {
        let (mut watch, credit) = begun();
        for _ in 0..100_000 {
            credit.earn_piece();
            for kind in [8, 8, PING, PING] {
                assert!(watch.pass(&frame(kind, 0, 8), &credit));
            }
        }
        assert!(!credit.is_low());
        credit.refill(Duration::from_secs(3600));
        assert_eq!(left(&credit), CREDIT_MAX, "it does not pile up");
        assert!(credit.spend(500));
        credit.refill(Duration::from_millis(50));
        assert_eq!(left(&credit), CREDIT_MAX - 500 + 5);
    }
}
