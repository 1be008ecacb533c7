//! A JSON string that comes in pieces: where it ends, and what it says.
//!
//! Whoever reads it says how much of it matters; nothing beyond is kept, and a string that nobody wants
//! costs a search for its end.

use memchr::memchr2;

/// A string, from after its opening quote to its closing one.
#[derive(Debug, Clone, Default)]
pub(super) struct JsonText {
    bytes: Vec<u8>,
    /// Most bytes to keep; 0 while nobody wants the text.
    max: usize,
    overflowed: bool,
    escape: Escape,
    /// The first half of a surrogate pair.
    high_surrogate: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Escape {
    #[default]
    None,
    Backslash,
    /// Hexadecimal digits of `\uXXXX` read so far, and their value.
    Unicode(u8, u16),
}

impl JsonText {
    /// Forgets the last text. Of the next one, up to `max` bytes are wanted: all of them, or none.
    pub(super) fn restart(&mut self, max: usize) {
        self.bytes.clear();
        self.max = max;
        self.overflowed = false;
        self.escape = Escape::None;
        self.high_surrogate = None;
    }

    /// Reads on. Returns how many bytes belong to the string, and whether its closing quote was the last
    /// of them.
    pub(super) fn read(&mut self, rest: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < rest.len() {
            if self.escape != Escape::None {
                self.escaped(rest[at]);
                at += 1;
                continue;
            }
            let Some(end) = memchr2(b'"', b'\\', &rest[at..]) else {
                self.push(&rest[at..]);
                return (rest.len(), false);
            };
            self.push(&rest[at..at + end]);
            at += end + 1;
            if rest[at - 1] == b'"' {
                return (at, true);
            }
            self.escape = Escape::Backslash;
        }
        (at, false)
    }

    /// Adds bytes that stand for themselves.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.max == 0 || self.overflowed {
            return;
        }
        if self.bytes.len() + bytes.len() > self.max {
            self.overflowed = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// What it says so far, unless nobody wants it or it is too long.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (self.max > 0 && !self.overflowed).then_some(self.bytes.as_slice())
    }

    fn escaped(&mut self, byte: u8) {
        self.escape = match (self.escape, byte) {
            (Escape::Unicode(digits, value), _) => {
                let digit = (byte as char).to_digit(16).and_then(|d| u16::try_from(d).ok());
                let value = (value << 4) | digit.unwrap_or(0);
                if digits == 3 {
                    self.push_utf16(value);
                    Escape::None
                } else {
                    Escape::Unicode(digits + 1, value)
                }
            }
            (_, b'u') => Escape::Unicode(0, 0),
            (_, other) => {
                let plain = match other {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    same => same,
                };
                self.push(&[plain]);
                Escape::None
            }
        };
    }

    fn push_utf16(&mut self, unit: u16) {
        let pair = [self.high_surrogate.take().unwrap_or(unit), unit];
        let units = if (0xDC00..0xE000).contains(&unit) { &pair[..] } else { &pair[1..] };
        if (0xD800..0xDC00).contains(&unit) {
            self.high_surrogate = Some(unit);
            return;
        }
        for decoded in char::decode_utf16(units.iter().copied()) {
            let mut utf8 = [0; 4];
            let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.push(decoded.encode_utf8(&mut utf8).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_quote_wherever_it_is_cut() {
        let written = br#"a \"b\" \\ \u00e9\ud83e\udd80\n" rest"#;
        for cut in 0..written.len() {
            let mut text = JsonText::default();
            text.restart(100);
            let (first, is_over) = text.read(&written[..cut]);
            let end = if is_over { first } else { first + text.read(&written[cut..]).0 };
            assert_eq!(&written[end..], b" rest", "{cut}");
            assert_eq!(text.whole(), Some("a \"b\" \\ é🦀\n".as_bytes()), "{cut}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_kept_in_part() {
        let mut text = JsonText::default();
        text.restart(3);
        assert_eq!((text.read(b"abcd\""), text.whole()), ((5, true), None));
        text.restart(3);
        assert_eq!((text.read(b"abc\""), text.whole()), ((4, true), Some(&b"abc"[..])));
        text.restart(0);
        assert_eq!((text.read(b"\\u00e9\""), text.whole()), ((7, true), None));
    }
}
