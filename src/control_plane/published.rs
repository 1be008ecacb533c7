//! What may be read of the controller's state at any time, without asking the controller.
//!
//! The controller swaps in a new value after each change; counts that live in atomics (in flight,
//! probes) are read when somebody looks. So a dashboard never delays a rollback.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::clock::unix_ms;
use super::command::{DrainView, EnvironmentView, Refused, ReleaseView, ServiceView, UpstreamView};
use super::remarks::Remarks;
use crate::model::assignment::{Assignment, AssignmentError, PartnerRole};
use crate::model::environment::{Environment, EnvironmentId};
use crate::model::name::Name;
use crate::model::routing_table::RoutingTable;
use crate::model::service::ServiceSpec;
use crate::model::upstream::Upstream;
use crate::rollout::release::Release;

/// The state after the last change.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// In the order of the config.
    pub(super) services: Vec<PublishedService>,
    /// Drains under way, and those done since the environment last had traffic.
    pub(super) drains: HashMap<EnvironmentId, watch::Receiver<DrainView>>,
    /// Who serves the requests of environments that have no usable upstream.
    pub(super) fallbacks: HashMap<EnvironmentId, Name>,
}

/// One service of it.
#[derive(Debug)]
pub(super) struct PublishedService {
    /// What the data plane has.
    pub(super) table: Arc<RoutingTable>,
    /// Per environment, the fields that the API changed.
    pub(super) overridden: BTreeMap<Name, Vec<&'static str>>,
    /// The rollout, and what was before it.
    pub(super) release: Release,
    /// Since when this process has observed the rollout, and for how long it had been before.
    pub(super) observed: (Instant, Duration),
}

impl Published {
    /// The state now, counts included.
    pub(super) fn view(&self, probes: &Remarks, suspicions: &Remarks) -> Vec<ServiceView> {
        let now = Instant::now();
        let view = |upstream: &Upstream| upstream_view(upstream, probes, suspicions, now);
        self.services.iter().map(|service| self.service_view(service, view)).collect()
    }

    /// Every environment with its service, for labels.
    pub(super) fn environments(&self) -> impl Iterator<Item = (&Name, &Arc<Environment>)> {
        self.services.iter().flat_map(|service| {
            let name = &service.table.service.name;
            service.table.environments.iter().map(move |environment| (name, environment))
        })
    }

    /// A service and an environment of it, as requests are routed to it.
    pub(super) fn routed(
        &self,
        service: &Name,
        environment: &Name,
    ) -> Result<(Arc<ServiceSpec>, Arc<Environment>), Refused> {
        let Some(table) = self.tables().find(|table| table.service.name == *service) else {
            let known = self.tables().map(|table| table.service.name.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Refused::UnknownService { name: service.clone(), known });
        };
        let found = table.environment(environment.as_str()).ok_or_else(|| {
            let known = table.environments.iter().map(|known| known.name().as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            AssignmentError::Unknown { name: environment.clone(), known }
        })?;
        Ok((Arc::clone(&table.service), Arc::clone(found)))
    }

    /// The release of a service, and how long its rollout has been observed.
    pub(super) fn release(&self, service: &str) -> Option<ReleaseView> {
        let found = self.services.iter().find(|s| s.table.service.name == *service)?;
        let (since, before) = found.observed;
        let release = found.release.clone();
        let frozen = release.frozen(unix_ms());
        Some(ReleaseView { release, frozen, observed: before + since.elapsed() })
    }

    /// The tables at work.
    pub(super) fn tables(&self) -> impl Iterator<Item = &RoutingTable> + Clone {
        self.services.iter().map(|service| &*service.table)
    }

    fn service_view(
        &self,
        service: &PublishedService,
        view: impl Fn(&Upstream) -> UpstreamView,
    ) -> ServiceView {
        let table = &service.table;
        let environments = table.environments.iter().map(|environment| EnvironmentView {
            name: environment.name().clone(),
            version: environment.spec.version.clone(),
            model: environment.spec.models.otherwise.as_ref().map(|own| own.as_str().into()),
            role: role(&table.assignment, environment.name()),
            weight: table.weight(environment.name()),
            in_flight: environment.in_flight.count(),
            queued: environment.in_flight.waiting(),
            upstreams: environment.upstreams.iter().map(|upstream| view(upstream)).collect(),
            overridden: service.overridden.get(environment.name()).cloned().unwrap_or_default(),
            served_by: self.fallbacks.get(&environment.id).cloned(),
            drain: self.drains.get(&environment.id).map(|drain| drain.borrow().clone()),
        });
        ServiceView {
            name: table.service.name.clone(),
            generation: table.generation,
            assignment: table.assignment.clone(),
            environments: environments.collect(),
        }
    }
}

/// The role of an environment, as every surface calls it.
pub(super) fn role(assignment: &Assignment, name: &Name) -> Option<&'static str> {
    if assignment.active == *name {
        return Some("active");
    }
    match &assignment.partner {
        Some(partner) if partner.environment == *name => Some(match partner.role {
            PartnerRole::Candidate => "candidate",
            PartnerRole::Previous => "previous",
        }),
        _ => (assignment.fallback.as_ref() == Some(name)).then_some("fallback"),
    }
}

fn upstream_view(
    upstream: &Upstream,
    probes: &Remarks,
    suspicions: &Remarks,
    now: Instant,
) -> UpstreamView {
    UpstreamView {
        address: upstream.spec.to_string(),
        probe: upstream.probe(),
        last_probe: probes.last(upstream.id),
        ejected: upstream.is_ejected(now),
        suspect: suspicions.last(upstream.id),
        in_flight: upstream.in_flight.count(),
        addresses: upstream.addresses.load().to_vec(),
    }
}
