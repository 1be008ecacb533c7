//! What a judge says, and the one interface of the two judges.

use serde::{Deserialize, Serialize};

use super::explanation::Explanation;
use super::metric::Metric;
use super::record::{Change, TickRecord};

/// What should happen to the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", content = "why", rename_all = "snake_case")]
pub enum Decision {
    /// Nothing for now.
    Wait(Waiting),
    /// The next step may be taken.
    Advance,
    /// No further step before this is settled; somebody should look.
    Hold(HoldReason),
    /// Both fail alike since the last step: back to the weight before it.
    StepBack(Metric),
    /// Everything back to the active environment.
    RollBack(Breach),
}

impl Decision {
    /// What happens, in a word or two.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Wait(_) => "wait",
            Self::Advance => "advance",
            Self::Hold(_) => "hold",
            Self::StepBack(_) => "step back",
            Self::RollBack(_) => "roll back",
        }
    }

    /// What for, in a few words; empty where the verb says it all.
    pub fn reason(self) -> String {
        match self {
            Self::Wait(waiting) => waiting.reason().to_owned(),
            Self::Advance => String::new(),
            Self::Hold(reason) => reason.reason(),
            Self::StepBack(metric) => format!("both break the {}", metric.name()),
            Self::RollBack(Breach::Metric(metric)) => metric.name().to_owned(),
            Self::RollBack(Breach::TooLittleData) => "too little data".to_owned(),
        }
    }
}

impl Decision {
    /// Why the rollout does not go on, where numbers of the evidence do not say it; with both sides by
    /// their names.
    pub fn objection(self, active: &str, candidate: &str) -> Option<String> {
        let text = match self {
            Self::Hold(HoldReason::SharedIncident(metric)) | Self::StepBack(metric) => format!(
                "{active} and {candidate} both break the {}: going back would not help, and this time \
                 is not held against {candidate}. It ends when {active} has kept the limit for a minute.",
                metric.name()
            ),
            Self::Hold(HoldReason::Evidence(_)) => {
                "Held until the evidence has been calm for the time of a step.".to_owned()
            }
            Self::Hold(HoldReason::Split) => format!(
                "{candidate} gets other users than its share: something before Cyan chooses them, so \
                 that a comparison cannot be trusted."
            ),
            Self::Hold(HoldReason::Watched) => format!(
                "More of {candidate}'s requests than of {active}'s were limited, filtered, cut by \
                 length or given up by clients."
            ),
            Self::Hold(HoldReason::TooLittleData) => {
                "The step did not get its requests in time.".to_owned()
            }
            Self::Wait(_) | Self::Advance | Self::RollBack(_) => return None,
        };
        Some(text)
    }
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// The candidate has no users, or all of them: there is no next step.
    NoStep,
    /// Time.
    Baking,
    /// Requests of the candidate.
    Requests,
    /// Evidence to become calm.
    Evidence,
    /// The next check, or the first look at a new share: nothing new is said until then.
    Check,
}

impl Waiting {
    fn reason(self) -> &'static str {
        match self {
            Self::NoStep => "no step is next",
            Self::Baking => "for its bake time",
            Self::Requests => "for requests",
            Self::Evidence => "for evidence to calm",
            Self::Check => "for the next check",
        }
    }
}

/// Why a rollout is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Evidence, and users confirm it.
    Evidence(Metric),
    /// The active environment breaks the limit as well.
    SharedIncident(Metric),
    /// Users do not come in the share that was set.
    Split,
    /// More answers are cut, filtered or shed than on the active side.
    Watched,
    /// The step did not get its requests in time.
    TooLittleData,
}

impl HoldReason {
    fn reason(self) -> String {
        match self {
            Self::Evidence(metric) => format!("evidence on {}", metric.name()),
            Self::SharedIncident(metric) => format!("both break the {}", metric.name()),
            Self::Split => "users not as split".to_owned(),
            Self::Watched => "answers cut or shed".to_owned(),
            Self::TooLittleData => "too little data".to_owned(),
        }
    }
}

impl HoldReason {
    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Evidence(_) => "evidence",
            Self::SharedIncident(_) => "shared_incident",
            Self::Split => "split",
            Self::Watched => "watched",
            Self::TooLittleData => "too_little_data",
        }
    }

    /// Whether it ends when its cause is gone; what does not is ended by a human.
    pub fn ends_by_itself(self) -> bool {
        matches!(self, Self::Evidence(_) | Self::SharedIncident(_))
    }
}

/// What a rollback is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// This metric speaks most against the candidate.
    Metric(Metric),
    /// The plan says so when a step does not get its requests in time.
    TooLittleData,
}

/// A judge hears records and decides. It knows no time but the records'.
pub trait Judge {
    /// The candidate's share changed.
    fn change(&mut self, change: &Change);
    /// Something became known.
    fn observe(&mut self, record: &TickRecord);
    /// What should happen, as far as is known.
    fn decide(&mut self) -> Decision;
    /// The numbers behind it.
    fn explain(&self) -> Explanation;
    /// A human says: go on. What is held for now does not hold this step again.
    fn resume(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_says_what_the_evidence_does_not() {
        let objection = |decision: Decision| decision.objection("blue", "green");
        let shared = objection(Decision::StepBack(Metric::ErrorLimit)).unwrap();
        assert!(shared.starts_with("blue and green both break the error limit: "), "{shared}");
        let split = objection(Decision::Hold(HoldReason::Split)).unwrap();
        assert!(split.starts_with("green gets other users than its share"), "{split}");
        assert_eq!(objection(Decision::Advance), None);
        assert_eq!(objection(Decision::RollBack(Breach::Metric(Metric::Errors))), None);
    }
}
