//! `/v1/services` and `/v1/services/{service}`: who gets what.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::api::Services;
use super::path::OfService;
use super::problem::Problem;
use super::state::{Admin, entity_tag};

/// Every service.
pub(super) async fn list(State(admin): State<Admin>) -> Json<Services> {
    let view = admin.controller.view();
    Json(Services { services: view.iter().map(|service| admin.described(service)).collect() })
}

/// One service; its generation is the entity tag.
pub(super) async fn show(
    State(admin): State<Admin>,
    OfService(name): OfService,
) -> Result<Response, Problem> {
    let service = admin.service(&name)?;
    Ok(([(header::ETAG, entity_tag(service.generation))], Json(service)).into_response())
}
