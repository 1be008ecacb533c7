//! The quality gate as keys and values.

use super::{Entry, Shown, entry, free_list, optional, text, time};
use crate::model::plan::quality::QualitySpec;

pub(super) fn of_quality(quality: Option<&QualitySpec>) -> Vec<Entry> {
    let evaluation = quality.and_then(|quality| quality.evaluation.as_ref());
    let scores = quality.and_then(|quality| quality.scores.as_ref());
    let file = evaluation.and_then(|evaluation| evaluation.result_file.as_ref());
    vec![
        entry("rollout.quality.threshold", optional(quality.map(|q| q.threshold.value()))),
        entry(
            "rollout.quality.exec",
            evaluation.map_or(Shown::Nothing, |e| free_list(Vec::from(e.exec.clone()))),
        ),
        entry("rollout.quality.timeout", evaluation.map_or(Shown::Nothing, |e| time(e.timeout))),
        entry("rollout.quality.format", optional(evaluation.map(|e| e.format.name()))),
        entry("rollout.quality.result_file", optional(file.map(|file| file.display()))),
        entry("rollout.quality.cases_min", optional(evaluation.map(|e| e.cases_min))),
        entry("rollout.quality.scores_min", optional(scores.map(|s| s.count_min))),
        entry("rollout.quality.score", scores.map_or(Shown::Nothing, |s| text(&s.name))),
    ]
}
