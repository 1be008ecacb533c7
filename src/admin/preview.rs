//! `?dry_run=true`: what a change of weights or roles would do, worked out by the very functions that
//! the controller will use, on the state as it is now.

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Change, Preview, WeightChange};
use super::caller::Seen;
use super::problem::Problem;
use super::state::Admin;
use crate::control_plane::command::{Refused, ServiceView};
use crate::model::assignment::{Assignment, AssignmentError};
use crate::model::name::Name;
use crate::rollout::event::Operator;

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
        let view = self.seen(service, seen)?;
        let after = change(&view.assignment)
            .map_err(|error| self.refused(Refused::Assignment(error), Some(service), seen))?;
        Ok(compare(view.generation, &view.assignment, &after))
    }

    /// What `asked` would make of the service's rollout, and of its traffic.
    pub(super) fn preview_of_rollout(
        &self,
        service: &Name,
        seen: Seen,
        rollout: Option<u64>,
        asked: Operator,
        actor: &str,
    ) -> Result<Preview, Problem> {
        let view = self.seen(service, seen)?;
        let would_be = self.controller.would_be(&view, rollout, asked, actor);
        let would_be = would_be.map_err(|refused| self.refused(refused, Some(service), seen))?;
        let preview = compare(view.generation, &view.assignment, &would_be.assignment);
        Ok(Preview { note: would_be.said, ..preview })
    }

    /// The service, if it is still of the generation that was seen.
    fn seen(&self, service: &Name, seen: Seen) -> Result<ServiceView, Problem> {
        let view = self.controller.service(service.as_str());
        let view = view.ok_or_else(|| self.unknown(service))?;
        let current = view.generation;
        match seen.generation.filter(|asked| *asked != current) {
            Some(asked) => {
                Err(self.refused(Refused::Generation { asked, current }, Some(service), seen))
            }
            None => Ok(view),
        }
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
        note: None,
    }
}
