//! From what the controller publishes to what the API says.

use std::time::Duration;

use super::api::standing::State;
use super::api::{Applied, Drain, Environment, Event, JournalEntry, Service, Upstream};
use super::explain::{Failures, explain};
use super::state::Admin;
use crate::control_plane::command::{self, DrainView, EnvironmentView, ServiceView, UpstreamView};
use crate::control_plane::windows::Span;
use crate::control_plane::{event, journal};
use crate::model::name::Name;
use crate::model::rfc3339;
use crate::model::standing::Standing;

impl Admin {
    /// A service with its environments and its last rollout.
    pub(super) fn described(&self, view: &ServiceView) -> Service {
        let release = self.controller.release(view.name.as_str());
        let mut service = Service {
            name: view.name.clone(),
            generation: view.generation,
            state: State::default(),
            explanation: String::new(),
            next: String::new(),
            active: view.assignment.active.clone(),
            environments: view.environments.iter().map(Environment::from).collect(),
            rollout: self.rollout(view).map(Box::new),
            frozen: release.and_then(|release| release.frozen),
        };
        explain(&mut service, &|name, time| self.failures(view, name, time));
        service
    }

    fn failures(&self, view: &ServiceView, name: &Name, time: Duration) -> Failures {
        let snapshot = self.controller.snapshot();
        let table = snapshot.table(view.name.as_str());
        let id = table.and_then(|table| table.environment(name.as_str())).map(|known| known.id);
        let measured = id.and_then(|id| self.controller.measured_over(id, Span::Past(time), &[]));
        let tallies = measured.map(|measured| measured.counts.tallies).unwrap_or_default();
        Failures { failed: tallies.standing(Standing::Bad), of: tallies.judged() }
    }
}

impl From<&EnvironmentView> for Environment {
    fn from(view: &EnvironmentView) -> Self {
        Self {
            name: view.name.clone(),
            version: view.version.clone(),
            model: view.model.clone(),
            role: view.role.map(str::to_owned),
            weight_percent: view.weight,
            in_flight: view.in_flight,
            queued: view.queued,
            upstreams: view.upstreams.iter().map(Upstream::from).collect(),
            overridden: view.overridden.iter().map(|&field| field.to_owned()).collect(),
            served_by: view.served_by.clone(),
            drain: view.drain.as_ref().map(Drain::from),
            smoke: None,
        }
    }
}

impl From<&UpstreamView> for Upstream {
    fn from(view: &UpstreamView) -> Self {
        Self {
            address: view.address.clone(),
            probe: view.probe,
            last_probe: view.last_probe.clone(),
            ejected: view.ejected,
            suspect: view.suspect.clone(),
            in_flight: view.in_flight,
            addresses: view.addresses.clone(),
        }
    }
}

impl From<&DrainView> for Drain {
    fn from(view: &DrainView) -> Self {
        Self {
            state: view.state.to_owned(),
            in_flight: view.in_flight,
            left_ms: view.left_ms,
            ended: view.ended,
            oldest_ms: view.oldest_ms,
        }
    }
}

impl From<command::Applied> for Applied {
    fn from(applied: command::Applied) -> Self {
        Self {
            generation: applied.generation,
            changed: applied.changed,
            lagging_cores: applied.lagging_cores,
            applied_us: applied.applied_us,
            durable: applied.durable,
            warnings: applied.warnings,
        }
    }
}

impl From<&event::Event> for Event {
    fn from(event: &event::Event) -> Self {
        Self {
            seq: event.seq,
            at: rfc3339::format(event.at),
            service: event.service.clone(),
            kind: event.kind.to_owned(),
            text: event.text.clone(),
            details: event.details.clone(),
        }
    }
}

impl From<journal::Entry> for JournalEntry {
    fn from(entry: journal::Entry) -> Self {
        Self {
            id: entry.id,
            at: rfc3339::format(entry.at),
            service: entry.service,
            generation: entry.generation,
            actor: entry.actor,
            kind: entry.kind,
            reason: entry.reason,
            text: entry.text,
            before: entry.before,
            after: entry.after,
            details: entry.details,
        }
    }
}
