//! The body of an answer on its way to the client: each piece at once, as it came.

use std::io::Write;
use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Instant;

use super::attempt::{Attempt, Outcome, State};
use super::conversation::Conversation;
use super::framing::Framing;
use crate::data_plane::exchange::{BodyEnd, OnTime};
use crate::data_plane::flight::FlightOwner;

/// What becomes of a piece.
struct Followed {
    /// This part of it is written, after what is in the output already.
    part: Range<usize>,
    /// And then this.
    tail: &'static [u8],
    /// The body has ended.
    is_over: bool,
    /// There is more than the body had.
    has_more: bool,
    /// Its framing is broken after that part.
    is_broken: bool,
}

impl Conversation {
    /// Passes a piece of the body on, after what lies in `out` already.
    pub(super) fn pass(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        piece: &[u8],
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Option<Outcome> {
        let State::Passing(framing) = &mut attempt.state else { return None };
        let now = attempt.now;
        let followed = flight.with(|exchange| {
            follow(framing, piece, out, |data| exchange.on_response_data(data, now))
        });
        let part = &piece[followed.part];
        let ends_by_chunk = followed.is_over && attempt.is_stream;
        let is_all = followed.tail.is_empty() && !followed.is_broken && !ends_by_chunk;
        let written = if out.is_empty() && is_all {
            self.outbox.write(&mut self.carrier, cx, part)
        } else {
            out.extend_from_slice(part);
            out.extend_from_slice(followed.tail);
            if followed.is_broken {
                attempt.break_off(flight, BodyEnd::Cut, out);
            } else if ends_by_chunk {
                attempt.end_body(flight, out);
            }
            self.outbox.write(&mut self.carrier, cx, out)
        };
        if followed.is_over {
            attempt.is_reusable &= !followed.has_more;
            attempt.state = State::Ending { is_whole: true, end: BodyEnd::Whole };
        }
        written.is_err().then_some(Outcome::Broken)
    }

    /// The upstream has closed: the end of a body without a length, the break of any other.
    pub(super) fn on_upstream_closed(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Option<Outcome> {
        if !matches!(attempt.state, State::Passing(Framing::UntilClose)) {
            return self.on_upstream_broken(flight, attempt, BodyEnd::Cut, out, cx);
        }
        attempt.is_reusable = false;
        attempt.end_body(flight, out);
        attempt.state = State::Ending { is_whole: true, end: BodyEnd::Whole };
        let written = self.outbox.write(&mut self.carrier, cx, out);
        written.is_err().then_some(Outcome::Broken)
    }

    /// The upstream has broken off in the middle of a body.
    pub(super) fn on_upstream_broken(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        end: BodyEnd,
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Option<Outcome> {
        attempt.break_off(flight, end, out);
        let written = self.outbox.write(&mut self.carrier, cx, out);
        written.is_err().then_some(Outcome::Broken)
    }

    /// A deadline has passed in the middle of a body, or a drain ends it. A client that does not take at once
    /// what is left to be said is not waited for.
    pub(super) fn on_late(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        let now = Instant::now();
        if flight.is_evicted() {
            flight.with(|exchange| exchange.on_evicted(now));
        } else if flight.with(|exchange| exchange.on_time(now)) != OnTime::Abort {
            return Poll::Pending;
        }
        let mut out = Vec::new();
        let is_told = attempt.tell(flight, &mut out)
            && self.outbox.write(&mut self.carrier, cx, &out).is_ok()
            && matches!(self.outbox.poll_empty(&mut self.carrier, cx), Poll::Ready(Ok(())));
        attempt.is_reusable = false;
        Poll::Ready(if is_told { Outcome::Whole } else { Outcome::Broken })
    }
}

/// Follows the body through a piece.
fn follow(
    framing: &mut Framing,
    piece: &[u8],
    out: &mut Vec<u8>,
    mut payload: impl FnMut(&[u8]),
) -> Followed {
    let rest =
        |part| Followed { part, tail: b"", is_over: false, has_more: false, is_broken: false };
    match framing {
        Framing::Nothing => Followed { is_over: true, has_more: !piece.is_empty(), ..rest(0..0) },
        Framing::Sized(left) => {
            let length = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
            *left -= length as u64;
            if length > 0 {
                payload(&piece[..length]);
            }
            let has_more = length < piece.len();
            Followed { is_over: *left == 0, has_more, ..rest(0..length) }
        }
        Framing::Chunked(chunks) => {
            let passed = chunks.push(piece, payload);
            if let Some(size) = passed.line {
                // Writing into memory cannot fail.
                let _ = write!(out, "{size:x}\r\n");
            }
            let is_over = passed.end.is_some();
            let has_more = passed.end.is_some_and(|end| end < piece.len());
            let is_broken = passed.is_broken;
            Followed { is_over, has_more, is_broken, ..rest(passed.part) }
        }
        Framing::UntilClose if piece.is_empty() => rest(0..0),
        Framing::UntilClose => {
            payload(piece);
            let _ = write!(out, "{:x}\r\n", piece.len());
            Followed { tail: b"\r\n", ..rest(0..piece.len()) }
        }
    }
}
