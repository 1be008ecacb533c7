//! What is wrong with a config: everything at once, each with file, line, field, problem and remedy.
//!
//! Two renderings of the same errors. `Display` has one line each, for logs, events and scripts; it
//! never quotes the text around a value. `render_excerpts` shows the lines as a compiler would, for a
//! person at a terminal; secrets in those lines are covered.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::source::{Line, Place, Source};

/// Columns of an excerpt; a longer line is cut.
const EXCERPT_CHARS_MAX: usize = 120;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigError {
    pub(super) place: Place,
    /// `problem; remedy`: what follows the last semicolon is the hint.
    pub(super) sentence: String,
    /// Other values that the problem is about, shown above it.
    pub(super) related: Vec<Range<usize>>,
}

/// One thing that is wrong, as `cyan check --json` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// Its line, from 1; none for the file as a whole.
    pub line: Option<usize>,
    /// The character of the line at which the value begins, from 1.
    pub column: Option<usize>,
    /// The dotted key.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

/// Everything that is wrong with a config; at least one error. Nothing of it was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    source: Source,
    errors: Vec<ConfigError>,
    /// Bytes of secrets, covered in excerpts.
    hidden: Box<[Range<usize>]>,
    files: Arc<BTreeSet<PathBuf>>,
}

impl ConfigErrors {
    pub(super) fn new(
        source: Source,
        mut errors: Vec<ConfigError>,
        hidden: Vec<Range<usize>>,
    ) -> Self {
        errors.sort_by_key(|error| error.place.span.start);
        Self { source, errors, hidden: hidden.into(), files: Arc::default() }
    }

    /// The same of a config that names these files.
    pub(super) fn naming(self, files: BTreeSet<PathBuf>) -> Self {
        Self { files: Arc::new(files), ..self }
    }

    /// The files that the config names, as far as it was understood: one of them may be what is missing.
    pub fn files(&self) -> &BTreeSet<PathBuf> {
        &self.files
    }

    /// A file that has no text to point into.
    pub(super) fn of_file(name: &str, sentence: String) -> Self {
        let place = Place { field: String::new(), span: 0..0 };
        let error = ConfigError { place, sentence, related: Vec::new() };
        Self::new(Source::new(name, ""), vec![error], Vec::new())
    }

    /// The errors, one line each: `cyan.toml:7: field: problem; remedy`.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.errors.iter().map(|error| self.headline(error, &error.sentence))
    }

    /// The errors for programs, in the order of the file.
    pub fn findings(&self) -> Vec<Finding> {
        self.errors.iter().map(|error| self.finding(error)).collect()
    }

    fn finding(&self, error: &ConfigError) -> Finding {
        let line = self.source.line(&error.place.span);
        let before = line.text.get(..line.marked.start).unwrap_or_default();
        let is_placed = error.place.span != (0..0);
        let (problem, remedy) = parts(&error.sentence);
        Finding {
            file: self.source.name().to_owned(),
            line: is_placed.then_some(line.number),
            column: is_placed.then(|| before.chars().count() + 1),
            field: Some(error.place.field.clone()).filter(|field| !field.is_empty()),
            problem: problem.to_owned(),
            remedy: remedy.map(str::to_owned),
        }
    }

    /// The errors with the lines they are about, as a compiler shows them.
    pub fn render_excerpts(&self) -> String {
        let blocks = self.errors.iter().map(|error| self.block(error));
        blocks.chain([self.summary()]).collect::<Vec<_>>().join("\n")
    }

    fn headline(&self, error: &ConfigError, sentence: &str) -> String {
        let line = self.source.line(&error.place.span).number;
        let position = match self.source.argument(line) {
            Some(argument) => return format!("{argument}: {sentence}"),
            None => format!("{}:{line}", self.source.name()),
        };
        match error.place.field.as_str() {
            "" => format!("{position}: {sentence}"),
            field => format!("{position}: {field}: {sentence}"),
        }
    }

    fn block(&self, error: &ConfigError) -> String {
        let (problem, hint) = parts(&error.sentence);
        let mut lines = vec![self.headline(error, problem)];
        lines.extend(error.related.iter().map(|span| self.excerpt(span)));
        if error.place.span != (0..0) {
            lines.push(self.excerpt(&error.place.span));
            lines.push(carets(&self.source.line(&error.place.span)));
        }
        lines.extend(hint.map(|hint| format!("hint: {hint}")));
        lines.join("\n")
    }

    fn excerpt(&self, span: &Range<usize>) -> String {
        let line = self.source.line(span);
        let begin = span.start.saturating_sub(line.marked.start);
        let is_hidden = |at: usize| self.hidden.iter().any(|hidden| hidden.contains(&(begin + at)));
        let shown = line.text.char_indices().take(EXCERPT_CHARS_MAX);
        let shown: String =
            shown.map(|(at, c)| if is_hidden(at) { '*' } else { plain(c) }).collect();
        format!("{:>5} | {}", line.number, shown.trim_end())
    }

    fn summary(&self) -> String {
        match self.errors.len() {
            1 => "1 error; nothing was changed".to_owned(),
            count => format!("{count} errors; nothing was changed"),
        }
    }
}

/// What is wrong, and what follows the last semicolon: what to write instead.
fn parts(sentence: &str) -> (&str, Option<&str>) {
    sentence.rsplit_once("; ").map_or((sentence, None), |(problem, hint)| (problem, Some(hint)))
}

/// Marks the part of the line that is meant.
fn carets(line: &Line<'_>) -> String {
    let chars = |range: Range<usize>| line.text.get(range).map_or(0, |text| text.chars().count());
    let before = chars(0..line.marked.start).min(EXCERPT_CHARS_MAX);
    let marked = chars(line.marked.clone()).clamp(1, EXCERPT_CHARS_MAX);
    format!("      | {}{}", " ".repeat(before), "^".repeat(marked))
}

/// Control characters could move the cursor or the carets.
fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))?;
        f.write_str(&self.summary())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(span: Range<usize>, sentence: &str, related: Vec<Range<usize>>) -> ConfigError {
        let place = Place { field: "green.weight".into(), span };
        ConfigError { place, sentence: sentence.into(), related }
    }

    #[test]
    fn errors_read_in_the_order_of_the_file_and_one_line_each() {
        let source = Source::new("cyan.toml", "a = 1\nb = 2\n");
        let errors = vec![error(10..11, "late; mend it", vec![]), error(4..5, "early", vec![])];
        let errors = ConfigErrors::new(source, errors, vec![]);
        assert_eq!(
            errors.to_string(),
            "cyan.toml:1: green.weight: early\n\
             cyan.toml:2: green.weight: late; mend it\n\
             2 errors; nothing was changed"
        );
    }

    #[test]
    fn excerpts_show_lines_carets_and_hint() {
        let source = Source::new("cyan.toml", "weight = 75 # blue\n\nweight = 35\n");
        let sum = error(29..31, "75 + 35 = 110, must be 100; write 25", vec![9..11, 0..6]);
        let errors = ConfigErrors::new(source, vec![sum], vec![]);
        assert_eq!(
            errors.render_excerpts(),
            "cyan.toml:3: green.weight: 75 + 35 = 110, must be 100\n    \
             1 | weight = 75 # blue\n    \
             1 | weight = 75 # blue\n    \
             3 | weight = 35\n      \
             |          ^^\n\
             hint: write 25\n\
             1 error; nothing was changed"
        );
    }

    #[test]
    fn a_finding_has_its_place_and_its_remedy_apart() {
        let source = Source::new("cyan.toml", "ä = { weight = 35 }\n");
        let sum = error(16..18, "75 + 35 = 110, must be 100; write 25", vec![]);
        let errors = ConfigErrors::new(source, vec![sum], vec![]);
        let finding = Finding {
            file: "cyan.toml".into(),
            line: Some(1),
            column: Some(16),
            field: Some("green.weight".into()),
            problem: "75 + 35 = 110, must be 100".into(),
            remedy: Some("write 25".into()),
        };
        assert_eq!(errors.findings(), [finding]);
        let whole = ConfigErrors::of_file("cyan.toml", "cannot be read".into()).findings();
        assert_eq!((whole[0].line, whole[0].column, &whole[0].field), (None, None, &None));
    }

    #[test]
    fn secrets_are_covered_in_excerpts() {
        let source = Source::new("cyan.toml", "x = { a = \"hunter2\", b = 1 }");
        let other = error(25..26, "wrong", vec![]);
        let errors = ConfigErrors::new(source, vec![other], vec![10..19, 0..0]);
        let rendered = errors.render_excerpts();
        assert!(rendered.contains("x = { a = *********, b = 1 }"), "{rendered}");
    }
}
