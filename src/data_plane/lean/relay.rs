//! The body of an answer on its way to the client: each piece at once, as it came.

use std::io::Write;
use std::ops::Range;
use std::task::Context;

use super::attempt::{Attempt, Outcome, State};
use super::conversation::Conversation;
use super::framing::{BadChunks, Framing, LAST_CHUNK};
use crate::data_plane::exchange::BodyEnd;
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
        let followed = followed.unwrap_or_else(|BadChunks| {
            attempt.break_off(flight, BodyEnd::Cut);
            Followed { part: 0..0, tail: b"", is_over: false, has_more: false }
        });
        if followed.is_over {
            attempt.is_reusable &= !followed.has_more;
            attempt.state = State::Ending(BodyEnd::Whole);
        }
        let part = &piece[followed.part];
        let written = if out.is_empty() && followed.tail.is_empty() {
            self.outbox.write(&mut self.carrier, cx, part)
        } else {
            out.extend_from_slice(part);
            out.extend_from_slice(followed.tail);
            self.outbox.write(&mut self.carrier, cx, out)
        };
        written.is_err().then_some(Outcome::Broken)
    }

    /// The upstream has closed: the end of a body without a length, the break of any other.
    pub(super) fn on_upstream_closed(
        &mut self,
        flight: &FlightOwner,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Option<Outcome> {
        if !matches!(attempt.state, State::Passing(Framing::UntilClose)) {
            attempt.break_off(flight, BodyEnd::Cut);
            return None;
        }
        attempt.is_reusable = false;
        attempt.state = State::Ending(BodyEnd::Whole);
        let written = self.outbox.write(&mut self.carrier, cx, LAST_CHUNK);
        written.is_err().then_some(Outcome::Broken)
    }
}

/// Follows the body through a piece.
fn follow(
    framing: &mut Framing,
    piece: &[u8],
    out: &mut Vec<u8>,
    mut payload: impl FnMut(&[u8]),
) -> Result<Followed, BadChunks> {
    Ok(match framing {
        Framing::Nothing => {
            Followed { part: 0..0, tail: b"", is_over: true, has_more: !piece.is_empty() }
        }
        Framing::Sized(left) => {
            let length = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
            *left -= length as u64;
            if length > 0 {
                payload(&piece[..length]);
            }
            let has_more = length < piece.len();
            Followed { part: 0..length, tail: b"", is_over: *left == 0, has_more }
        }
        Framing::Chunked(chunks) => {
            let passed = chunks.push(piece, payload)?;
            if let Some(size) = passed.line {
                // Writing into memory cannot fail.
                let _ = write!(out, "{size:x}\r\n");
            }
            let is_over = passed.end.is_some();
            let tail: &[u8] = if is_over { LAST_CHUNK } else { b"" };
            let has_more = passed.end.is_some_and(|end| end < piece.len());
            Followed { part: passed.part, tail, is_over, has_more }
        }
        Framing::UntilClose if piece.is_empty() => {
            Followed { part: 0..0, tail: b"", is_over: false, has_more: false }
        }
        Framing::UntilClose => {
            payload(piece);
            let _ = write!(out, "{:x}\r\n", piece.len());
            Followed { part: 0..piece.len(), tail: b"\r\n", is_over: false, has_more: false }
        }
    })
}
