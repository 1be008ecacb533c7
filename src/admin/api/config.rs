//! `/v1/config`: what it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::config::settings::{Setting, SettingsTable};

/// `GET /v1/config`: what the file said when it was last taken over. Fields that the API has changed since
/// stand in `overridden` of their environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningConfig {
    /// The form of this answer; see [`super::SCHEMA`].
    pub schema: u32,
    /// Whether there is a file to reload.
    pub has_file: bool,
    /// Everything that is set, defaults included.
    pub tables: Vec<SettingsTable>,
}
