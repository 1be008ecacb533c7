//! The services as they are at work, and how a next state becomes tables.
//!
//! What is counted and remembered per address or environment (in flight, ejections, pools) must
//! outlive table changes, so environments and upstreams keep their number and their live values for
//! as long as their name and address stay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::change::Next;
use super::command::Refused;
use super::predecessor::Predecessor;
use super::record::ServiceRecord;
use super::warm_up::Taps;
use crate::model::environment::{Environment, EnvironmentId, EnvironmentSpec};
use crate::model::name::Name;
use crate::model::routing_table::RoutingTable;
use crate::model::service::ServiceSpec;
use crate::model::snapshot::Snapshot;
use crate::model::upstream::{Upstream, UpstreamId};
use crate::rollout::rollback_time::RollbackTime;

/// A service at work.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// As the file has it.
    pub(super) file: Arc<ServiceSpec>,
    /// What the store keeps of it, as published.
    pub(super) record: ServiceRecord,
    /// What the data plane has.
    pub(super) table: Arc<RoutingTable>,
    /// The highest generation handed out; above the published one while a change waits for the
    /// disk.
    pub(super) numbered: u64,
    /// Since when the rollout has been observed by this process, and for how long it had been before.
    observed: (Instant, Duration),
    predecessor: Predecessor,
}

/// All services, in the order of the config.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) list: Vec<Live>,
    /// Records of services that the config does not have now; they come back as they were.
    pub(super) dormant: BTreeMap<Name, ServiceRecord>,
    /// What copies requests for candidates that warm up.
    pub(super) taps: Taps,
    /// The process before may have exchanges in flight in them as well.
    pub(super) predecessor: Predecessor,
    environments_numbered: u32,
    upstreams_numbered: u32,
}

impl Live {
    /// How long the rollout has been observed.
    pub(super) fn observed(&self, now: Instant) -> Duration {
        let (since, before) = self.observed;
        before + now.saturating_duration_since(since)
    }

    /// Since when this process has observed the rollout, and for how long it had been before.
    pub(super) fn clock(&self) -> (Instant, Duration) {
        self.observed
    }

    /// Exchanges in flight in one environment, here and in the process before.
    pub(super) fn in_flight(&self, environment: &Name) -> u32 {
        let here = self.table.environment(environment.as_str());
        let here = here.map_or(0, |environment| environment.in_flight.count());
        here.saturating_add(self.predecessor.in_flight(&self.file.name, environment))
    }
}

impl Services {
    /// The service with this name.
    pub(super) fn find(&self, name: &Name) -> Option<&Live> {
        self.list.iter().find(|live| live.file.name == *name)
    }

    /// The service with this name, at this generation if one is asked for.
    ///
    /// # Errors
    /// When there is none, or it has moved on.
    pub(super) fn expect(&self, name: &Name, generation: Option<u64>) -> Result<&Live, Refused> {
        let live = self.find(name).ok_or_else(|| {
            let known = self.list.iter().map(|live| live.file.name.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            Refused::UnknownService { name: name.clone(), known }
        })?;
        let current = live.record.generation;
        match generation {
            Some(asked) if asked != current => Err(Refused::Generation { asked, current }),
            _ => Ok(live),
        }
    }

    /// The number for the next change of a service. A number is used once, even when its change is
    /// overtaken.
    pub(super) fn number(&mut self, name: &Name) -> u64 {
        if let Some(live) = self.list.iter_mut().find(|live| live.file.name == *name) {
            live.numbered += 1;
            return live.numbered;
        }
        self.dormant.get(name).map_or(1, |record| record.generation + 1)
    }

    /// Puts a service's next state to work.
    pub(super) fn install(&mut self, next: Next) {
        let name = next.file.name.clone();
        let index = self.list.iter().position(|live| live.file.name == name);
        let before = index.map(|index| Arc::clone(&self.list[index].table));
        let before = before.as_ref().map_or(&[][..], |table| &table.environments);
        let now = Instant::now();
        let environments: Vec<_> =
            next.specs.into_iter().map(|spec| self.environment(spec, before, now)).collect();
        let tap = self.taps.of(&next.file, &next.record, &environments, now);
        let (generation, assignment) = (next.record.generation, next.record.assignment.clone());
        let rollout = next.record.release.running().map_or(0, |rollout| rollout.id);
        let table = RoutingTable::new(generation, Arc::clone(&next.file), environments, assignment)
            .with_rollout(rollout)
            .with_mirror(tap);
        let numbered = index.map_or(generation, |index| self.list[index].numbered.max(generation));
        let observed = self.clock_of(index, &next.record, now);
        let live = Live {
            file: next.file,
            record: next.record,
            table: Arc::new(table),
            numbered,
            observed,
            predecessor: self.predecessor.clone(),
        };
        match index {
            Some(index) => self.list[index] = live,
            None => self.list.push(live),
        }
        self.dormant.remove(&name);
    }

    /// Notes how long the rollout of a service has been observed. The record with it, to be kept.
    pub(super) fn touch_rollout(&mut self, service: &Name, now: Instant) -> Option<ServiceRecord> {
        let live = self.list.iter_mut().find(|live| live.file.name == *service)?;
        let observed = live.observed(now);
        live.record.release.rollout.as_mut()?.observed = observed;
        Some(live.record.clone())
    }

    /// Notes how long the way back of the last rollout took, if it is still this one. The record with it,
    /// to be kept.
    pub(super) fn note_rollback_time(
        &mut self,
        service: &Name,
        rollout: u64,
        time: RollbackTime,
    ) -> Option<ServiceRecord> {
        let live = self.list.iter_mut().find(|live| live.file.name == *service)?;
        let last = live.record.release.rollout.as_mut().filter(|last| last.id == rollout)?;
        last.rollback_time = Some(time);
        Some(live.record.clone())
    }

    /// The clock of a rollout goes on while it stays the same one.
    fn clock_of(
        &self,
        index: Option<usize>,
        next: &ServiceRecord,
        now: Instant,
    ) -> (Instant, Duration) {
        let id = |record: &ServiceRecord| record.release.rollout.as_ref().map(|rollout| rollout.id);
        let same = index.map(|index| &self.list[index]).filter(|live| id(&live.record) == id(next));
        let kept = next.release.rollout.as_ref().map_or(Duration::ZERO, |r| r.observed);
        same.map_or((now, kept), |live| live.observed)
    }

    /// Brings the services into the order of `names`; those that are not named go to rest.
    pub(super) fn arrange(&mut self, names: &[Name]) {
        let mut list = std::mem::take(&mut self.list);
        for name in names {
            if let Some(index) = list.iter().position(|live| live.file.name == *name) {
                self.list.push(list.swap_remove(index));
            }
        }
        for mut resting in list {
            resting.record.generation = resting.numbered;
            self.dormant.insert(resting.file.name.clone(), resting.record);
        }
    }

    /// What the data plane shall work with.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.list.iter().map(|live| Arc::clone(&live.table)).collect())
    }

    fn environment(
        &mut self,
        spec: EnvironmentSpec,
        before: &[Arc<Environment>],
        now: Instant,
    ) -> Arc<Environment> {
        let known = before.iter().find(|environment| *environment.name() == spec.name);
        if let Some(same) = known.filter(|environment| *environment.spec == spec) {
            return Arc::clone(same);
        }
        // Connections are kept by upstream: one that is spoken to in another way is another one, or a
        // connection made with an older certificate would be used under the new rules.
        let alike = known.filter(|e| e.spec.tls == spec.tls && e.spec.protocol == spec.protocol);
        let addresses = spec.upstreams.iter().map(|address| {
            let kept = alike.and_then(|e| e.upstreams.iter().find(|u| u.spec == *address));
            kept.map_or_else(
                || {
                    self.upstreams_numbered += 1;
                    let id = UpstreamId(self.upstreams_numbered);
                    Arc::new(Upstream::new(id, address.clone(), now))
                },
                Arc::clone,
            )
        });
        let upstreams = addresses.collect();
        let (id, in_flight, mirror) = if let Some(known) = known {
            (known.id, Arc::clone(&known.in_flight), Arc::clone(&known.mirror))
        } else {
            self.environments_numbered += 1;
            (EnvironmentId(self.environments_numbered), Arc::default(), Arc::default())
        };
        Arc::new(Environment { id, spec: Arc::new(spec), upstreams, in_flight, mirror })
    }
}

/// The environments of a record at work: the file's with what the API changed, in the order of the
/// assignment.
///
/// # Errors
/// When a kept upstream is none, or an environment is neither in the file nor made by the API.
pub(super) fn specs(
    file: &ServiceSpec,
    record: &ServiceRecord,
) -> Result<Vec<EnvironmentSpec>, Refused> {
    let members = record.assignment.members.iter();
    let spec = |name: &Name| {
        let own = record.overrides.get(name).cloned().unwrap_or_default();
        let base = match file.environments.iter().find(|spec| spec.name == *name) {
            Some(base) => base.clone(),
            None if own.created => EnvironmentSpec::new(name.clone(), vec![]),
            None => {
                return Err(Refused::State {
                    problem: format!("`{name}` of service `{}` is not in the file", file.name),
                    remedy: "write it into the file again, or remove it by the API".to_owned(),
                });
            }
        };
        own.apply(&base).map_err(|error| Refused::Invalid {
            field: error.field(),
            problem: format!("{error} (kept for `{name}`; put another value)"),
        })
    };
    members.map(|member| spec(&member.environment)).collect()
}
