//! `POST …/environments/{environment}/evaluate`: runs the quality gate now, and answers when it is done.
//!
//! It goes on when the caller leaves; the event `evaluated` tells how it ended.

use axum::Json;
use axum::extract::State;

use super::api::SCHEMA;
use super::api::evaluate::{Evaluate, Evaluated};
use super::body::Body;
use super::path::OfEnvironment;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;

/// Runs the gate of the environment.
pub(super) async fn run(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Body(Evaluate {}): Body<Evaluate>,
) -> Result<Json<Evaluated>, Problem> {
    let of = (service.clone(), environment.clone());
    let controller = admin.controller;
    // A task of its own, at most one per service and no longer than the evaluation may take.
    let running = tokio::spawn(async move { controller.evaluate(&of.0, &of.1, None).await });
    match running.await {
        Ok(Ok(report)) => Ok(Json(Evaluated { schema: SCHEMA, service, environment, report })),
        Ok(Err(refused)) => Err(refused.into()),
        Err(_) => Err(Problem::new(ProblemKind::ShuttingDown, "cyan ends; nothing was evaluated")),
    }
}
