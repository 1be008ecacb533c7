//! `/v1/log-level`: what the program's own log holds, to be changed while it runs: at night one wants to
//! see more without losing the state that is to be seen.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::api::SCHEMA;
use super::api::log_level::{LogLevel, SetLogLevel};
use super::body::Body;
use super::caller::Actor;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::journal::NewEntry;
use crate::log::{self, LogError};

/// The level now.
pub(super) async fn show() -> Result<Json<LogLevel>, Problem> {
    Ok(Json(LogLevel { schema: SCHEMA, level: log::level()? }))
}

/// Another level from now on.
pub(super) async fn set(
    State(admin): State<Admin>,
    Actor(actor): Actor,
    Body(body): Body<SetLogLevel>,
) -> Result<Json<LogLevel>, Problem> {
    let level = body.level;
    let before = log::set_level(&level)?;
    let entry = NewEntry {
        at: unix_ms(),
        service: None,
        generation: 0,
        actor,
        kind: "log_level_set".to_owned(),
        reason: body.reason,
        text: format!("log level {before} -> {level}"),
        before: Value::Null,
        after: Value::Null,
        details: json!({ "before": before, "after": level }),
    };
    admin.controller.remember(entry).await;
    Ok(Json(LogLevel { schema: SCHEMA, level }))
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        let detail = error.to_string();
        match error {
            LogError::NoLevel(_) => Self::new(ProblemKind::Invalid, detail).at("level"),
            LogError::Variable { .. } | LogError::NotOurs => {
                Self::new(ProblemKind::Conflict, detail)
            }
        }
    }
}
