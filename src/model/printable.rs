//! What may be printed as it is: text from clients ends in logs and on terminals, and must do nothing
//! there but be read.

use std::borrow::Cow;

/// Whether a character only shows itself: no control character, no separator of lines, no mark that
/// turns the direction of the text around it. All others have at most four hexadecimal digits.
pub fn is_printable(character: char) -> bool {
    let turns_or_breaks = matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !character.is_control() && !turns_or_breaks
}

/// The text with `\u001b` for what is not printable.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return text.into();
    }
    let escape = |character: char| {
        if is_printable(character) {
            character.to_string()
        } else {
            format!("\\u{:04x}", u32::from(character))
        }
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_printable_has_four_digits() {
        let others = (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| !is_printable(*c));
        assert!(others.max().unwrap() <= '\u{ffff}');
        assert_eq!(printable("/ä\u{1b}[2J\u{202e}"), "/ä\\u001b[2J\\u202e");
    }
}
