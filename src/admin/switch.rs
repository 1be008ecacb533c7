//! `/v1/services/{service}/switch` and `…/rollback`: the whole slot to another environment, and back.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::api::{Preview, RollBack, Switch};
use super::body::Body;
use super::caller::{Actor, IfMatch, Seen};
use super::params::Params;
use super::path::OfService;
use super::preview::DryRun;
use super::problem::{Problem, ProblemKind};
use super::state::{Admin, Change};
use crate::control_plane::command::Command;
use crate::model::assignment::Assignment;
use crate::model::name::Name;
use crate::rollout::event::Operator;

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
    if query.dry_run {
        let to = match body.to {
            Some(to) => to,
            None => partner(&admin, &service)?,
        };
        let preview = admin.preview(&service, seen, |now| now.switch(&to))?;
        return Ok(Json(preview).into_response());
    }
    let command =
        Command::Switch { service: service.clone(), to: body.to, if_generation: seen.generation };
    admin.submit(Change { actor, reason: body.reason, service: Some(service), seen, command }).await
}

/// Back to the environment that was active before.
pub(super) async fn roll_back(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Actor(actor): Actor,
    Params(query): Params<DryRun>,
    Body(body): Body<RollBack>,
) -> Result<Response, Problem> {
    if query.dry_run {
        let preview = preview_of_way_back(&admin, &service, &body, &actor)?;
        return Ok(Json(preview).into_response());
    }
    let command = Command::RollBack { service: service.clone(), instant: body.instant };
    admin
        .submit(Change {
            actor,
            reason: body.reason,
            service: Some(service),
            seen: Seen::default(),
            command,
        })
        .await
}

/// While a rollout is under way, the way back is the rollout's; nobody may have met its candidate yet.
fn preview_of_way_back(
    admin: &Admin,
    service: &Name,
    RollBack { instant, reason }: &RollBack,
    actor: &str,
) -> Result<Preview, Problem> {
    let release = admin.controller.release(service.as_str());
    if release.is_none_or(|release| release.release.running().is_none()) {
        return admin.preview(service, Seen::default(), Assignment::roll_back);
    }
    let asked = Operator::RollBack { reason: reason.clone(), instant: *instant };
    admin.preview_of_rollout(service, Seen::default(), None, asked, actor)
}

/// The environment that shares the active one's slot.
fn partner(admin: &Admin, service: &Name) -> Result<Name, Problem> {
    let view = admin.controller.service(service.as_str()).ok_or_else(|| admin.unknown(service))?;
    let partner = view.assignment.partner.map(|partner| partner.environment);
    partner.ok_or_else(|| {
        let detail = format!("`{service}` has no candidate to switch to; name an environment");
        Problem::new(ProblemKind::Conflict, detail)
    })
}
