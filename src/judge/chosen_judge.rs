//! The judge that the settings name: one value to hear, to ask and to keep, whichever it is.

use serde::{Deserialize, Serialize};

use super::decision::{Decision, Judge};
use super::evidence_judge::EvidenceJudge;
use super::explanation::Explanation;
use super::record::{Change, TickRecord};
use super::settings::Settings;
use super::window::WindowJudge;
use crate::model::plan::JudgeKind;

/// One of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenJudge {
    /// By evidence.
    Evidence(Box<EvidenceJudge>),
    /// By thresholds over the last minute.
    Window(Box<WindowJudge>),
}

impl ChosenJudge {
    /// Before the rollout starts.
    pub fn new(settings: Settings) -> Self {
        match settings.judge {
            JudgeKind::Evidence => Self::Evidence(Box::new(EvidenceJudge::new(settings))),
            JudgeKind::Window => {
                let rules = settings.window;
                Self::Window(Box::new(WindowJudge::new(settings, rules)))
            }
        }
    }

    fn judge(&self) -> &dyn Judge {
        match self {
            Self::Evidence(judge) => judge.as_ref(),
            Self::Window(judge) => judge.as_ref(),
        }
    }

    fn judge_mut(&mut self) -> &mut dyn Judge {
        match self {
            Self::Evidence(judge) => judge.as_mut(),
            Self::Window(judge) => judge.as_mut(),
        }
    }
}

impl Judge for ChosenJudge {
    fn change(&mut self, change: &Change) {
        self.judge_mut().change(change);
    }

    fn observe(&mut self, record: &TickRecord) {
        self.judge_mut().observe(record);
    }

    fn decide(&mut self) -> Decision {
        self.judge_mut().decide()
    }

    fn explain(&self) -> Explanation {
        self.judge().explain()
    }

    fn resume(&mut self) {
        self.judge_mut().resume();
    }
}
