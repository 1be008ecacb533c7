//! `/v1/services/{service}/environments/{environment}`: created, changed and removed at run time.

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use super::api::{Because, Environment, PutEnvironment, Ready, ResetField};
use super::body::Body;
use super::caller::{Actor, IfMatch, Seen};
use super::path::OfEnvironment;
use super::problem::Problem;
use super::state::{Admin, Change};
use crate::control_plane::command::{Command, Refused};
use crate::model::assignment::AssignmentError;
use crate::model::name::Name;

/// The environment with its live counts.
pub(super) async fn show(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
) -> Result<Json<Environment>, Problem> {
    let mut shown = admin.environment(&service, &environment)?;
    shown.smoke = admin.controller.smoke_ended(&service, &environment);
    Ok(Json(shown))
}

/// Whether it could take users now: its upstreams are asked.
pub(super) async fn ready(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
) -> Result<Json<Ready>, Problem> {
    let ready = admin.controller.ready(&service, &environment).await;
    ready.map(Json).map_err(|refused| admin.refused(refused, Some(&service), Seen::default()))
}

/// Creates it, or changes its upstreams, version or model.
pub(super) async fn put(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Actor(actor): Actor,
    if_match: IfMatch,
    Body(body): Body<PutEnvironment>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(body.generation)?;
    let command = Command::PutEnvironment {
        service: service.clone(),
        environment,
        upstreams: body.upstreams,
        version: body.version,
        model: body.model,
        only_idle: body.only_idle,
        if_generation: seen.generation,
    };
    admin.submit(Change { actor, reason: body.reason, service: Some(service), seen, command }).await
}

/// Removes it, if it has no traffic and nothing in flight.
pub(super) async fn remove(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Actor(actor): Actor,
    if_match: IfMatch,
    Body(body): Body<Because>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(None)?;
    let command = Command::RemoveEnvironment {
        service: service.clone(),
        environment,
        if_generation: seen.generation,
    };
    admin.submit(Change { actor, reason: body.reason, service: Some(service), seen, command }).await
}

/// Gives a field that the API changed back to the file.
pub(super) async fn reset(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Actor(actor): Actor,
    if_match: IfMatch,
    Body(body): Body<ResetField>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(None)?;
    let command = Command::ResetField {
        service: service.clone(),
        environment,
        field: body.field,
        if_generation: seen.generation,
    };
    admin.submit(Change { actor, reason: body.reason, service: Some(service), seen, command }).await
}

impl Admin {
    /// The environment as it is now.
    pub(super) fn environment(
        &self,
        service: &Name,
        environment: &Name,
    ) -> Result<Environment, Problem> {
        let environments = self.service(service)?.environments;
        let known: Vec<_> = environments.iter().map(|e| e.name.to_string()).collect();
        let known = known.join(", ");
        environments.into_iter().find(|known| known.name == *environment).ok_or_else(|| {
            let unknown = AssignmentError::Unknown { name: environment.clone(), known };
            self.refused(Refused::Assignment(unknown), Some(service), Seen::default())
        })
    }
}
