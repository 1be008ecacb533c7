//! `/v1/log-level`: what it takes and what it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reason;

/// `GET /v1/log-level`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLevel {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// `info`, or `info,cyan::control_plane=debug`.
    pub level: String,
}

/// `PUT /v1/log-level`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`, each also for a part of the program; several with
    /// commas in between.
    #[schemars(regex(
        pattern = r"^([a-z_:]+=)?(off|error|warn|info|debug|trace)(,([a-z_:]+=)?(off|error|warn|info|debug|trace))*$"
    ))]
    pub level: String,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
