//! What callers send to `…/rollout` and `…/freeze`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reason;
use crate::model::name::Name;
use crate::model::weight::Weight;

/// `POST /v1/services/{service}/rollout`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRollout {
    /// The environment that shall be released; the service's candidate when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Name>,
    /// The plan; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Other steps than the plan's, each as in the config: `5%`, `5% 10m`, `5% 10m 500`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Other rules than the plan's: keys of `[service.NAME.rollout]` with values as in the config, e.g.
    /// `{"bake": "1m", "limits": {"error_rate": 0.08}}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub overrides: Map<String, Value>,
    /// Start although the active environment breaks a limit, which is not armed then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_broken_limits: bool,
    /// Start although this version was rolled back lately or too often.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/rollout/{action}`: `pause`, `resume`, `mute`, `promote`, `rollback`,
/// `release`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActOnRollout {
    /// With `promote`: all steps at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// With `promote`: the share that the next step shall reach. It changes nothing when that is reached
    /// already, so that a repeated call takes no second step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_percent: Option<Weight>,
    /// With `rollback`: all users at once, whatever the plan says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instant: bool,
    /// The rollout that is meant; the last one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u64>,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `PUT /v1/services/{service}/freeze`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFreeze {
    /// Why; shown wherever a rollout waits for it, as one line of at most 500 characters.
    #[serde(deserialize_with = "reason::read_one")]
    #[schemars(length(min = 1))]
    pub reason: String,
    /// Until when, RFC 3339; until it is lifted when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
