//! `/v1/status`: everything `cyan status` shows, in one answer.

use axum::extract::State;
use axum::{Extension, Json};

use super::api::{Certificate, SCHEMA, Status};
use super::caller::Caller;
use super::state::Admin;
use crate::control_plane::certificates::CertificateView;
use crate::control_plane::key_watch;
use crate::control_plane::totals::{CoreNow, Totals};

/// Collections in a row without an answer after which a core counts as lagging; there is one a second.
const UNANSWERED_MAX: u32 = 2;

/// The state of the whole process.
pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
) -> Json<Status> {
    let controller = &admin.controller;
    let totals = controller.totals();
    let services = controller.view().iter().map(|service| admin.described(service)).collect();
    Json(Status {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        role: caller.role,
        uptime_s: admin.started.elapsed().as_secs(),
        readiness: readiness(&admin),
        cores: totals.cores.len(),
        lagging_cores: lagging(&totals),
        connections: totals.connections(),
        requests: totals.requests,
        warnings: warnings(&admin, &totals),
        certificates: controller.certificates().into_iter().map(described).collect(),
        services,
    })
}

fn described(certificate: CertificateView) -> Certificate {
    Certificate {
        file: certificate.file,
        names: certificate.names,
        not_after: certificate.not_after.map(|seconds| seconds * 1000),
        expires_in_s: certificate.expires_in_s,
    }
}

fn readiness(admin: &Admin) -> String {
    use crate::control_plane::readiness::Readiness;
    let word = match admin.controller.readiness() {
        Readiness::Starting => "starting",
        Readiness::Ready => "ready",
        Readiness::ShuttingDown => "shutting_down",
    };
    word.to_owned()
}

/// Cores that do not answer the collector.
fn lagging(totals: &Totals) -> Vec<usize> {
    let lags = |(core, now): (usize, &CoreNow)| (now.unanswered >= UNANSWERED_MAX).then_some(core);
    totals.cores.iter().enumerate().filter_map(lags).collect()
}

/// What somebody should know, in sentences.
pub(super) fn warnings(admin: &Admin, totals: &Totals) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(problem) = admin.controller.config_problem() {
        warnings.push(format!("the last reload was refused, the old config stays: {problem}"));
    }
    warnings.extend(admin.controller.needs_restart().iter().cloned());
    let store = admin.controller.store_state();
    if let Some(problem) = &store.problem {
        warnings.push(format!("the state cannot be written: {problem}"));
    }
    if !store.not_durable.is_empty() {
        let services = store.not_durable.join(", ");
        warnings.push(format!("not on the disk yet, a restart would not remember it: {services}"));
    }
    for (service, key) in &totals.heavy_keys {
        warnings.push(key_watch::sentence(service, *key));
    }
    let certificates = admin.controller.certificates();
    warnings.extend(certificates.into_iter().filter_map(|own| own.warning));
    for core in lagging(totals) {
        warnings.push(format!("core {core} does not answer the control plane"));
    }
    warnings
}
