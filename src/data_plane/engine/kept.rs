//! What is kept of a request's body: to be sent when more has come, or once more.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::data_plane::budget::BufferLease;

/// Shorter pieces are put together. Each by itself would hold all of the read buffer that it lies in, and a client
/// that sends bytes one by one would have a buffer kept for every one of them.
const BLOCK_BYTES: usize = 16 * 1024;

/// Pieces in the order in which they came, for one reader at a time, who asks for more only when it has them all. A
/// long one is a reference to the read buffer, not a copy.
pub struct Kept {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    lease: BufferLease,
}

impl Kept {
    /// Nothing yet; what comes is paid for with this lease.
    pub fn new(lease: BufferLease) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, lease }
    }

    /// Takes what a piece costs out of the budget; false when it is not to be had.
    pub fn make_room(&mut self, piece: &[u8]) -> bool {
        let own = if self.fits_last(piece) { 0 } else { size_of::<Bytes>() };
        self.lease.extend(piece.len() + own)
    }

    /// Keeps a piece.
    pub fn push(&mut self, piece: &Bytes) {
        self.bytes += piece.len();
        if piece.len() >= BLOCK_BYTES {
            return self.pieces.push_back(piece.clone());
        }
        let last = self.fits_last(piece).then(|| self.pieces.pop_back()).flatten();
        self.pieces.push_back(match last {
            None => Bytes::copy_from_slice(piece),
            Some(last) => {
                let mut block = BytesMut::from(last); // no copy: nobody else has it
                block.extend_from_slice(piece);
                block.freeze()
            }
        });
    }

    /// Forgets all, and gives back what it cost.
    pub fn clear(&mut self) {
        self.pieces = VecDeque::new();
        self.bytes = 0;
        self.lease.give_back();
    }

    /// Whether a piece is short, and so is the last one, which nobody else has.
    fn fits_last(&self, piece: &[u8]) -> bool {
        let fits = |last: &Bytes| last.len() + piece.len() <= BLOCK_BYTES && last.is_unique();
        piece.len() < BLOCK_BYTES && self.pieces.back().is_some_and(fits)
    }

    /// The piece at a position.
    pub fn get(&self, index: usize) -> Option<&Bytes> {
        self.pieces.get(index)
    }

    /// How many pieces there are.
    pub fn count(&self) -> usize {
        self.pieces.len()
    }

    /// How long they are together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &piece[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::budget::BufferBudget;

    fn keep(budget: u64, pieces: &[&[u8]]) -> Kept {
        let mut kept = Kept::new(BufferBudget::new(budget).lease());
        for piece in pieces {
            assert!(kept.make_room(piece));
            kept.push(&Bytes::copy_from_slice(piece));
        }
        kept
    }

    #[test]
    fn bytes_that_come_one_by_one_lie_in_few_blocks() {
        let text: Vec<u8> = (0..=250).cycle().take(2 * BLOCK_BYTES + 1).collect();
        let kept = keep(100_000, &text.chunks(1).collect::<Vec<_>>());
        assert_eq!((kept.count(), kept.bytes()), (3, text.len()));
        assert_eq!(kept.pieces().collect::<Vec<_>>().concat(), text);
    }

    #[test]
    fn long_pieces_are_no_copies_and_keep_their_place() {
        let long = Bytes::from(vec![b'x'; BLOCK_BYTES]);
        let mut kept = keep(100_000, &[b"a"]);
        kept.push(&long);
        kept.push(&Bytes::from_static(b"b"));
        assert_eq!(kept.get(1).unwrap().as_ptr(), long.as_ptr());
        assert_eq!(kept.pieces().collect::<Vec<_>>(), [b"a", &long[..], b"b"]);
    }

    #[test]
    fn what_somebody_has_is_left_as_it_is() {
        let mut kept = keep(100_000, &[b"a"]);
        let sent = kept.get(0).cloned().unwrap();
        kept.push(&Bytes::from_static(b"b"));
        assert_eq!((&sent[..], kept.count()), (&b"a"[..], 2));
    }

    #[test]
    fn the_budget_is_asked_for_every_byte() {
        let mut kept = keep(size_of::<Bytes>() as u64 + 2, &[b"a", b"b"]);
        assert!(!kept.make_room(b"c"));
        kept.clear();
        assert!(kept.make_room(b"c") && kept.count() == 0 && kept.bytes() == 0);
    }
}
