//! `/v1/services/{service}/freeze`: no automatic step for a while.

use axum::extract::State;
use axum::response::Response;

use super::api::Because;
use super::api::rollout::SetFreeze;
use super::body::Body;
use super::caller::{Actor, IfMatch};
use super::path::OfService;
use super::problem::{Problem, ProblemKind};
use super::state::{Admin, Change};
use crate::control_plane::command::Command;
use crate::model::name::Name;
use crate::model::rfc3339;
use crate::rollout::release::Freeze;

/// No automatic step from now on.
pub(super) async fn set(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Actor(actor): Actor,
    if_match: IfMatch,
    Body(body): Body<SetFreeze>,
) -> Result<Response, Problem> {
    let reason = body.reason;
    if reason.is_empty() {
        let detail = "reason: is empty; say why, it is shown wherever a rollout waits";
        return Err(Problem::new(ProblemKind::Invalid, detail).at("reason"));
    }
    let until_ms = body.until.as_deref().map(parse).transpose()?;
    let freeze = Freeze { by: actor.clone(), reason: reason.clone(), until_ms };
    change(&admin, service, (actor, Some(reason)), if_match, Some(freeze)).await
}

/// Automatic steps again.
pub(super) async fn lift(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Actor(actor): Actor,
    if_match: IfMatch,
    Body(body): Body<Because>,
) -> Result<Response, Problem> {
    change(&admin, service, (actor, body.reason), if_match, None).await
}

async fn change(
    admin: &Admin,
    service: Name,
    (actor, reason): (String, Option<String>),
    if_match: IfMatch,
    freeze: Option<Freeze>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(None)?;
    let if_generation = seen.generation;
    let command = Command::Freeze { service: service.clone(), freeze, if_generation };
    admin.submit(Change { actor, reason, service: Some(service), seen, command }).await
}

fn parse(until: &str) -> Result<u64, Problem> {
    rfc3339::parse(until).ok_or_else(|| {
        let detail = format!("until: `{until}` is no time; write it as 2026-11-23T08:00:00Z");
        Problem::new(ProblemKind::Invalid, detail).at("until")
    })
}
