//! A word that may arrive in pieces, held in a few bytes.
//!
//! What is compared (keys, types, reasons, ids) is short. A longer word is none that anybody waits for, so it
//! is not held: only that it was not empty is still known.

/// The longest word that is held: half as long again as the id of a response at `OpenAI`.
const BYTES_MAX: usize = 80;

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

    /// Its next bytes. Of a word that is too long, the beginning is held.
    pub fn push(&mut self, piece: &[u8]) {
        let start = usize::from(self.length);
        let fitting = piece.len().min(BYTES_MAX - start);
        self.bytes[start..start + fitting].copy_from_slice(&piece[..fitting]);
        self.length += u8::try_from(fitting).expect("it fits into the buffer");
        self.is_foreign |= fitting < piece.len();
    }

    /// It holds what no word that is looked for holds, such as an escape.
    pub fn mark_foreign(&mut self) {
        self.is_foreign = true;
    }

    /// The word with its last bytes, which are copied only if others came before them. Nothing if it is
    /// none that anybody waits for.
    pub fn ended_by<'a>(&'a mut self, last: &'a [u8]) -> Option<&'a [u8]> {
        if self.is_empty() {
            return Self::fitting(last);
        }
        self.push(last);
        (!self.is_foreign).then(|| &self.bytes[..usize::from(self.length)])
    }

    /// As much of the word as is held, with its last bytes.
    pub fn beginning_ended_by<'a>(&'a mut self, last: &'a [u8]) -> &'a [u8] {
        if self.is_empty() {
            return Self::beginning(last);
        }
        self.push(last);
        &self.bytes[..usize::from(self.length)]
    }

    /// A word that came in one piece, if it is not too long: pieces must not matter.
    pub fn fitting(word: &[u8]) -> Option<&[u8]> {
        (word.len() <= BYTES_MAX).then_some(word)
    }

    /// As much of a word that came in one piece as would be held of one in several.
    pub fn beginning(word: &[u8]) -> &[u8] {
        &word[..word.len().min(BYTES_MAX)]
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
    fn a_word_that_is_too_long_is_foreign_in_one_piece_and_in_two() {
        let long = [b'x'; BYTES_MAX + 1];
        assert_eq!(Word::new().ended_by(&long), None);
        assert_eq!(Word::new().ended_by(&long[1..]), Some(&long[1..]));
        let mut word = Word::new();
        word.push(&long[..40]);
        assert_eq!(word.clone().ended_by(&long[40..]), None);
        assert_eq!(word.beginning_ended_by(&long[40..]), Word::beginning(&long));
        assert!(!word.is_empty());
    }
}
