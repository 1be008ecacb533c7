//! `/v1/config`: the config in force, for whoever wants to know what a file would change.

use axum::Json;
use axum::extract::State;

use super::api::SCHEMA;
use super::api::config::RunningConfig;
use super::state::Admin;
use crate::config::settings::settings;

/// Every key that is set, and no secret.
pub(super) async fn show(State(admin): State<Admin>) -> Json<RunningConfig> {
    let has_file = admin.read_config.is_some();
    let tables = settings(&admin.controller.config());
    Json(RunningConfig { schema: SCHEMA, has_file, tables })
}
