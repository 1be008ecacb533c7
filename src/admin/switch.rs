//! `/v1/services/{service}/switch` and `…/rollback`: the whole slot to another environment, and back.

use axum::extract::State;
use axum::response::Response;

use super::api::{RollBack, Switch};
use super::body::Body;
use super::caller::{Actor, IfMatch, Seen};
use super::params::Params;
use super::path::OfService;
use super::preview::DryRun;
use super::problem::Problem;
use super::state::{Admin, Change};
use crate::control_plane::command::Command;

/// All of the active environment's traffic to another one.
pub(super) async fn switch(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Actor(actor): Actor,
    if_match: IfMatch,
    Params(query): Params<DryRun>,
    Body(body): Body<Switch>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(body.generation)?;
    let command =
        Command::Switch { service: service.clone(), to: body.to, if_generation: seen.generation };
    let change = Change { actor, reason: body.reason, service: Some(service), seen, command };
    admin.submit_unless(query, change).await
}

/// Back to the environment that was active before.
pub(super) async fn roll_back(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Actor(actor): Actor,
    Params(query): Params<DryRun>,
    Body(body): Body<RollBack>,
) -> Result<Response, Problem> {
    let command = Command::RollBack { service: service.clone(), instant: body.instant };
    let seen = Seen::default();
    let change = Change { actor, reason: body.reason, service: Some(service), seen, command };
    admin.submit_unless(query, change).await
}
