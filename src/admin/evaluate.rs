//! `POST …/environments/{environment}/evaluate`: runs the quality gate now, and answers when it is done.
//!
//! It goes on when the caller leaves; the event `evaluated` tells how it ended.

use axum::Json;
use axum::extract::State;

use super::api::evaluate::Evaluated;
use super::api::{Because, SCHEMA};
use super::body::Body;
use super::caller::Actor;
use super::path::OfEnvironment;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::journal::Asker;
use crate::control_plane::quality::AskedBy;

/// Runs the gate of the environment.
pub(super) async fn run(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Actor(actor): Actor,
    Body(body): Body<Because>,
) -> Result<Json<Evaluated>, Problem> {
    let of = (service.clone(), environment.clone());
    let asked_by = AskedBy::Somebody(Asker { actor, reason: body.reason });
    let controller = admin.controller;
    // A task of its own, at most one per service and no longer than the evaluation may take.
    let running = tokio::spawn(async move { controller.evaluate(&of.0, &of.1, asked_by).await });
    match running.await {
        Ok(Ok(report)) => Ok(Json(Evaluated { schema: SCHEMA, service, environment, report })),
        Ok(Err(refused)) => Err(refused.into()),
        Err(_) => Err(Problem::new(ProblemKind::ShuttingDown, "cyan ends; nothing was evaluated")),
    }
}
