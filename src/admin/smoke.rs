//! `POST …/environments/{environment}/smoke`: runs the smoke tests now and answers their report. A test
//! that fails is no error of the call: the report says so.

use axum::Json;
use axum::extract::State;

use super::api::{Because, SmokeReport};
use super::body::Body;
use super::caller::{Actor, Seen};
use super::path::OfEnvironment;
use super::problem::Problem;
use super::state::Admin;
use crate::control_plane::journal::Asker;

/// Runs every check against every upstream. A caller that leaves ends the run.
pub(super) async fn run(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Actor(actor): Actor,
    Body(body): Body<Because>,
) -> Result<Json<SmokeReport>, Problem> {
    let asker = Asker { actor, reason: body.reason };
    let report = admin.controller.smoke(&service, &environment, asker).await;
    report.map(Json).map_err(|refused| admin.refused(refused, Some(&service), Seen::default()))
}
