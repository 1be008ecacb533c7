//! How the story is printed: the time, a word, and sentences that fit a terminal.

use tokio::time::Instant;

/// Columns of a line.
const COLUMNS: usize = 88;
/// Columns before the sentence.
const INDENT: usize = 16;

/// Prints the story.
pub(super) struct Teller {
    say: fn(&str),
    started: Instant,
}

impl Teller {
    pub(super) fn new(say: fn(&str)) -> Self {
        Self { say, started: Instant::now() }
    }

    /// Something without a time: where to look, how it ended.
    pub(super) fn plain(&self, text: &str) {
        (self.say)(text);
    }

    /// Something that happened now. Without a word it belongs to what was told before.
    pub(super) fn tell(&self, word: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        let time = match word {
            "" => String::new(),
            _ => format!("{}:{:02}", seconds / 60, seconds % 60),
        };
        let mut start = format!("{time:>5} {word:<9} ");
        for line in wrapped(text, COLUMNS - INDENT) {
            (self.say)(&format!("{start}{line}"));
            start = " ".repeat(INDENT);
        }
    }
}

/// Lines of at most so many columns; a longer word has one for itself.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_break_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("● blue  100 %", 13), ["● blue 100 %"]);
        assert_eq!(wrapped("overlong one", 4), ["overlong", "one"]);
        assert!(wrapped("", 4).is_empty());
    }
}
