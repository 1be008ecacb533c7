//! Reads the result of an evaluation: plain JSON, a report of pytest, or `JUnit` XML.
//!
//! One reader for the gate and for `cyan score`, so that both call the same file the same. What cannot
//! be read is quoted: whoever has to mend an evaluation sees what it said instead. Pure; how long a text
//! may be is decided by whoever reads it, and `BYTES_MAX` is the most that should be.

mod junit;
mod plain;
mod pytest;

use serde::{Deserialize, Serialize};

use crate::model::plan::quality::ResultFormat;
use crate::model::printable::printable;
use crate::model::score::{Score, ScoreError};

/// Most bytes of a result: a report of pytest with what 10 000 tests printed.
pub const BYTES_MAX: usize = 32 << 20;
/// Characters of a result that are quoted.
const QUOTED_CHARS_MAX: usize = 80;

/// What an evaluation found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evaluation {
    /// The form it was read as; never `Auto`.
    pub format: ResultFormat,
    /// The score: of tests, the share that passed.
    pub score: Score,
    /// Cases behind it; 1 where the result does not say.
    pub cases: u32,
    /// Those that passed, where the result says.
    pub passed: Option<u32>,
}

/// Why a result cannot be read. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResultError {
    /// Nothing at all.
    #[error("the result is empty; print {{\"score\": 0.87}}, or name the file that holds it")]
    Empty,
    /// Bytes that are no text.
    #[error("the result is not UTF-8: {0}")]
    NotText(String),
    /// Neither of the forms.
    #[error("the result is neither JSON nor JUnit XML: {0}")]
    Garbage(String),
    /// Broken JSON, or JSON of another form.
    #[error("the result is no {form}: {problem}: {quoted}")]
    Json {
        /// What was expected.
        form: &'static str,
        /// What the parser said.
        problem: String,
        /// The beginning of it.
        quoted: String,
    },
    /// JSON without a number that could be a score.
    #[error("the result has no `score`: {0}; print {{\"score\": 0.87}}, or `passed` and `total`")]
    NoScore(String),
    /// Broken XML.
    #[error("the result is no JUnit XML: {0}")]
    Xml(String),
    /// A number that is no score.
    #[error("the result's score: {0}")]
    Score(#[from] ScoreError),
    /// Counts that contradict each other.
    #[error("the result says that {passed} of {total} passed; `passed` must not be above the rest")]
    Counts {
        /// Those that passed.
        passed: u32,
        /// All.
        total: u32,
    },
    /// No test was run.
    #[error("the result holds no test that was run, only {skipped} skipped ones")]
    NothingRan {
        /// Skipped, or failed as expected.
        skipped: u32,
    },
    /// Pytest did not come to its end.
    #[error("pytest ended with exit code {0}, so its report is not of a whole run")]
    Broken(i64),
}

/// Reads a result of a form.
///
/// # Errors
/// When it is not of that form, or says nothing of a score.
pub fn read(bytes: &[u8], format: ResultFormat) -> Result<Evaluation, ResultError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').trim(),
        Err(_) => return Err(ResultError::NotText(quoted(&String::from_utf8_lossy(bytes)))),
    };
    if text.is_empty() {
        return Err(ResultError::Empty);
    }
    match format {
        ResultFormat::Json => plain::read(text),
        ResultFormat::Pytest => pytest::read(text),
        ResultFormat::Junit => junit::read(text),
        ResultFormat::Auto if text.starts_with('<') => junit::read(text),
        ResultFormat::Auto if pytest::is_report(text) => pytest::read(text),
        ResultFormat::Auto if text.contains('{') => plain::read(text),
        ResultFormat::Auto => Err(ResultError::Garbage(quoted(text))),
    }
}

/// The result of tests: the share of those that ran and passed.
fn of_tests(
    format: ResultFormat,
    passed: u32,
    failed: u32,
    skipped: u32,
) -> Result<Evaluation, ResultError> {
    let cases = passed.saturating_add(failed);
    if cases == 0 {
        return Err(ResultError::NothingRan { skipped });
    }
    let score = Score::new(f64::from(passed) / f64::from(cases))?;
    Ok(Evaluation { format, score, cases, passed: Some(passed) })
}

/// The beginning of a text in backticks, on one line.
fn quoted(text: &str) -> String {
    let text = text.trim();
    let mut begin: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if begin.len() < text.len() {
        begin.push('…');
    }
    format!("`{}`", printable(&begin.replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTEST: &str = include_str!("../../tests/evaluations/pytest-report.json");
    const JUNIT: &str = include_str!("../../tests/evaluations/junit.xml");

    #[test]
    fn what_pytest_wrote_is_read_alike_in_both_forms() {
        for (text, format) in [(PYTEST, ResultFormat::Pytest), (JUNIT, ResultFormat::Junit)] {
            let expected =
                Evaluation { format, score: Score::new(0.8).unwrap(), cases: 10, passed: Some(8) };
            assert_eq!(read(text.as_bytes(), ResultFormat::Auto), Ok(expected));
            assert_eq!(read(text.as_bytes(), format), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_read_is_quoted() {
        let long = "x".repeat(1_000);
        let cut = format!("the result is neither JSON nor JUnit XML: `{}…`", "x".repeat(80));
        for (bytes, format, expected) in [
            (
                &b" \n"[..],
                ResultFormat::Auto,
                "the result is empty; print {\"score\": 0.87}, or name the file that holds it",
            ),
            (
                b"Traceback (most recent call last):\n  File \x1b[1m",
                ResultFormat::Auto,
                "the result is neither JSON nor JUnit XML: `Traceback (most recent call last):   File \\u001b[1m`",
            ),
            (long.as_bytes(), ResultFormat::Auto, &cut),
            (
                b"\xff\xfe0.87",
                ResultFormat::Auto,
                "the result is not UTF-8: `\u{fffd}\u{fffd}0.87`",
            ),
            (b"0.87", ResultFormat::Auto, "the result is neither JSON nor JUnit XML: `0.87`"),
            (&JUNIT.as_bytes()[..200], ResultFormat::Auto, "the result is no JUnit XML: "),
            (
                b"{}",
                ResultFormat::Pytest,
                "the result is no report of pytest: missing field `summary`",
            ),
            (b"{}", ResultFormat::Junit, "the result is no JUnit XML: "),
            (
                JUNIT.as_bytes(),
                ResultFormat::Json,
                "the result is no JSON: expected value at line 1 column 1: `<?xml ",
            ),
        ] {
            let error = read(bytes, format).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(error.chars().count() < 300, "{error}");
        }
    }
}
