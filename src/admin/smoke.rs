//! `POST …/environments/{environment}/smoke`: runs the smoke tests now and answers their report. A test
//! that fails is no error of the call: the report says so.

use axum::Json;
use axum::extract::State;

use super::api::SmokeReport;
use super::caller::Seen;
use super::path::OfEnvironment;
use super::problem::Problem;
use super::state::Admin;

/// Runs every check against every upstream. A caller that leaves ends the run.
pub(super) async fn run(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
) -> Result<Json<SmokeReport>, Problem> {
    let report = admin.controller.smoke(&service, &environment).await;
    report.map(Json).map_err(|refused| admin.refused(refused, Some(&service), Seen::default()))
}
