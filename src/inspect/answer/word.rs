//! A word that may arrive in pieces, held in a few bytes.
//!
//! What is compared (keys, types, reasons) is short. A longer word is none that anybody waits for, so it
//! is not held: only that it was not empty is still known.

/// The longest word that is held: twice the longest key that is looked for.
const BYTES_MAX: usize = 48;

/// The beginning of a text or number whose end has not come yet.
#[derive(Debug, Clone)]
pub struct Word {
    bytes: [u8; BYTES_MAX],
    length: u8,
    is_foreign: bool,
}

impl Word {
    /// No word.
    pub const fn new() -> Self {
        Self { bytes: [0; BYTES_MAX], length: 0, is_foreign: false }
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        self.length = 0;
        self.is_foreign = false;
    }

    /// Whether nothing of it came yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0 && !self.is_foreign
    }

    /// Its next bytes.
    pub fn push(&mut self, piece: &[u8]) {
        let start = usize::from(self.length);
        match self.bytes.get_mut(start..start + piece.len()) {
            Some(free) => {
                free.copy_from_slice(piece);
                self.length += u8::try_from(piece.len()).expect("it fits into the buffer");
            }
            None => self.is_foreign = true,
        }
    }

    /// It holds what no word that is looked for holds, such as an escape.
    pub fn mark_foreign(&mut self) {
        self.is_foreign = true;
    }

    /// The word with its last bytes, which are copied only if others came before them. Nothing if it is
    /// none that anybody waits for.
    pub fn ended_by<'a>(&'a mut self, last: &'a [u8]) -> Option<&'a [u8]> {
        if self.is_empty() {
            return Some(last);
        }
        self.push(last);
        self.whole()
    }

    /// The word so far.
    pub fn whole(&self) -> Option<&[u8]> {
        (!self.is_foreign).then(|| &self.bytes[..usize::from(self.length)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_pieces_is_one_word() {
        let mut word = Word::new();
        assert!(word.is_empty());
        word.push(b"finish_");
        word.push(b"");
        assert_eq!(word.ended_by(b"reason"), Some(&b"finish_reason"[..]));
        word.clear();
        assert_eq!(word.ended_by(b"index"), Some(&b"index"[..]), "not held, only passed on");
        assert!(word.is_empty());
    }

    #[test]
    fn a_word_that_is_too_long_is_foreign_but_not_empty() {
        let mut word = Word::new();
        word.push(&[b'x'; BYTES_MAX]);
        assert!(word.whole().is_some());
        word.push(b"x");
        assert_eq!(word.ended_by(b"y"), None);
        assert!(!word.is_empty());
    }
}
