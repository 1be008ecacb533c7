//! One member of a JSON object that came whole: a key and a plain value.
//!
//! Nearly all of an event consists of these, and to read one in a single go costs a fraction of what the
//! states of the walk cost. What came in pieces, has an escape in it or blanks around it is left to them.

use memchr::memchr2;

/// Bytes in a word of the machine.
const WORD_BYTES: usize = 8;

/// A member, from the opening quote of its key to the end of its value.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: Value<'a>,
    /// How many bytes it has; up to the colon, if its value is none of the plain ones.
    pub bytes: usize,
}

/// The value of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text without escapes.
    Text(&'a [u8]),
    /// A number or a literal.
    Bare(&'a [u8]),
    /// An object or list, or something else to be looked at closely.
    Other,
}

impl<'a> Member<'a> {
    /// The member that begins with a quote here, if it is one of those that are read in one go.
    #[inline]
    pub fn first_of(rest: &'a [u8]) -> Option<Self> {
        let after_quote = &rest[1..];
        let end_of_key = find_quote_or_backslash(after_quote)?;
        let (key, after_key) = after_quote.split_at(end_of_key);
        let [b'"', b':', value @ ..] = after_key else { return None };
        let before_value = key.len() + 3;
        match value.first()? {
            b'"' => {
                let end =
                    find_quote_or_backslash(&value[1..]).filter(|end| value[end + 1] == b'"')?;
                let text = &value[1..=end];
                Some(Self { key, value: Value::Text(text), bytes: before_value + end + 2 })
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                let bare = &value[..end_of_bare(value)?];
                let bytes = before_value + bare.len();
                is_number_or_literal(bare).then_some(Self { key, value: Value::Bare(bare), bytes })
            }
            _ => Some(Self { key, value: Value::Other, bytes: before_value }),
        }
    }
}

/// Where the first quote or backslash stands. Most texts of an event end within a dozen bytes, for which a
/// search that is made for long ones costs more to begin than to do: so the first sixteen bytes are looked
/// over here, eight at a time.
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

/// Where a number or literal ends.
#[inline]
pub fn end_of_bare(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|byte| *byte <= b' ' || matches!(byte, b',' | b']' | b'}'))
}

/// Whether this is a number, as far as its first character tells, or one of the literals.
#[inline]
pub fn is_number_or_literal(bare: &[u8]) -> bool {
    match bare {
        b"true" | b"false" | b"null" | b"NaN" | b"Infinity" => true,
        [first, ..] => matches!(first, b'-' | b'0'..=b'9'),
        [] => false,
    }
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

    #[test]
    fn only_members_that_came_whole_are_read() {
        for (text, whole) in [
            (r#""a":"b","#, Some(("a", Value::Text(b"b"), 7))),
            (r#""":"",x"#, Some(("", Value::Text(b""), 5))),
            (r#""a":null}"#, Some(("a", Value::Bare(b"null"), 8))),
            (r#""a":-1.5 ,"#, Some(("a", Value::Bare(b"-1.5"), 8))),
            (r#""a":{"b":1}"#, Some(("a", Value::Other, 4))),
            (r#""a": 1"#, Some(("a", Value::Other, 4))),
            (r#""a":nope,"#, None),
            (r#""a":12"#, None),
            (r#""a":"b"#, None),
            (r#""a":"\"","#, None),
            (r#""\u0061":1,"#, None),
            (r#""a" :1,"#, None),
            (r#""a":"#, None),
            (r#""a"#, None),
            (r#"""#, None),
        ] {
            let member = Member::first_of(text.as_bytes());
            let member = member.map(|member| (member.key, member.value, member.bytes));
            assert_eq!(
                member,
                whole.map(|(key, value, bytes)| (key.as_bytes(), value, bytes)),
                "{text}"
            );
        }
    }

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
