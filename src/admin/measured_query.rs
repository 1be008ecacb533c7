//! The query of a call for what was measured: which window, which metric, which form.
//!
//! A name that is none is refused with the names there are, an unknown parameter like an unknown field.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::windows::{Measured, Window};
use crate::metrics::measure::Measure;
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;

/// `?window=5m`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfWindow {
    /// How far back; `5m` when left out.
    #[serde(default)]
    #[schemars(schema_with = "windows")]
    window: Option<String>,
}

/// `?metric=ttft&window=5m&encoding=hdr-v2`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfHistogram {
    /// Of what.
    #[schemars(schema_with = "metrics")]
    metric: Option<String>,
    /// How far back; `5m` when left out.
    #[serde(default)]
    #[schemars(schema_with = "windows")]
    window: Option<String>,
    /// In which form; `buckets` when left out.
    #[serde(default)]
    #[schemars(schema_with = "encodings")]
    encoding: Option<String>,
}

/// How a histogram is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Buckets as JSON.
    Buckets,
    /// `HdrHistogram` V2.
    HdrV2,
    /// The same, deflated.
    HdrV2Deflate,
}

impl Encoding {
    const ALL: [Self; 3] = [Self::Buckets, Self::HdrV2, Self::HdrV2Deflate];

    /// The name in queries and JSON.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Buckets => "buckets",
            Self::HdrV2 => "hdr-v2",
            Self::HdrV2Deflate => "hdr-v2-deflate",
        }
    }
}

impl OfWindow {
    /// The window; 5 min when none is named.
    pub(super) fn window(&self) -> Result<Window, Problem> {
        window(self.window.as_deref())
    }
}

impl OfHistogram {
    /// The metric, which has to be named.
    pub(super) fn measure(&self) -> Result<Measure, Problem> {
        let asked = self.metric.as_deref().unwrap_or("");
        one_of("metric", asked, &Measure::ALL, Measure::label)
    }

    /// The window; 5 min when none is named.
    pub(super) fn window(&self) -> Result<Window, Problem> {
        window(self.window.as_deref())
    }

    /// The form; buckets when none is named.
    pub(super) fn encoding(&self) -> Result<Encoding, Problem> {
        let asked = self.encoding.as_deref().unwrap_or(Encoding::Buckets.label());
        one_of("encoding", asked, &Encoding::ALL, Encoding::label)
    }
}

impl Admin {
    /// What was counted of an environment that there is. One that was made just now has counted nothing.
    pub(super) fn measured(
        &self,
        service: &Name,
        environment: &Name,
        window: Window,
    ) -> Result<Measured, Problem> {
        let id = self.environment_id(service, environment)?;
        Ok(self.controller.measured(id, window).unwrap_or_default())
    }

    /// The number of an environment that there is.
    pub(super) fn environment_id(
        &self,
        service: &Name,
        environment: &Name,
    ) -> Result<EnvironmentId, Problem> {
        let snapshot = self.controller.snapshot();
        let table = snapshot.table(service.as_str()).ok_or_else(|| self.unknown(service))?;
        match table.environment(environment.as_str()) {
            Some(found) => Ok(found.id),
            // Not in the table, so this tells what there is.
            None => Err(self.environment(service, environment).map_or_else(
                |problem| problem,
                |_| Problem::new(ProblemKind::Conflict, "the environment is being made; try again"),
            )),
        }
    }
}

fn windows(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Window::ALL.map(Window::label) })
}

fn metrics(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Measure::ALL.map(Measure::label) })
}

fn encodings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Encoding::ALL.map(Encoding::label) })
}

fn window(asked: Option<&str>) -> Result<Window, Problem> {
    one_of("window", asked.unwrap_or(Window::Minutes5.label()), &Window::ALL, Window::label)
}

fn one_of<T: Copy>(
    parameter: &str,
    asked: &str,
    known: &[T],
    label: impl Fn(T) -> &'static str,
) -> Result<T, Problem> {
    known.iter().copied().find(|candidate| label(*candidate) == asked).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|candidate| label(*candidate)).collect();
        let detail = format!("{parameter}: `{asked}` is none of {}", names.join(", "));
        Problem::new(ProblemKind::Invalid, detail)
    })
}
