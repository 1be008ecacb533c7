//! `/v1/journal`: who changed what, when and why.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::api::{Journal, JournalEntry};
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::journal;
use crate::model::name::Name;

/// Which entries.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    service: Option<Name>,
    limit: Option<usize>,
    before: Option<i64>,
}

/// A page, newest first.
pub(super) async fn page(
    State(admin): State<Admin>,
    Query(which): Query<Which>,
) -> Result<Json<Journal>, Problem> {
    let limit = which.limit.map(|limit| limit.clamp(1, journal::PAGE_ENTRIES_MAX));
    let query = journal::Query { service: which.service, before: which.before, limit };
    let page = admin
        .controller
        .journal(query)
        .await
        .map_err(|error| Problem::new(ProblemKind::StoreUnavailable, error.to_string()))?;
    let entries = page.entries.into_iter().map(JournalEntry::from).collect();
    Ok(Json(Journal { entries, next_before: page.next_before }))
}
