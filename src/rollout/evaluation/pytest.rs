//! The report of `pytest --json-report`.
//!
//! Its summary counts by outcome. Skipped tests and those that failed as expected say nothing of the
//! candidate and are left out, as `JUnit` XML has them; an unexpected pass is a pass.

use serde::Deserialize;

use super::{Evaluation, ResultError, of_tests, quoted};
use crate::model::plan::quality::ResultFormat;

/// Exit codes of pytest with a whole report: all passed, some failed, none there.
const WHOLE: [i64; 3] = [0, 1, 5];

#[derive(Debug, Deserialize)]
struct Report {
    summary: Summary,
    exitcode: Option<i64>,
}

/// Outcomes that did not occur are left out of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    passed: u32,
    failed: u32,
    error: u32,
    skipped: u32,
    xfailed: u32,
    xpassed: u32,
}

/// Looks only for what makes it one; no value is kept.
#[derive(Debug, Deserialize)]
struct Marks {
    #[serde(rename = "summary")]
    _summary: serde::de::IgnoredAny,
    #[serde(rename = "exitcode")]
    _exitcode: serde::de::IgnoredAny,
}

/// Whether a text is such a report.
pub(super) fn is_report(text: &str) -> bool {
    serde_json::from_str::<Marks>(text).is_ok()
}

/// Reads a report.
pub(super) fn read(text: &str) -> Result<Evaluation, ResultError> {
    let Report { summary, exitcode } =
        serde_json::from_str(text).map_err(|error| ResultError::Json {
            form: "report of pytest",
            problem: error.to_string(),
            quoted: quoted(text),
        })?;
    if let Some(code) = exitcode.filter(|code| !WHOLE.contains(code)) {
        return Err(ResultError::Broken(code));
    }
    let passed = summary.passed.saturating_add(summary.xpassed);
    let failed = summary.failed.saturating_add(summary.error);
    let skipped = summary.skipped.saturating_add(summary.xfailed);
    of_tests(ResultFormat::Pytest, passed, failed, skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_once() {
        let report = |code: i64, summary: &str| {
            read(&format!(r#"{{"exitcode": {code}, "summary": {summary}, "tests": [{{}}]}}"#))
        };
        let counts = |summary| {
            report(1, summary).map(|read| (read.passed, read.cases)).map_err(|e| e.to_string())
        };
        assert_eq!(counts(r#"{"passed": 3, "total": 3, "collected": 3}"#), Ok((Some(3), 3)));
        assert_eq!(counts(r#"{"failed": 1, "error": 2, "xpassed": 1}"#), Ok((Some(1), 4)));
        assert_eq!(
            counts(r#"{"skipped": 2, "xfailed": 1}"#).unwrap_err(),
            "the result holds no test that was run, only 3 skipped ones"
        );
        assert_eq!(
            report(2, r#"{"passed": 3}"#).unwrap_err().to_string(),
            "pytest ended with exit code 2, so its report is not of a whole run"
        );
    }
}
