//! `[service.NAME.rollout.quality]`: the quality gate. The table switches it on by standing there.

use std::sync::Arc;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::access_log::read_share;
use super::environment::one_of;
use crate::model::argv::Argv;
use crate::model::name::Name;
use crate::model::plan::quality::{
    EvaluationSpec, QualitySpec, ResultFormat, ScoresSpec, THRESHOLD, TIMEOUT,
};
use crate::model::score::{self, Score};
use crate::model::service::ForceRule;

const CASES_MOST: u32 = 1_000_000;

/// The gate of the service with this rule for forcing; `None` when the table is not written, or has
/// nothing that could be asked.
pub(super) fn read(section: &Section<'_>, force: Option<&ForceRule>) -> Option<Arc<QualitySpec>> {
    let threshold = read_share(section, "threshold").unwrap_or(THRESHOLD);
    let evaluation = read_evaluation(section, force);
    let scores = read_scores(section);
    if !section.is_written() {
        return None;
    }
    if !section.has("exec") && !section.has("scores_min") {
        let sentence =
            "asks for nothing; write exec = [\"python3\", \"evaluate.py\"] or scores_min = 40";
        section.reader.error(&section.place, sentence);
    }
    let threshold = Score::new(threshold).ok()?;
    (evaluation.is_some() || scores.is_some())
        .then(|| Arc::new(QualitySpec { threshold, evaluation, scores }))
}

fn read_evaluation(section: &Section<'_>, force: Option<&ForceRule>) -> Option<EvaluationSpec> {
    let timeout = section.duration("timeout", TIMEOUT);
    let format =
        one_of(section, "format", &ResultFormat::ALL.map(|format| (format.name(), format)));
    let result_file = section.value("result_file", Kind::Path).and_then(|value| value.path());
    let cases_min = section.whole("cases_min", 1..=CASES_MOST).unwrap_or(1);
    let exec = read_exec(section)?;
    if force.is_none() {
        let sentence = "could not reach a candidate; write force.trusted = [\"127.0.0.1\"], or \
                        force.secret, so that its requests may name one";
        section.reader.error(&section.place_of("exec"), sentence);
    }
    Some(EvaluationSpec { exec, timeout, format, result_file, cases_min })
}

fn read_exec(section: &Section<'_>) -> Option<Argv> {
    let value = section.value("exec", Kind::Texts)?;
    let is_empty = value.is_empty_list();
    let words: Vec<String> = value.texts().into_iter().map(|(_, word)| word).collect();
    if words.is_empty() && !is_empty {
        return None; // texts that are none have been reported already
    }
    Argv::try_from(words).map_err(|error| value.error(error)).ok()
}

fn read_scores(section: &Section<'_>) -> Option<ScoresSpec> {
    let name = section.parsed::<String>("score").and_then(|text| {
        let name = Name::new(&text);
        name.map_err(|error| section.reader.error(&section.place_of("score"), error)).ok()
    });
    let count_min = section.whole("scores_min", 1..=CASES_MOST)?;
    Some(ScoresSpec { name: name.unwrap_or_else(score::quality), count_min })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{service, service_errors};
    use super::*;

    #[test]
    fn the_table_switches_it_on() {
        assert_eq!(service("").quality, None);
        let trusted = "force.trusted = '127.0.0.1'";
        let written =
            service(&format!("{trusted}\nrollout.quality.exec = ['python3', 'a b']")).quality;
        let quality = written.unwrap();
        assert!(
            (quality.threshold.value() - 0.85).abs() < f64::EPSILON && quality.scores.is_none()
        );
        let evaluation = quality.evaluation.as_ref().unwrap();
        assert_eq!(evaluation.exec.arguments(), ["a b"]);
        assert_eq!((evaluation.timeout, evaluation.format), (TIMEOUT, ResultFormat::Auto));
        assert_eq!((evaluation.cases_min, &evaluation.result_file), (1, &None));
        let scores = service("rollout.quality.scores_min = 40").quality.unwrap();
        assert_eq!(scores.evaluation, None);
        assert_eq!(scores.scores, Some(ScoresSpec { name: score::quality(), count_min: 40 }));
    }

    #[test]
    fn a_gate_that_cannot_ask_is_refused() {
        for (text, expected) in [
            (
                "rollout.quality.threshold = 0.9",
                "rollout.quality: asks for nothing; write exec = [\"python3\", \"evaluate.py\"] or scores_min = 40",
            ),
            (
                "rollout.quality.exec = 'evaluate'",
                "rollout.quality.exec: could not reach a candidate; write force.trusted = [\"127.0.0.1\"], or force.secret, so that its requests may name one",
            ),
            (
                "rollout.quality.exec = []",
                "rollout.quality.exec: names no program; write one and its arguments, e.g. [\"python3\", \"evaluate.py\"]",
            ),
            (
                "rollout.quality = { scores_min = 1, threshold = 85 }",
                "rollout.quality.threshold: 85 is no share; write 0 to 1, e.g. 0.1 for every tenth",
            ),
            (
                "rollout.quality = { scores_min = 1, format = 'xml' }",
                "rollout.quality.format: `xml` is not known; write auto or json or pytest or junit",
            ),
            (
                "rollout.quality = { scores_min = 1, score = 'Quality' }",
                "rollout.quality.score: `Quality` is not a name; use 1 to 60 of a-z, 0-9, `-` and `_`, beginning with a letter or digit",
            ),
            (
                "rollout.quality.scores_min = 0",
                "rollout.quality.scores_min: 0 is out of range; write 1 to 1000000",
            ),
        ] {
            assert_eq!(service_errors(text), [expected]);
        }
    }
}
