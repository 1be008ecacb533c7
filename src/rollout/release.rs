//! What the store keeps of a service's releases.

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::value::Rollout;
use crate::model::rfc3339;

/// The last rollout, what came before it, and whether any may go on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// The last rollout, over or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Box<Rollout>>,
    /// Versions that were rolled back.
    pub attempts: Attempts,
    /// No automatic step while this holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// A switch against automatic steps. Going back stays automatic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Who set it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// Until when, in milliseconds of Unix time; `None` until somebody lifts it.
    pub until_ms: Option<u64>,
}

impl Release {
    /// The rollout under way.
    pub fn running(&self) -> Option<&Rollout> {
        self.rollout.as_deref().filter(|rollout| !rollout.stage.is_over())
    }

    /// Why no automatic step may be taken now.
    pub fn frozen(&self, unix_ms: u64) -> Option<String> {
        let freeze = self.freeze.as_ref()?;
        let holds = freeze.until_ms.is_none_or(|until| unix_ms < until);
        let until = freeze.until_ms.map(|until| format!(", until {}", rfc3339::format(until)));
        let until = until.unwrap_or_default();
        holds.then(|| format!("{} ({}{until})", freeze.reason, freeze.by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_holds_until_it_ends() {
        let freeze = |until_ms| Release {
            freeze: Some(Freeze { by: "cli:ana".into(), reason: "weekend".into(), until_ms }),
            ..Release::default()
        };
        let until = "weekend (cli:ana, until 1970-01-01T00:00:00.010Z)";
        assert_eq!(freeze(Some(10)).frozen(9).as_deref(), Some(until));
        assert_eq!(freeze(Some(10)).frozen(10), None);
        assert_eq!(freeze(None).frozen(u64::MAX).as_deref(), Some("weekend (cli:ana)"));
        assert_eq!(Release::default().frozen(0), None);
    }
}
