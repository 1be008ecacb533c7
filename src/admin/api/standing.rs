//! What a service is at, in one word: the same for API, dashboard, command line and alerts.

use serde::{Deserialize, Serialize};

/// A state. Its glyph and its word always stand together: nobody has to know the glyphs.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// One environment has everything, and no rollout is under way.
    #[default]
    Idle,
    /// Several environments have traffic by weights that somebody set.
    Split,
    /// A rollout checks its candidate; no user has met it.
    Starting,
    /// Users meet the candidate, a step at a time.
    Ramping,
    /// Somebody stopped automatic steps.
    Paused,
    /// Something keeps the rollout from going on.
    Held,
    /// Users are on their way back.
    RollingBack,
    /// Everything is as before the rollout.
    RolledBack,
    /// The candidate is active; the environment before stays ready.
    Done,
}

impl State {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Split => "SPLIT",
            Self::Starting => "STARTING",
            Self::Ramping => "RAMPING",
            Self::Paused => "PAUSED",
            Self::Held => "HELD",
            Self::RollingBack => "ROLLING BACK",
            Self::RolledBack => "ROLLED BACK",
            Self::Done => "DONE",
        }
    }

    /// The glyph beside it.
    pub fn glyph(self) -> &'static str {
        match self {
            Self::Idle | Self::Split => "–",
            Self::Starting | Self::Ramping => "→",
            Self::Paused => "‖",
            Self::Held => "!",
            Self::RollingBack | Self::RolledBack => "↩",
            Self::Done => "✓",
        }
    }

    /// The glyph where only ASCII can be shown.
    pub fn ascii_glyph(self) -> &'static str {
        match self {
            Self::Idle | Self::Split => "-",
            Self::Starting | Self::Ramping => ">",
            Self::Paused => "||",
            Self::Held => "!",
            Self::RollingBack | Self::RolledBack => "<",
            Self::Done => "v",
        }
    }

    /// As JSON writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Split => "split",
            Self::Starting => "starting",
            Self::Ramping => "ramping",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Done => "done",
        }
    }
}
