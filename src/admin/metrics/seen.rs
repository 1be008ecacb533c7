//! What one page is made of: read once, so that its numbers belong together.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::admin::state::Admin;
use crate::control_plane::certificates::CertificateView;
use crate::control_plane::command::{EnvironmentView, ServiceView};
use crate::control_plane::handle::ControllerHandle;
use crate::control_plane::scores::ScoreSums;
use crate::control_plane::totals::{EnvironmentTotals, Totals};
use crate::metrics::distribution::Distribution;
use crate::model::environment::Environment;
use crate::model::mirror::counts::MirrorCounts;
use crate::model::name::Name;

/// The counts and the state of a moment.
pub(super) struct Seen {
    pub(super) totals: Arc<Totals>,
    pub(super) services: Vec<ServiceView>,
    /// What there is of quality scores, with service and environment.
    pub(super) scores: Vec<(Name, Name, Vec<ScoreSums>)>,
    /// What became of requests mirrored to each environment, with its service.
    pub(super) mirrors: Vec<(Name, Name, Arc<MirrorCounts>)>,
    pub(super) swaps: Distribution<u64>,
    pub(super) rollbacks: Distribution<u64>,
    pub(super) is_durable: bool,
    pub(super) cohort_marks_lost: u64,
    pub(super) certificates: Vec<CertificateView>,
    /// Seconds of Unix time.
    pub(super) started_at: f64,
}

impl Seen {
    /// As things are now.
    pub(super) fn now(admin: &Admin) -> Self {
        let started_at = admin.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let controller = &admin.controller;
        Self {
            totals: controller.totals(),
            services: controller.view(),
            scores: each_environment(controller, |environment| controller.scores(environment.id)),
            mirrors: each_environment(controller, |environment| Arc::clone(&environment.mirror)),
            swaps: controller.swap_times(),
            rollbacks: controller.rollback_times(),
            is_durable: controller.store_state().not_durable.is_empty(),
            cohort_marks_lost: controller.cohorts(|log, _| log.lost()),
            certificates: controller.certificates(),
            started_at: started_at.as_secs_f64(),
        }
    }

    /// The totals of every environment.
    pub(super) fn environments(&self) -> impl Iterator<Item = &EnvironmentTotals> {
        self.totals.environments.values().map(|totals| &**totals)
    }

    /// The state of every environment, with its service.
    pub(super) fn views(&self) -> impl Iterator<Item = (&ServiceView, &EnvironmentView)> {
        self.services.iter().flat_map(|service| {
            service.environments.iter().map(move |environment| (service, environment))
        })
    }
}

/// Something of every environment, with its service and name.
fn each_environment<T>(
    controller: &ControllerHandle,
    read: impl Fn(&Environment) -> T,
) -> Vec<(Name, Name, T)> {
    let snapshot = controller.snapshot();
    let tables = snapshot.tables().iter();
    let environments = tables.flat_map(|table| {
        let service = &table.service.name;
        table.environments.iter().map(move |environment| (service, environment))
    });
    environments
        .map(|(service, environment)| {
            (service.clone(), environment.name().clone(), read(environment))
        })
        .collect()
}
