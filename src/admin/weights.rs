//! `/v1/services/{service}/weights`: sets who gets what share.

use axum::extract::State;
use axum::response::Response;

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
    let command = Command::SetWeights {
        service: service.clone(),
        weights,
        candidate: body.candidate,
        if_generation: seen.generation,
    };
    let change = Change { actor, reason: body.reason, service: Some(service), seen, command };
    admin.submit_unless(query, change).await
}
