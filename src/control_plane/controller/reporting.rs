//! What cores report without being asked, turned into events with names in them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Controller;
use crate::link::CoreReport;
use crate::model::environment::{Environment, EnvironmentId};
use crate::model::name::Name;

/// One event of a kind per environment and this much time: a fallback happens with every request.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Environments remembered by the throttle before it is emptied.
const REMEMBERED_MAX: usize = 1024;

/// Remembers what was told lately.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    told: HashMap<EnvironmentId, Instant>,
}

impl Throttle {
    /// Whether it is time to tell again.
    fn is_due(&mut self, environment: EnvironmentId, now: Instant) -> bool {
        if self.told.len() >= REMEMBERED_MAX {
            self.told.clear();
        }
        let last = self.told.get(&environment);
        let due = last.is_none_or(|last| now.saturating_duration_since(*last) >= TELL_EVERY);
        if due {
            self.told.insert(environment, now);
        }
        due
    }
}

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
            CoreReport::FellBack { from, to } => self.fell_back(from, to),
        }
    }

    fn fell_back(&mut self, from: EnvironmentId, to: EnvironmentId) {
        if !self.fallbacks_told.is_due(from, Instant::now()) {
            return;
        }
        let name = |id: EnvironmentId| {
            let found = self.environments().find(|(_, environment)| environment.id == id);
            found.map(|(service, environment)| (service.clone(), environment.name().clone()))
        };
        let (Some((service, from)), Some((_, to))) = (name(from), name(to)) else { return };
        let text = format!("{from} has no usable upstream; {to} serves its requests meanwhile");
        let details = json!({ "from": from, "to": to });
        self.shared.events.tell(Some(&service), "fell_back", text, details);
    }

    fn environments(&self) -> impl Iterator<Item = (&Name, &Arc<Environment>)> {
        self.services.list.iter().flat_map(|live| {
            live.table.environments.iter().map(move |environment| (&live.file.name, environment))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fallback_is_told_once_in_ten_seconds() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        let s = Duration::from_secs;
        for (at, environment, due) in [(0, 1, true), (9, 1, false), (9, 2, true), (10, 1, true)] {
            assert_eq!(throttle.is_due(EnvironmentId(environment), start + s(at)), due, "{at} s");
        }
    }
}
