//! What the store keeps of a service: everything that the file does not decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::assignment::Assignment;
use crate::model::environment::EnvironmentSpec;
use crate::model::model_names::{ModelNames, OwnName, OwnNameError};
use crate::model::name::Name;
use crate::model::upstream::{UpstreamError, UpstreamSpec};
use crate::rollout::release::Release;

/// The durable state of one service.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ServiceRecord {
    /// The service.
    pub service: Name,
    /// Rises with every change of the service, over restarts too. Numbers of changes that were
    /// overtaken are left out.
    pub generation: u64,
    /// Weights, roles and salts.
    pub assignment: Assignment,
    /// Environments that the API has changed.
    pub overrides: BTreeMap<Name, Override>,
    /// The rollout under way, and what was before it.
    pub release: Release,
    /// The journal code of the last change, so that a repeated rollback is known as one after a
    /// restart.
    pub last_change: String,
}

/// What the API has changed of an environment. The file does not decide these any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Override {
    /// Its upstreams, as texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<String>>,
    /// Its version label; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What its servers call whatever model is asked for; empty for what it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Made by the API: it exists without the file.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
    /// Removed by the API: it stays away although the file has it, until it is put again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// What was kept is not what it was kept as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// An upstream.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A model's name.
    #[error(transparent)]
    Model(#[from] OwnNameError),
}

impl OverrideError {
    /// The field that it was kept for.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstreams",
            Self::Model(_) => "model",
        }
    }
}

impl Override {
    /// Whether it says nothing, so that it need not be kept.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of the fields that the file no longer decides.
    pub fn fields(&self) -> Vec<&'static str> {
        let fields = [
            ("upstreams", self.upstreams.is_some()),
            ("version", self.version.is_some()),
            ("model", self.model.is_some()),
        ];
        fields.into_iter().filter_map(|(field, changed)| changed.then_some(field)).collect()
    }

    /// The environment as it is at work: the file's, with what the API changed.
    ///
    /// # Errors
    /// When what was kept is none, which only a hand in the state file can bring about.
    pub fn apply(&self, base: &EnvironmentSpec) -> Result<EnvironmentSpec, OverrideError> {
        let mut spec = base.clone();
        if let Some(upstreams) = &self.upstreams {
            spec.upstreams = parse_upstreams(upstreams)?;
        }
        if let Some(version) = &self.version {
            spec.version = (!version.is_empty()).then(|| version.as_str().into());
        }
        if let Some(model) = &self.model {
            let otherwise = (!model.is_empty()).then(|| OwnName::new(model)).transpose()?;
            spec.models = Arc::new(ModelNames { otherwise, list: base.models.list.clone() });
        }
        Ok(spec)
    }
}

/// Upstreams from their texts.
///
/// # Errors
/// At the first that is none.
pub fn parse_upstreams(texts: &[String]) -> Result<Vec<UpstreamSpec>, UpstreamError> {
    texts.iter().map(|text| text.parse()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overridden_fields_win_and_an_empty_version_is_none() {
        let name = Name::new("green").unwrap();
        let mut base = EnvironmentSpec::new(name, vec!["http://a".parse().unwrap()]);
        base.version = Some("v1".into());
        let own = Override {
            upstreams: Some(vec!["http://b:81".into()]),
            version: Some(String::new()),
            model: Some("own".into()),
            ..Override::default()
        };
        let spec = own.apply(&base).unwrap();
        assert_eq!(spec.upstreams, ["http://b:81".parse().unwrap()]);
        assert_eq!(spec.version, None);
        assert_eq!(spec.models.own(b"any").map(OwnName::as_str), Some("own"));
        assert_eq!(own.fields(), ["upstreams", "version", "model"]);
        let by_hand = Override { model: Some("a\nb".into()), ..Override::default() };
        assert_eq!(by_hand.apply(&base), Err(OverrideError::Model(OwnNameError)));
        assert_eq!(Override::default().apply(&base).unwrap(), base);
    }

    #[test]
    fn the_record_reads_back_as_it_was_written() {
        let text = r#"{"upstreams":["http://b"],"created":true}"#;
        let own: Override = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&own).unwrap(), text);
    }
}
