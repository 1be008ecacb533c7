//! Changes: what they take, what they answer, and what they would do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reason;
use crate::model::name::Name;
use crate::model::weight::Weight;

/// `PUT /v1/services/{service}/weights`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetWeights {
    /// Percent by environment. Environments left out keep theirs; all of them must sum to 100.
    #[serde(default)]
    pub weights: BTreeMap<Name, Weight>,
    /// Who shall share the active environment's slot from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Name>,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/switch`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// To which environment; the active one's partner when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Name>,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/rollback`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// All users at once, whatever the plan of a rollout under way says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instant: bool,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/reload`, and what is taken away by `DELETE`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `PUT /v1/services/{service}/environments/{environment}`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutEnvironment {
    /// Its upstreams; left out, they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<String>>,
    /// Its version label; left out, it stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What its servers call whatever model is asked for; left out, it stays; empty, what is asked for is
    /// passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Refuse unless it has no traffic and is part of no rollout: a deployment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_idle: bool,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/environments/{environment}/drain`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartDrain {
    /// How long exchanges may take, e.g. `30s`, which it is when left out.
    #[schemars(regex(pattern = r"^([0-9]+(d|h|m|s|ms))+$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/environments/{environment}/reset`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetField {
    /// `upstreams`, `version` or `model`.
    pub field: String,
    /// Why; stands in the journal as one line of at most 500 characters.
    #[serde(default, deserialize_with = "reason::read", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// The service's generation now.
    pub generation: u64,
    /// Whether anything changed at all.
    pub changed: bool,
    /// Cores that have not taken the change yet. Empty: applied on all cores.
    pub lagging_cores: Vec<usize>,
    /// From the decision to the last core, in microseconds.
    pub applied_us: u64,
    /// False while the change is not on the disk yet.
    pub durable: bool,
    /// What somebody should know all the same.
    pub warnings: Vec<String>,
}

/// What a change would do: the answer to `?dry_run=true`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The generation that was looked at. Sent along with the change, it makes sure of it.
    pub generation: u64,
    /// The active environment before and after.
    pub active: Change<Name>,
    /// Weights that would change, by environment.
    pub weights_percent: Vec<WeightChange>,
    /// What weights and roles do not tell: what becomes of a rollout, and what the change would warn of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One value before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change<T> {
    /// Now.
    pub before: T,
    /// Then.
    pub after: T,
}

/// One weight before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WeightChange {
    /// Whose.
    pub environment: Name,
    /// Now.
    pub before: Weight,
    /// Then.
    pub after: Weight,
}
