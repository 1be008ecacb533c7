//! `/livez` and `/readyz`: for whoever restarts processes and sends them traffic. Open to everybody,
//! since such callers bring no token; the answers say nothing that a connection would not.

use axum::extract::State;
use axum::http::StatusCode;

use super::state::Admin;

/// The process lives: it can answer.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Whether traffic should come.
pub(super) async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    let readiness = admin.controller.readiness();
    let status =
        if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", readiness.explanation()))
}
