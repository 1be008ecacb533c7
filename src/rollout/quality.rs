//! Decides whether a candidate's answers are good enough, and says so with the numbers.
//!
//! Pure. An evaluation may have failed in many ways by then; each is a reason in words, and a gate that
//! learned nothing is not passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::evaluation::Evaluation;
use super::gate::GateReport;
use crate::model::name::Name;
use crate::model::plan::quality::QualitySpec;
use crate::model::score::Score;

/// How a gate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QualityOutcome {
    /// Everything reached the threshold.
    Passed,
    /// Something was measured, and it is too low.
    TooLow,
    /// There are too few cases or scores to say.
    TooFew,
    /// The evaluation did not come to a result.
    NoResult,
}

/// An evaluation that was run.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// What it found, or why nobody knows.
    pub result: Result<Evaluation, String>,
    /// How long it took.
    pub took: Duration,
}

/// Scores that had come in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoresSeen {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: Option<f64>,
}

/// What a gate found. Its fields are those of the admin API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct QualityReport {
    /// How it ended.
    pub outcome: QualityOutcome,
    /// One sentence for people, with the numbers.
    pub explanation: String,
    /// The least score that passes.
    pub threshold: Score,
    /// The evaluation, if one was asked for.
    pub evaluation: Option<EvaluationReport>,
    /// The scores, if they were asked for.
    pub scores: Option<ScoresReport>,
}

/// An evaluation in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EvaluationReport {
    /// What it found; null when nobody knows.
    pub result: Option<Evaluation>,
    /// Cases that are needed.
    pub cases_min: u32,
    /// Why nobody knows.
    pub problem: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// Scores in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScoresReport {
    /// Which scores.
    pub name: Name,
    /// How many came in within the last hour.
    pub count: u64,
    /// Scores that are needed.
    pub count_min: u32,
    /// Their mean.
    pub mean: Option<f64>,
}

impl QualityReport {
    /// Judges what was found by what was asked for. A score exactly at the threshold passes.
    pub fn judge(spec: &QualitySpec, evaluated: Option<&Evaluated>, seen: ScoresSeen) -> Self {
        let evaluation =
            spec.evaluation.as_ref().zip(evaluated).map(|(asked, evaluated)| EvaluationReport {
                result: evaluated.result.as_ref().ok().copied(),
                cases_min: asked.cases_min,
                problem: evaluated.result.as_ref().err().cloned(),
                took_ms: u64::try_from(evaluated.took.as_millis()).unwrap_or(u64::MAX),
            });
        let scores = spec.scores.as_ref().map(|asked| ScoresReport {
            name: asked.name.clone(),
            count: seen.count,
            count_min: asked.count_min,
            mean: seen.mean,
        });
        let parts = [
            evaluation.as_ref().map(|evaluation| evaluation.judge(spec.threshold)),
            scores.as_ref().map(|scores| scores.judge(spec.threshold)),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let worst = parts.iter().map(|(outcome, _)| *outcome).max_by_key(|outcome| outcome.rank());
        let words: Vec<_> = parts.into_iter().map(|(_, words)| words).collect();
        Self {
            // A gate that asks for nothing cannot be written; should there be one, it stops nobody.
            outcome: worst.unwrap_or(QualityOutcome::Passed),
            explanation: words.join("; "),
            threshold: spec.threshold,
            evaluation,
            scores,
        }
    }

    /// Whether the rollout may go on.
    pub fn is_passed(&self) -> bool {
        self.outcome == QualityOutcome::Passed
    }

    /// The report as any gate's.
    pub fn gate(&self) -> GateReport {
        let sentence = format!("quality: {}", self.explanation);
        GateReport { passed: self.is_passed(), sentence, details: json!(self) }
    }
}

impl QualityOutcome {
    /// The worse, the higher: what is known to be bad counts more than what is not known.
    const fn rank(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::TooFew => 1,
            Self::NoResult => 2,
            Self::TooLow => 3,
        }
    }
}

impl EvaluationReport {
    fn judge(&self, threshold: Score) -> (QualityOutcome, String) {
        let Some(Evaluation { score, cases, passed, .. }) = self.result else {
            let problem = self.problem.as_deref().unwrap_or("it was not run");
            return (QualityOutcome::NoResult, format!("the evaluation has no result: {problem}"));
        };
        let found = match passed {
            Some(passed) => format!("{score}, {passed} of {cases} cases passed"),
            None if cases == 1 => format!("{score} over 1 case"),
            None => format!("{score} over {cases} cases"),
        };
        if cases < self.cases_min {
            let words = format!("{found}, at least {} cases needed", self.cases_min);
            return (QualityOutcome::TooFew, words);
        }
        let outcome =
            if score >= threshold { QualityOutcome::Passed } else { QualityOutcome::TooLow };
        (outcome, format!("{found}, {threshold} needed"))
    }
}

impl ScoresReport {
    fn judge(&self, threshold: Score) -> (QualityOutcome, String) {
        let Self { name, count, count_min, mean } = self;
        let mean = mean.and_then(|mean| Score::new(mean).ok());
        let found =
            mean.map_or("no scores".to_owned(), |mean| format!("{mean} over {count} scores"));
        let found = if name.as_str() == "quality" { found } else { format!("{name} {found}") };
        match mean {
            Some(mean) if *count >= u64::from(*count_min) => {
                let passed = mean >= threshold;
                let outcome = if passed { QualityOutcome::Passed } else { QualityOutcome::TooLow };
                (outcome, format!("{found} of the last hour, {threshold} needed"))
            }
            _ => {
                let words = format!("{found} within the last hour, at least {count_min} needed");
                (QualityOutcome::TooFew, words)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use QualityOutcome::{NoResult, Passed, TooFew, TooLow};

    use super::*;
    use crate::model::argv::Argv;
    use crate::model::plan::quality::{EvaluationSpec, ResultFormat, ScoresSpec, TIMEOUT};
    use crate::model::score::quality;

    fn spec(cases_min: Option<u32>, count_min: Option<u32>) -> QualitySpec {
        let exec = Argv::try_from(vec!["evaluate".to_owned()]).unwrap();
        QualitySpec {
            threshold: Score::new(0.85).unwrap(),
            evaluation: cases_min.map(|cases_min| EvaluationSpec {
                exec,
                timeout: TIMEOUT,
                format: ResultFormat::Auto,
                result_file: None,
                cases_min,
            }),
            scores: count_min.map(|count_min| ScoresSpec { name: quality(), count_min }),
        }
    }

    fn found(score: f64, cases: u32, passed: Option<u32>) -> Evaluation {
        let score = Score::new(score).unwrap();
        Evaluation { format: ResultFormat::Json, score, cases, passed }
    }

    #[test]
    fn an_evaluation_passes_at_the_threshold_with_enough_cases() {
        for (result, outcome, words) in [
            (Ok(found(0.91, 40, None)), Passed, "0.91 over 40 cases, 0.85 needed"),
            (Ok(found(0.85, 20, Some(17))), Passed, "0.85, 17 of 20 cases passed, 0.85 needed"),
            (Ok(found(0.849_999, 40, None)), TooLow, "0.849 over 40 cases, 0.85 needed"),
            (Ok(found(0.4, 20, Some(8))), TooLow, "0.40, 8 of 20 cases passed, 0.85 needed"),
            (Ok(found(1.0, 19, None)), TooFew, "1.00 over 19 cases, at least 20 cases needed"),
            (Ok(found(0.0, 1, None)), TooFew, "0.00 over 1 case, at least 20 cases needed"),
            (Err("it is late".to_owned()), NoResult, "the evaluation has no result: it is late"),
        ] {
            let evaluated = Evaluated { result, took: Duration::from_millis(1_500) };
            let none = ScoresSeen { count: 0, mean: None };
            let report = QualityReport::judge(&spec(Some(20), None), Some(&evaluated), none);
            assert_eq!((report.outcome, report.explanation.as_str()), (outcome, words));
            assert_eq!(report.gate().passed, outcome == Passed);
            assert_eq!(report.gate().sentence, format!("quality: {words}"));
        }
    }

    #[test]
    fn scores_pass_by_their_mean_when_there_are_enough() {
        for (count, mean, outcome, words) in [
            (40, Some(0.9), Passed, "0.90 over 40 scores of the last hour, 0.85 needed"),
            (40, Some(0.6), TooLow, "0.60 over 40 scores of the last hour, 0.85 needed"),
            (19, Some(0.9), TooFew, "0.90 over 19 scores within the last hour, at least 20 needed"),
            (0, None, TooFew, "no scores within the last hour, at least 20 needed"),
        ] {
            let report =
                QualityReport::judge(&spec(None, Some(20)), None, ScoresSeen { count, mean });
            assert_eq!((report.outcome, report.explanation.as_str()), (outcome, words));
        }
    }

    #[test]
    fn of_both_the_worse_decides() {
        let judge = |result, count| {
            let evaluated = Evaluated { result, took: Duration::ZERO };
            let seen = ScoresSeen { count, mean: Some(0.9) };
            QualityReport::judge(&spec(Some(1), Some(20)), Some(&evaluated), seen)
        };
        assert_eq!(judge(Ok(found(0.9, 1, None)), 20).outcome, Passed);
        assert_eq!(judge(Ok(found(0.9, 1, None)), 2).outcome, TooFew);
        assert_eq!(judge(Err("late".into()), 2).outcome, NoResult);
        let low = judge(Ok(found(0.1, 1, None)), 2);
        assert_eq!(low.outcome, TooLow);
        assert_eq!(
            low.explanation,
            "0.10 over 1 case, 0.85 needed; \
             0.90 over 2 scores within the last hour, at least 20 needed"
        );
        let json = serde_json::to_value(&low).unwrap();
        assert_eq!(json["outcome"], "too_low");
        assert_eq!(json["evaluation"]["result"]["cases"], 1);
    }
}
