//! What cores report without being asked, turned into events with names in them.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::Controller;
use crate::control_plane::change::rollout::CONTROLLER;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::journal::NewEntry;
use crate::link::CoreReport;
use crate::model::environment::Environment;
use crate::model::name::Name;

impl Controller {
    /// A core reports something.
    pub(super) fn report(&mut self, report: CoreReport) {
        match report {
            CoreReport::UpstreamEjected { upstream, reason } => {
                let owner = self.environments().find_map(|(service, environment)| {
                    let address = environment.upstreams.iter().find(|u| u.id == upstream)?;
                    Some((service.clone(), environment.name().clone(), address.spec.to_string()))
                });
                // An upstream that was removed meanwhile concerns nobody any more.
                let Some((service, environment, address)) = owner else { return };
                let text = format!("{address} of {environment} is out for the moment: {reason}");
                let details =
                    json!({ "environment": environment, "upstream": address, "reason": reason });
                self.shared.events.tell(Some(&service), "upstream_ejected", text, details);
            }
            CoreReport::FellBack { from, to } => self.fell_back(from, to, Instant::now()),
        }
    }

    /// Tells of something that happened without a change: as an event and in the journal.
    pub(super) fn note(
        &mut self,
        service: &Name,
        kind: &'static str,
        text: String,
        details: Value,
    ) {
        let entry = NewEntry {
            at: unix_ms(),
            service: Some(service.clone()),
            generation: self.services.find(service).map_or(0, |live| live.record.generation),
            actor: CONTROLLER.to_owned(),
            kind: kind.to_owned(),
            reason: None,
            text: text.clone(),
            before: Value::Null,
            after: Value::Null,
            details: details.clone(),
        };
        self.shared.events.tell(Some(service), kind, text, details);
        self.disk.owe(vec![], vec![entry], None);
        self.flush();
    }

    /// Every environment with its service.
    pub(super) fn environments(&self) -> impl Iterator<Item = (&Name, &Arc<Environment>)> {
        self.services.list.iter().flat_map(|live| {
            live.table.environments.iter().map(move |environment| (&live.file.name, environment))
        })
    }
}
