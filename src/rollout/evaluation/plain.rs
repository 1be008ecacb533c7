//! `{"score": 0.87}`, with `n`, `passed` and `total` where they are known.
//!
//! Programs print their progress too, so what is read is the whole text or, if that is no JSON, its last
//! line.

use serde::Deserialize;

use super::{Evaluation, ResultError, quoted};
use crate::model::plan::quality::ResultFormat;
use crate::model::score::Score;

/// Other fields may stand there; they are the program's own.
#[derive(Debug, Deserialize)]
struct Plain {
    score: Option<f64>,
    n: Option<u32>,
    passed: Option<u32>,
    total: Option<u32>,
}

/// Reads a plain result.
pub(super) fn read(text: &str) -> Result<Evaluation, ResultError> {
    let plain = parse(text)?;
    if let (Some(passed), Some(total)) = (plain.passed, plain.total)
        && passed > total
    {
        return Err(ResultError::Counts { passed, total });
    }
    let score = match (plain.score, plain.passed, plain.total.or(plain.n)) {
        (Some(score), _, _) => score,
        (None, Some(passed), Some(total)) if total > 0 => f64::from(passed) / f64::from(total),
        (None, Some(_), Some(_)) => return Err(ResultError::NothingRan { skipped: 0 }),
        _ => return Err(ResultError::NoScore(quoted(text))),
    };
    Ok(Evaluation {
        format: ResultFormat::Json,
        score: Score::new(score)?,
        cases: plain.n.or(plain.total).unwrap_or(1),
        passed: plain.passed,
    })
}

fn parse(text: &str) -> Result<Plain, ResultError> {
    let whole = serde_json::from_str(text);
    let last_line = || text.lines().next_back().filter(|line| line.starts_with('{'));
    match (whole, last_line()) {
        (Ok(plain), _) => Ok(plain),
        (Err(error), line) => {
            let read = line.and_then(|line| serde_json::from_str(line).ok());
            read.ok_or_else(|| ResultError::Json {
                form: "JSON",
                problem: error.to_string(),
                quoted: quoted(text),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_with_what_stands_behind_them() {
        for (text, score, cases, passed) in [
            (r#"{"score": 0.87}"#, 0.87, 1, None),
            (r#"{"score": 0.87, "n": 40}"#, 0.87, 40, None),
            (r#"{"score": 1, "total": 3, "passed": 3, "model": {"name": "x"}}"#, 1.0, 3, Some(3)),
            (r#"{"passed": 9, "total": 10}"#, 0.9, 10, Some(9)),
            (r#"{"passed": 9, "n": 10}"#, 0.9, 10, Some(9)),
            ("asking 40 questions {a}\n...\n{\"score\": 0.5, \"n\": 40}", 0.5, 40, None),
            ("{\n  \"score\": 0.5\n}", 0.5, 1, None),
        ] {
            let expected = Evaluation {
                format: ResultFormat::Json,
                score: Score::new(score).unwrap(),
                cases,
                passed,
            };
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_says_no_score_is_refused() {
        for (text, expected) in [
            (r#"{"accuracy": 0.87}"#, "the result has no `score`: `{\"accuracy\": 0.87}`; print"),
            (r#"{"score": 87}"#, "the result's score: 87 is no score; send a number from 0 to 1"),
            (r#"{"score": "0.87"}"#, "the result is no JSON: invalid type: string \"0.87\""),
            (r#"{"score": 0.87"#, "the result is no JSON: EOF while parsing an object"),
            (r#"{"score": 1e999}"#, "the result is no JSON: number out of range"),
            (r#"{"score": 0.5, "n": -1}"#, "the result is no JSON: invalid value: integer `-1`"),
            (r#"{"passed": 4, "total": 3}"#, "the result says that 4 of 3 passed"),
            (r#"{"passed": 0, "total": 0}"#, "the result holds no test that was run"),
            (r#"[{"score": 0.5}]"#, "the result is no JSON: invalid type: map, expected f64"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{{\"x\": {}", "[".repeat(100_000));
        assert!(matches!(read(&deep), Err(ResultError::Json { .. })));
    }
}
