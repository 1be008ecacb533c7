//! `/v1/services/{service}/weights`: sets who gets what share.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::api::SetWeights;
use super::body::Body;
use super::caller::{Actor, IfMatch};
use super::params::Params;
use super::path::OfService;
use super::preview::DryRun;
use super::problem::Problem;
use super::state::{Admin, Change};
use crate::control_plane::command::Command;
use crate::model::routing_table::Weighted;

/// Sets weights; environments left out keep theirs.
pub(super) async fn set(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Actor(actor): Actor,
    if_match: IfMatch,
    Params(query): Params<DryRun>,
    Body(body): Body<SetWeights>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(body.generation)?;
    let weighted = |(environment, weight)| Weighted { environment, weight };
    let weights: Vec<_> = body.weights.into_iter().map(weighted).collect();
    let candidate = body.candidate;
    if query.dry_run {
        // A dry run needs no salts: nobody is routed by it.
        let preview = admin.preview(&service, seen, |now| match &candidate {
            Some(candidate) => now.set_candidate(candidate, || 0)?.set_weights(&weights, || 0),
            None => now.set_weights(&weights, || 0),
        })?;
        return Ok(Json(preview).into_response());
    }
    let command = Command::SetWeights {
        service: service.clone(),
        weights,
        candidate,
        if_generation: seen.generation,
    };
    admin.submit(Change { actor, reason: body.reason, service: Some(service), seen, command }).await
}
