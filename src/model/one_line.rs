//! Text of people that is kept and shown to others: one line, of a length that fits, and without the
//! control characters that a terminal obeys.

/// Most characters of a reason.
pub const REASON_CHARS_MAX: usize = 500;

/// Most characters of a version label. It stands in metrics, logs and one row of the dashboard; the name of
/// an image with its digest fits.
pub const VERSION_CHARS_MAX: usize = 200;

/// Whether this text is one line of at most so many characters.
pub fn is_one_line(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

/// This text as one line of at most so many characters: a blank for each run of control characters and
/// blanks, none at the ends.
pub fn fitted(text: &str, chars_max: usize) -> String {
    let is_gap = |char: char| char.is_control() || char.is_whitespace();
    let words = text.split(is_gap).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut fits: String = line.chars().take(chars_max).collect();
    fits.truncate(fits.trim_end().len());
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_length_and_no_control_characters() {
        for (text, is_line) in [
            ("", true),
            ("größer", true),
            ("größere", false),
            ("a\nb", false),
            ("\u{1b}[2J", false),
            ("a\u{9b}m", false),
            ("a\u{7f}", false),
        ] {
            assert_eq!(is_one_line(text, 6), is_line, "{text:?}");
        }
    }

    #[test]
    fn any_text_fits_in_a_line() {
        for (text, line) in [
            ("too slow", "too slow"),
            ("\ttoo\r\n slow ", "too slow"),
            ("\u{1b}[2Jgone\u{9b}m", "[2Jgone m"),
            ("0123456789abcdef", "0123456789ab"),
            ("0123456789a bc", "0123456789a"),
            ("\n", ""),
        ] {
            assert_eq!(fitted(text, 12), line);
        }
    }
}
