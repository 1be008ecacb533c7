//! `?dry_run=true`: what a change of weights or roles would do, worked out by the very functions that
//! the controller will use, on the state as it is now.

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Change, Preview, WeightChange};
use super::caller::Seen;
use super::problem::Problem;
use super::state::Admin;
use crate::control_plane::command::Refused;
use crate::model::assignment::{Assignment, AssignmentError};
use crate::model::name::Name;

/// The query of a change.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRun {
    /// Only say what would change.
    #[serde(default)]
    pub(super) dry_run: bool,
}

impl Admin {
    /// What `change` would make of the service's assignment.
    pub(super) fn preview(
        &self,
        service: &Name,
        seen: Seen,
        change: impl FnOnce(&Assignment) -> Result<Assignment, AssignmentError>,
    ) -> Result<Preview, Problem> {
        let view = self.controller.service(service.as_str());
        let view = view.ok_or_else(|| self.unknown(service))?;
        let current = view.generation;
        if let Some(asked) = seen.generation.filter(|asked| *asked != current) {
            return Err(self.refused(Refused::Generation { asked, current }, Some(service), seen));
        }
        let after = change(&view.assignment)
            .map_err(|error| self.refused(Refused::Assignment(error), Some(service), seen))?;
        Ok(compare(current, &view.assignment, &after))
    }
}

fn compare(generation: u64, before: &Assignment, after: &Assignment) -> Preview {
    let changed = after.members.iter().filter_map(|member| {
        let environment = member.environment.clone();
        let weight = before.weight(&environment);
        (weight != member.weight).then_some(WeightChange {
            environment,
            before: weight,
            after: member.weight,
        })
    });
    Preview {
        generation,
        weights_percent: changed.collect(),
        active: Change { before: before.active.clone(), after: after.active.clone() },
    }
}
