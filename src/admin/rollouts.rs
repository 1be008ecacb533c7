//! `/v1/services/{service}/rollouts`: what there was, and the records behind it.
//!
//! Records are told page by page, as fast as the caller reads them: a rollout of days has hundreds of
//! megabytes, and Cyan holds two pages of them. A page that cannot be read breaks the answer off, so that
//! nobody takes a part of a rollout for the whole.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::api::SCHEMA;
use super::api::rollouts::{PastCause, PastRollout, Rollouts};
use super::event_stream::{self, Piece};
use super::params::{Params, within};
use super::path::{OfRollout, OfService};
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::store::history::{self, PAGE_ROLLOUTS_MAX};
use crate::control_plane::store::{StateReader, StoreError};
use crate::model::name::Name;
use crate::model::rfc3339;

/// Rollouts of a page when nobody says how many.
const PAGE_ROLLOUTS: usize = 50;
/// Pages of records that wait for a caller.
const PAGES_MAX: usize = 1;

/// Which ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Most rollouts of the page; 50 when left out.
    #[schemars(range(min = 1, max = PAGE_ROLLOUTS_MAX))]
    limit: Option<usize>,
    /// Only rollouts older than this one.
    before: Option<u64>,
}

/// The rollouts of a service, newest first.
pub(super) async fn list(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Params(which): Params<Which>,
) -> Result<Json<Rollouts>, Problem> {
    known(&admin, &service)?;
    let limit = within("limit", which.limit, &(1..=PAGE_ROLLOUTS_MAX))?.unwrap_or(PAGE_ROLLOUTS);
    let kept = admin.controller.kept();
    // One more than asked for tells whether there is another page.
    let found = kept.rollouts(service, which.before, limit + 1).await;
    let mut found = found.map_err(|error| unreadable(&error))?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_before = found.last().filter(|_| has_more).map(|rollout| rollout.id);
    let rollouts = found.into_iter().map(PastRollout::from).collect();
    Ok(Json(Rollouts { schema: SCHEMA, rollouts, next_before }))
}

/// The records of a rollout, one JSON object per line, as `cyan replay` reads them.
pub(super) async fn records(
    State(admin): State<Admin>,
    OfRollout(service, id): OfRollout,
) -> Result<Response, Problem> {
    known(&admin, &service)?;
    let kept = admin.controller.kept();
    let rollout = kept.rollout(service.clone(), id).await.map_err(|error| unreadable(&error))?;
    history::replayable(rollout.as_ref(), &service, id).map_err(|problem| {
        Problem::new(ProblemKind::NotFound, problem)
            .hint("`cyan rollout list` shows the rollouts that are kept")
    })?;
    let (pieces, answer) = event_stream::answer_of("application/x-ndjson", PAGES_MAX);
    // Ends with the last page, or with the connection.
    tokio::spawn(tell(pieces, kept.clone(), service, id));
    Ok(answer)
}

async fn tell(pieces: mpsc::Sender<Piece<StoreError>>, kept: StateReader, service: Name, id: u64) {
    let mut after = Some(0);
    while let Some(place) = after {
        let page = kept.records(service.clone(), id, place).await;
        after = page.as_ref().ok().and_then(|page| page.next_after);
        let piece = page.map(|page| Bytes::from(page.text()));
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

/// Whether there is such a service now; one that is gone has nothing to show.
fn known(admin: &Admin, service: &Name) -> Result<(), Problem> {
    let found = admin.controller.release(service.as_str());
    found.map(drop).ok_or_else(|| admin.unknown(service))
}

fn unreadable(error: &StoreError) -> Problem {
    Problem::new(ProblemKind::StoreUnavailable, error.to_string())
}

impl From<history::PastRollout> for PastRollout {
    fn from(past: history::PastRollout) -> Self {
        Self {
            id: past.id,
            candidate: past.candidate,
            base: past.base,
            version: past.version,
            started_by: past.started_by,
            started: rfc3339::format(past.started_at),
            ended: past.ended_at.map(rfc3339::format),
            end: past.stage,
            cause: past.cause.map(|(code, text)| PastCause { code, text }),
            has_records: past.has_records,
        }
    }
}
