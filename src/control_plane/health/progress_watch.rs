//! Looks at the streams of all upstreams once a second.
//!
//! Needs no probe. What follows goes into the upstream, where the data plane reads it; the reason is
//! kept for people.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::suspicion::{Look, Rule, Suspicion};
use crate::control_plane::handle::Shared;
use crate::model::environment::{Environment, EnvironmentSpec};
use crate::model::name::Name;
use crate::model::upstream::{Trust, Upstream, UpstreamId};

/// How often to look. Limits on silence are seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub(in crate::control_plane) async fn run(shared: Arc<Shared>) {
    let mut suspicions: HashMap<UpstreamId, Suspicion> = HashMap::new();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        tick.tick().await;
        let now = Instant::now();
        // A process that was stopped meanwhile has no right to accuse anybody of silence.
        let elapsed = now.saturating_duration_since(last).min(2 * LOOK_EVERY);
        last = now;
        let published = shared.published.load();
        let mut before = std::mem::take(&mut suspicions);
        for (service, environment) in published.environments() {
            for upstream in &environment.upstreams {
                let mut suspicion = before
                    .remove(&upstream.id)
                    .unwrap_or_else(|| Suspicion::new(upstream.progress().streams()));
                look(&shared, (service, environment), upstream, &mut suspicion, elapsed);
                suspicions.insert(upstream.id, suspicion);
            }
        }
        before.into_keys().for_each(|gone| shared.suspicions.forget(gone));
    }
}

fn look(
    shared: &Shared,
    (service, environment): (&Name, &Environment),
    upstream: &Upstream,
    suspicion: &mut Suspicion,
    elapsed: Duration,
) {
    let spec = &environment.spec;
    let (streams, probe) = (upstream.progress().streams(), upstream.probe());
    let rule = Rule { silence_max: spec.health.no_progress, cool_down: spec.ejection.backoff_max };
    let before = suspicion.trust();
    let changed = suspicion.look(&Look { streams, probe, elapsed }, &rule);
    if let Some(trust) = changed {
        upstream.set_trust(trust, Instant::now());
    }
    if suspicion.trust() == Trust::Trusted {
        shared.suspicions.forget(upstream.id);
    } else {
        shared.suspicions.note(upstream.id, reason(shared, spec, upstream, suspicion));
    }
    match (before, changed) {
        (Trust::Trusted, Some(_)) => {
            let why = reason(shared, spec, upstream, suspicion);
            tell(shared, service, spec, upstream, ("upstream_suspect", "is suspect", &why));
        }
        (_, Some(Trust::Trusted)) => {
            let why = match rule.silence_max {
                Some(_) => "content came",
                None => "`health.no_progress` is off",
            };
            tell(shared, service, spec, upstream, ("upstream_trusted", "is trusted again", why));
        }
        _ => {}
    }
}

fn reason(
    shared: &Shared,
    spec: &EnvironmentSpec,
    upstream: &Upstream,
    suspicion: &Suspicion,
) -> String {
    let said = shared.probes.last(upstream.id);
    suspicion.reason(spec.health.path.as_deref().zip(said.as_deref()))
}

fn tell(
    shared: &Shared,
    service: &Name,
    spec: &EnvironmentSpec,
    upstream: &Upstream,
    (kind, what, why): (&'static str, &str, &str),
) {
    let (address, name) = (upstream.spec.to_string(), &spec.name);
    let text = format!("{address} of {name} {what}: {why}");
    let details = json!({ "environment": name, "upstream": address, "reason": why });
    shared.events.tell(Some(service), kind, text, details);
}

#[cfg(test)]
mod tests {
    use super::super::super::test_rig::{Rig, chat, config};
    use super::*;

    #[tokio::test]
    async fn silent_streams_make_an_upstream_suspect_until_content_comes() {
        let mut service = chat();
        service.environments[1].health.no_progress = Some(Duration::from_millis(100));
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Rig::start(&config(&dir, vec![service]));
        let upstream = Arc::clone(&rig.environment("green").upstreams[0]);
        let mut streams = [upstream.stream_opened(), upstream.stream_opened()];
        let mut of_blue = rig.environment("blue").upstreams[0].stream_opened();
        let start = Instant::now();
        streams[0].content_seen(start);
        of_blue.content_seen(start);

        let told = rig.event("upstream_suspect").await;
        let expected = "http://127.0.0.1:2 of green is suspect: 2 streams open, no content for ";
        assert!(told.text.starts_with(expected), "{}", told.text);
        assert!(!upstream.is_usable(Instant::now()) && !upstream.is_out(Instant::now()));
        let shown = rig.view("green").upstreams[0].suspect.clone().unwrap();
        assert!(shown.starts_with("2 streams open, no content for "), "{shown}");
        assert_eq!(rig.view("blue").upstreams[0].suspect, None);

        streams[1].content_seen(start + Duration::from_secs(1));
        let told = rig.event("upstream_trusted").await;
        assert_eq!(told.text, "http://127.0.0.1:2 of green is trusted again: content came");
        assert!(upstream.is_usable(Instant::now()));
        assert_eq!(rig.view("green").upstreams[0].suspect, None);
    }
}
