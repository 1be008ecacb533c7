//! Finds the end of a JSON text, made for texts that are short.
//!
//! Most keys and words of an event end within a dozen bytes. To call a search that is made for long texts
//! costs more there than the search; so the first sixteen bytes are looked over here, eight at a time.

use memchr::memchr2;

/// Bytes in a word of the machine.
const WORD_BYTES: usize = 8;

/// Where the first quote or backslash stands.
#[inline]
pub fn find_quote_or_backslash(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < 2 * WORD_BYTES {
        let Some(word) = text[at..].first_chunk() else { break };
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ every_byte(b'"')) | zero_bytes(word ^ every_byte(b'\\'));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / WORD_BYTES);
        }
        at += WORD_BYTES;
    }
    memchr2(b'"', b'\\', &text[at..]).map(|found| at + found)
}

/// The highest bit of the first byte that is zero; bits above it may be set without meaning anything
/// (Hacker's Delight, 6-1).
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(every_byte(1)) & !word & every_byte(0x80)
}

const fn every_byte(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; WORD_BYTES])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_one_is_found_wherever_it_stands(
            // Bytes beside those looked for are where a trick with words would go wrong.
            text in proptest::collection::vec(
                prop_oneof![Just(b'"'), Just(b'\\'), Just(b'#'), Just(b'!'), Just(b']'), any::<u8>()],
                0..40,
            ),
        ) {
            let plain = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(find_quote_or_backslash(&text), plain);
        }
    }
}
