//! `?dry_run=true`: what a change would do, worked out by the controller as it would do it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{self, Preview, WeightChange};
use super::problem::Problem;
use super::state::{Admin, Change};
use crate::control_plane::command::Request;
use crate::control_plane::preview::WouldBe;

/// The query of a change.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRun {
    /// Only say what would change.
    #[serde(default)]
    pub(super) dry_run: bool,
}

impl Admin {
    /// Has the controller make a change, or only say what it would be.
    pub(super) async fn submit_unless(
        &self,
        query: DryRun,
        change: Change,
    ) -> Result<Response, Problem> {
        if !query.dry_run {
            return self.submit(change).await;
        }
        let Change { actor, reason, service, seen, command } = change;
        let would_be = self.controller.would_be(Request { actor, reason, command }).await;
        let would_be = would_be.map_err(|refused| self.refused(refused, service.as_ref(), seen))?;
        Ok(Json(Preview::from(would_be)).into_response())
    }
}

impl From<WouldBe> for Preview {
    fn from(WouldBe { generation, before, after, note }: WouldBe) -> Self {
        let changed = after.members.iter().filter_map(|member| {
            let environment = member.environment.clone();
            let weight = before.weight(&environment);
            (weight != member.weight).then_some(WeightChange {
                environment,
                before: weight,
                after: member.weight,
            })
        });
        let weights_percent = changed.collect();
        let active = api::Change { before: before.active, after: after.active };
        Self { generation, active, weights_percent, note }
    }
}
