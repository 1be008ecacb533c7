//! `POST …/environments/{environment}/drain`: waits until everything in flight has finished, or the
//! deadline has ended it. With `Prefer: respond-async` or `?wait=false` it answers 202 at once, and
//! `GET …/environments/{environment}` and the events tell how far it is.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;

use super::api::StartDrain;
use super::body::Body;
use super::caller::{Actor, Seen};
use super::params::Params;
use super::path::OfEnvironment;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::config::duration;
use crate::control_plane::command::{Command, Request};

/// What exchanges get when nobody says otherwise.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
/// Time in which a refusal is certain to have come: the controller decides in microseconds.
const REFUSAL_LIMIT: Duration = Duration::from_millis(100);

/// The query of a drain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// Whether to answer only when it is drained.
    #[serde(default = "yes")]
    wait: bool,
}

fn yes() -> bool {
    true
}

/// Drains the environment.
pub(super) async fn start(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Actor(actor): Actor,
    Params(query): Params<Wait>,
    headers: HeaderMap,
    Body(body): Body<StartDrain>,
) -> Result<Response, Problem> {
    let deadline = deadline(body.deadline.as_deref())?;
    let (of_service, of_environment) = (service.clone(), environment.clone());
    let command = Command::Drain { service: of_service, environment: of_environment, deadline };
    let drained = admin.controller.submit(Request { actor, reason: body.reason, command });
    let refused = |refused| admin.refused(refused, Some(&service), Seen::default());
    let status = if query.wait && !prefers_async(&headers) {
        drained.await.map_err(refused)?;
        StatusCode::OK
    } else {
        // The drain goes on when nobody waits for it any more.
        match timeout(REFUSAL_LIMIT, drained).await {
            Ok(answer) => answer.map(|_| StatusCode::OK).map_err(refused)?,
            Err(_) => StatusCode::ACCEPTED,
        }
    };
    Ok((status, Json(admin.environment(&service, &environment)?)).into_response())
}

fn deadline(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(DEADLINE_DEFAULT) };
    duration::parse(text)
        .map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()).at("deadline"))
}

/// RFC 7240, section 4.1.
fn prefers_async(headers: &HeaderMap) -> bool {
    let said = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(','))
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}
