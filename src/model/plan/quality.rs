//! The quality gate: what a candidate's answers must be worth before users get any.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::argv::Argv;
use crate::model::name::Name;
use crate::model::score::Score;

/// Share of good answers that is asked for when nobody says otherwise.
pub const THRESHOLD: f64 = 0.85;
/// How long an evaluation may take when nobody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// A gate: everything in it must reach the threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualitySpec {
    /// The least score that passes.
    pub threshold: Score,
    /// An evaluation that Cyan runs.
    pub evaluation: Option<EvaluationSpec>,
    /// Scores that somebody sends to the API.
    pub scores: Option<ScoresSpec>,
}

/// A program that asks the candidate and judges its answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSpec {
    /// What is run.
    pub exec: Argv,
    /// How long it may take.
    pub timeout: Duration,
    /// What its result is.
    pub format: ResultFormat,
    /// The file that it writes its result to; `None` for standard output.
    pub result_file: Option<PathBuf>,
    /// Cases without which a result says too little.
    pub cases_min: u32,
}

/// Scores that came in within the last hour, of the environment's present version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoresSpec {
    /// Which scores.
    pub name: Name,
    /// How many there must be. Their mean has to reach the threshold.
    pub count_min: u32,
}

/// The forms of a result.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ResultFormat {
    /// Any of the others, by what it looks like.
    #[default]
    Auto,
    /// `{"score": 0.87}`
    Json,
    /// The report of `pytest --json-report`.
    Pytest,
    /// `JUnit` XML.
    Junit,
}

impl ResultFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Json, Self::Pytest, Self::Junit];

    /// As in the config and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Pytest => "pytest",
            Self::Junit => "junit",
        }
    }
}
