//! `/v1/reload`: has the config file read anew. All or nothing: an error leaves the old config in place.

use axum::extract::State;
use axum::response::Response;

use super::api::Because;
use super::body::Body;
use super::caller::{Actor, Seen};
use super::problem::{Problem, ProblemKind};
use super::state::{Admin, Change, read_in_background};
use crate::control_plane::command::Command;
use crate::model::reading::Reading;

/// Reads the file and takes it over.
pub(super) async fn reload(
    State(admin): State<Admin>,
    Actor(actor): Actor,
    Body(body): Body<Because>,
) -> Result<Response, Problem> {
    let Some(read) = admin.read_config.clone() else {
        let detail = "this Cyan runs without a config file; there is nothing to read anew";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    };
    let reading = Reading::begin();
    let config = read_in_background(read).await.map_err(|problem| {
        admin.controller.config_refused(reading, &actor, &problem);
        Problem::new(ProblemKind::ConfigInvalid, problem)
            .hint("the old config stays; try the file with `cyan check FILE`")
    })?;
    let command = Command::Reload(reading, Box::new(config));
    admin
        .submit(Change {
            actor,
            reason: body.reason,
            service: None,
            seen: Seen::default(),
            command,
        })
        .await
}
