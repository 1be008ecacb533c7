//! What the number against a candidate says, in words.

use serde::Serialize;

use super::super::api::rollout::Rollout;
use crate::judge::explanation::number;

/// What the number is and is not.
const MEANING: &str = "It is not a chance that the candidate is bad, and not a score. It is what a gambler who \
    bets that the candidate is worse has made of one coin; looking often does not help him. If the candidate is \
    no worse, at most 1 rollout in 100 ever reaches 100. It counts requests as if users were alike; so before a \
    hold or a rollback Cyan also counts each user's first error.";

/// The number in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::admin) struct Said {
    /// `Evidence against green: 1.4 of 100`; none while there is no number.
    number: Option<String>,
    /// In which band it lies, or why there is no number.
    band: String,
    meaning: &'static str,
}

/// Says what `value` means for this rollout.
pub(in crate::admin) fn said(rollout: &Rollout, value: Option<f64>) -> Said {
    let judge = rollout.judge.as_ref();
    let Some(value) = value else {
        let why = if rollout.is_over() {
            "It is over: nobody judges any more."
        } else {
            "Nobody judges yet: no user has met it."
        };
        let band = judge.map_or(why, |judge| judge.text.as_str()).to_owned();
        return Said { number: None, band, meaning: MEANING };
    };
    let is_held = rollout.held_by.as_deref() == Some("evidence");
    let band = match value {
        _ if rollout.stage == "rolled_back" => "Rolled back.".to_owned(),
        _ if is_held => "Held.".to_owned(),
        e if e < 1.0 => format!("Nothing speaks against {}.", rollout.candidate),
        e if e < 5.0 => "No more than chance.".to_owned(),
        e if e < 20.0 => "Worth watching; the step waits for less than 5.".to_owned(),
        e if e < 100.0 => "It is held once users confirm it.".to_owned(),
        _ => "It goes back once users confirm it.".to_owned(),
    };
    let number = format!("Evidence against {}: {} of 100", rollout.candidate, number(value));
    Said { number: Some(number), band, meaning: MEANING }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(stage: &str, held_by: Option<&str>) -> Rollout {
        serde_json::from_value(json!({
            "schema": 1, "id": 3, "service": "chat", "generation": 7, "candidate": "green",
            "base": "blue", "version": null, "plan": "default", "steps": [], "stage": stage,
            "place": "", "share_percent": 25.0, "next_percent": null, "waits_for": [],
            "in_stage_s": 1, "observed_s": 1, "started_by": "", "started_at": "", "paused": null,
            "held": null, "held_by": held_by, "needs_somebody": false, "frozen": null,
            "cause": null, "unarmed": [], "judge": null,
        }))
        .unwrap()
    }

    #[test]
    fn each_band_has_its_words() {
        for (value, stage, held_by, band) in [
            (Some(0.4), "ramp", None, "Nothing speaks against green."),
            (Some(1.4), "ramp", None, "No more than chance."),
            (Some(5.0), "ramp", None, "Worth watching; the step waits for less than 5."),
            (Some(37.0), "ramp", None, "It is held once users confirm it."),
            (Some(37.0), "ramp", Some("evidence"), "Held."),
            (Some(140.0), "ramp", None, "It goes back once users confirm it."),
            (Some(140.0), "rolled_back", None, "Rolled back."),
            (None, "smoke", None, "Nobody judges yet: no user has met it."),
            (None, "done", None, "It is over: nobody judges any more."),
        ] {
            let said = said(&rollout(stage, held_by), value);
            assert_eq!(said.band, band, "{value:?} {stage}");
            assert_eq!(said.number.is_some(), value.is_some());
        }
        let number = said(&rollout("ramp", None), Some(1.44)).number;
        assert_eq!(number.as_deref(), Some("Evidence against green: 1.4 of 100"));
    }
}
