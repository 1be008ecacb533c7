//! `/v1/journal`: who changed what, when and why.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Journal, JournalEntry};
use super::params::{Params, within};
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::journal;
use crate::model::name::Name;

/// Which entries.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only entries of this service.
    service: Option<Name>,
    /// Most entries of the page; 500 when left out.
    #[schemars(range(min = 1, max = journal::PAGE_ENTRIES_MAX))]
    limit: Option<usize>,
    /// Only entries older than this one.
    before: Option<u64>,
}

/// A page, newest first.
pub(super) async fn page(
    State(admin): State<Admin>,
    Params(which): Params<Which>,
) -> Result<Json<Journal>, Problem> {
    let limit = within("limit", which.limit, &(1..=journal::PAGE_ENTRIES_MAX))?;
    let before = which.before.map(|before| i64::try_from(before).unwrap_or(i64::MAX));
    let query = journal::Query { service: which.service, before, limit };
    let page = admin
        .controller
        .journal(query)
        .await
        .map_err(|error| Problem::new(ProblemKind::StoreUnavailable, error.to_string()))?;
    let entries = page.entries.into_iter().map(JournalEntry::from).collect();
    Ok(Json(Journal { entries, next_before: page.next_before }))
}
