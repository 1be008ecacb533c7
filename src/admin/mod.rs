//! The control plane's HTTP face: one file per resource.
//!
//! Runs on the control plane's own thread and asks the controller like everybody else, so the data plane
//! never notices it. Every error is a `Problem`; every change carries who asked for it and why; a call
//! that changes something answers when every core has changed.

mod access;
mod answered;
pub mod api;
mod body;
mod caller;
mod cohorts;
mod comparison;
mod config;
mod dashboard;
mod drain;
mod environments;
mod evaluate;
mod event_stream;
mod events;
mod explain;
mod freeze;
mod histogram;
mod idempotency;
mod journal;
pub mod listener;
mod log_level;
mod measured_query;
mod metrics;
mod openapi;
mod operation;
mod operations;
mod params;
mod path;
mod patience;
mod permitted;
mod preview;
mod probes;
pub mod problem;
mod problem_kind;
mod problem_page;
mod reload;
mod requests;
mod rollout;
mod rollout_start;
mod rollouts;
mod router;
mod scores;
mod services;
mod smoke;
pub mod state;
mod stats;
mod status;
mod switch;
mod token;
mod undeclared;
mod view;
mod weights;

pub use listener::{AdminListener, ListenError};
pub use state::{Admin, ReadConfig, read_in_background};

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Serves the admin API on `listener`, for those whom the config in force lets call, until the future is
/// dropped, or until `leaving` says that another process serves it.
pub async fn serve(listener: AdminListener, admin: Admin, leaving: watch::Receiver<bool>) {
    let access = access::Access::new(admin.controller.admin());
    let evidence = Arc::new(dashboard::EvidenceLog::default());
    let router = router::router(admin.clone(), access, Arc::clone(&evidence));
    // A task of its own, so that a bug in it leaves the rest of the admin API alone.
    let mut watching = JoinSet::new();
    watching.spawn(async move { evidence.watch(&admin.controller).await });
    listener.serve(router, leaving).await;
}
