//! The text of a config file, and where in it something stands.

use std::ops::Range;

/// A config text and the name it goes by in errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    name: String,
    text: String,
    /// For a text made of arguments, the argument of each line.
    arguments: Vec<&'static str>,
}

/// A value's dotted key and its bytes in the text; what every error points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `service.chat.environment.green.weight`; empty for the file as a whole.
    pub(super) field: String,
    /// Bytes of the text; `0..0` where nothing is written, empty elsewhere where something is missing.
    pub(super) span: Range<usize>,
}

/// One line of the text with the part of it that is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    pub(super) text: &'a str,
    /// Bytes of `text`; clipped to the first line of a longer value.
    pub(super) marked: Range<usize>,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), arguments: Vec::new() }
    }

    /// A text of one line per argument of the command line.
    pub(super) fn of_arguments(lines: &[(&'static str, String)]) -> Self {
        let (arguments, lines): (Vec<_>, Vec<_>) = lines.iter().cloned().unzip();
        Self { name: "arguments".to_owned(), text: lines.join("\n"), arguments }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The argument that a line stands for; `None` in a file.
    pub(super) fn argument(&self, line: usize) -> Option<&'static str> {
        self.arguments.get(line.saturating_sub(1)).copied()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The line in which `span` begins. A span outside the text counts as its end.
    pub(super) fn line(&self, span: &Range<usize>) -> Line<'_> {
        let at = self.boundary(span.start);
        let begin = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline);
        Line {
            number: self.text[..begin].matches('\n').count() + 1,
            text: self.text[begin..end].trim_end_matches('\r'),
            marked: at - begin..self.boundary(span.end).clamp(at, end) - begin,
        }
    }

    /// The nearest place at or before `offset` where a character begins.
    fn boundary(&self, offset: usize) -> usize {
        let inside = offset.min(self.text.len());
        (0..=inside).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_in_its_first_line() {
        let source = Source::new("a.toml", "one\ntwö = [1,\n2]\n");
        let shown = |span| {
            let line = source.line(&span);
            (line.number, line.text, line.marked)
        };
        assert_eq!(shown(0..3), (1, "one", 0..3));
        assert_eq!(shown(4..8), (2, "twö = [1,", 0..4));
        assert_eq!(shown(11..17), (2, "twö = [1,", 7..10));
        assert_eq!(shown(99..120), (4, "", 0..0));
    }
}
