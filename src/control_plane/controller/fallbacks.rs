//! Environments whose requests another one serves, because they have no usable upstream: told when that
//! begins and when it is over, as an event, in the journal and to hooks.
//!
//! The data plane does it by itself, request by request, and reports each. It is over when the environment
//! has a usable upstream and nothing was handed over for a while; so one whose upstreams come and go every
//! few seconds is one story, not many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Controller;
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::upstream::Upstream;

/// How long an environment must have served its requests itself.
const QUIET: Duration = Duration::from_secs(5);

/// All of them. Never more than there are environments: those that are gone are over.
#[derive(Debug, Default)]
pub(super) struct Fallbacks {
    list: HashMap<EnvironmentId, Fallback>,
}

#[derive(Debug)]
struct Fallback {
    service: Name,
    from: Name,
    to: Name,
    last: Instant,
}

impl Fallback {
    /// Whether the environment has these upstreams and serves its requests itself again; without any, it
    /// has no requests.
    fn is_over(&self, upstreams: Option<&[Arc<Upstream>]>, now: Instant) -> bool {
        upstreams.is_none_or(|upstreams| {
            let is_quiet = now.saturating_duration_since(self.last) >= QUIET;
            is_quiet && upstreams.iter().any(|upstream| upstream.is_usable(now))
        })
    }
}

impl Fallbacks {
    /// Who serves for whom.
    pub(super) fn views(&self) -> HashMap<EnvironmentId, Name> {
        self.list.iter().map(|(id, fallback)| (*id, fallback.to.clone())).collect()
    }
}

impl Controller {
    /// A request of `from` was given to `to`.
    pub(super) fn fell_back(&mut self, from: EnvironmentId, to: EnvironmentId, now: Instant) {
        if let Some(known) = self.fallbacks.list.get_mut(&from) {
            known.last = now;
            return;
        }
        let name = |id: EnvironmentId| {
            let found = self.environments().find(|(_, environment)| environment.id == id);
            found.map(|(service, environment)| (service.clone(), environment.name().clone()))
        };
        let (Some((service, from_name)), Some((_, to))) = (name(from), name(to)) else { return };
        let text =
            format!("{from_name} has no usable upstream; {to} serves its requests meanwhile");
        let details = json!({ "from": from_name, "to": to });
        let fallback = Fallback { service: service.clone(), from: from_name, to, last: now };
        self.fallbacks.list.insert(from, fallback);
        self.publish_view();
        self.note(&service, "fell_back", text, details);
    }

    /// Tells of those that are over.
    pub(super) fn look_at_fallbacks(&mut self, now: Instant) {
        let fallbacks = std::mem::take(&mut self.fallbacks.list);
        let (over, goes_on): (HashMap<_, _>, HashMap<_, _>) = fallbacks
            .into_iter()
            .partition(|(id, fallback)| fallback.is_over(self.upstreams_with_traffic(*id), now));
        self.fallbacks.list = goes_on;
        if !over.is_empty() {
            self.publish_view();
        }
        for Fallback { service, from, to, .. } in over.into_values() {
            let text = format!("{to} serves no requests of {from} any more");
            self.note(&service, "fallback_over", text, json!({ "from": from, "to": to }));
        }
    }

    /// The upstreams of an environment, if it has traffic.
    fn upstreams_with_traffic(&self, id: EnvironmentId) -> Option<&[Arc<Upstream>]> {
        let tables = self.services.list.iter().map(|live| &live.table);
        let mut all = tables.flat_map(|table| table.environments.iter().map(move |e| (table, e)));
        let (table, environment) = all.find(|(_, environment)| environment.id == id)?;
        let has_traffic = !table.weight(environment.name()).is_zero();
        has_traffic.then_some(&environment.upstreams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::test_rig::name;
    use crate::model::upstream::{Probe, UpstreamId};

    #[test]
    fn it_is_over_when_an_upstream_is_usable_and_nothing_was_handed_over_for_a_while() {
        let start = Instant::now();
        let address = "http://127.0.0.1:1".parse().unwrap();
        let upstreams = [Arc::new(Upstream::new(UpstreamId(1), address, start))];
        let (service, from, to) = (name("chat"), name("blue"), name("red"));
        let fallback = Fallback { service, from, to, last: start };
        for (probe, after_s, is_over) in [
            (Probe::Down, 60, false),
            (Probe::Up, 4, false),
            (Probe::Up, 5, true),
            (Probe::Unknown, 5, true),
        ] {
            upstreams[0].set_probe(probe, start);
            let now = start + Duration::from_secs(after_s);
            assert_eq!(fallback.is_over(Some(&upstreams), now), is_over, "{probe:?} {after_s} s");
        }
        assert!(fallback.is_over(None, start), "it has no traffic any more");
    }
}
