//! Looks the host names of upstreams up, again and again.
//!
//! A name server that is away must not take a service with it: addresses once found stay until
//! others are found. Literal addresses and unix sockets are never looked up.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;

use super::event::Events;
use super::handle::Shared;
use super::watchers::{StartGuard, Watchers};
use crate::model::name::Name;
use crate::model::upstream::{Upstream, UpstreamAddress, UpstreamId};

/// Time between two look-ups of a name that is found: the TTL is not known here, and this is below
/// the 30 s that most platforms set.
const LOOK_UP_EVERY: Duration = Duration::from_secs(10);

/// First and longest pause after a failed look-up.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Time one look-up may take; the system's own limit is often 10 s.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);

/// Look-ups at once. Each occupies a thread of the blocking pool, for as long as the name server
/// likes.
const LOOK_UPS_MAX: usize = 8;

/// A name to look up.
#[derive(Clone)]
struct Job {
    service: Name,
    upstream: Arc<Upstream>,
    host: Arc<str>,
    port: u16,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        // The upstream's name cannot change under its id.
        self.upstream.id == other.upstream.id && self.service == other.service
    }
}

/// Looks the name of an upstream up, where it has one that was not found yet. For those who cannot wait
/// until look-ups are at work; a name that is not found is their concern.
pub(super) async fn once(upstream: &Upstream) {
    let UpstreamAddress::Tcp { host, port } = &upstream.spec.address else { return };
    if !upstream.addresses.load().is_empty() {
        return;
    }
    if let Ok(found) = tokio::net::lookup_host((&**host, *port)).await {
        upstream.addresses.store(found.collect());
    }
}

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, guard: StartGuard) {
    let mut changed = shared.changed.subscribe();
    let mut guard = Some(guard);
    let mut watchers = Watchers::new();
    let look_ups = Arc::new(Semaphore::new(LOOK_UPS_MAX));
    loop {
        changed.borrow_and_update();
        let events = &shared.events;
        watchers.reconcile(jobs(&shared), |job| {
            watch(job, events.clone(), Arc::clone(&look_ups), guard.clone())
        });
        guard = None;
        if changed.changed().await.is_err() {
            return;
        }
    }
}

fn jobs(shared: &Shared) -> HashMap<UpstreamId, Job> {
    let published = shared.published.load();
    let upstreams = published.environments().flat_map(|(service, environment)| {
        environment.upstreams.iter().map(move |upstream| (service, upstream))
    });
    let job = |(service, upstream): (&Name, &Arc<Upstream>)| {
        let UpstreamAddress::Tcp { host, port } = &upstream.spec.address else { return None };
        if host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let (service, upstream) = (service.clone(), Arc::clone(upstream));
        Some((upstream.id, Job { service, upstream, host: Arc::clone(host), port: *port }))
    };
    upstreams.filter_map(job).collect()
}

async fn watch(job: Job, events: Events, look_ups: Arc<Semaphore>, mut guard: Option<StartGuard>) {
    let mut pause = PAUSE_MIN;
    let mut failing = false;
    loop {
        let rest = match look_up(&job, &look_ups).await {
            Ok(found) => {
                if failing {
                    tell(&job, &events, "resolve_recovered", "is found again");
                }
                (failing, pause) = (false, PAUSE_MIN);
                take_over(&job, found, &events);
                LOOK_UP_EVERY
            }
            Err(problem) => {
                if !failing {
                    let kept = job.upstream.addresses.load().len();
                    let kept = if kept == 0 { "none is known" } else { "the last ones stay" };
                    tell(&job, &events, "resolve_failed", &format!("{problem}; {kept}"));
                }
                failing = true;
                let rest = pause;
                pause = (pause * 2).min(PAUSE_MAX);
                rest
            }
        };
        guard.take();
        // Jitter, so that many names do not meet at the name server every time.
        tokio::time::sleep(rest.mul_f64(1.0 + 0.2 * fastrand::f64())).await;
    }
}

/// One look-up: sorted addresses without repeats.
async fn look_up(job: &Job, look_ups: &Arc<Semaphore>) -> Result<Vec<SocketAddr>, String> {
    let Ok(permit) = Arc::clone(look_ups).acquire_owned().await else {
        return Err("look-ups have ended".to_owned());
    };
    let (host, port) = (Arc::clone(&job.host), job.port);
    // A task, because the permit must outlive our patience: the system's look-up cannot be stopped.
    let looking = tokio::spawn(async move {
        let found = tokio::net::lookup_host((&*host, port)).await.map(Vec::from_iter);
        drop(permit);
        found
    });
    let mut found = match tokio::time::timeout(LOOK_UP_MAX, looking).await {
        Ok(Ok(Ok(found))) => found,
        Ok(Ok(Err(error))) => return Err(error.to_string()),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no answer in {} s", LOOK_UP_MAX.as_secs())),
    };
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { Err("it has no address".to_owned()) } else { Ok(found) }
}

fn take_over(job: &Job, found: Vec<SocketAddr>, events: &Events) {
    let before = job.upstream.addresses.load();
    if **before == *found {
        return;
    }
    let addresses: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
    job.upstream.addresses.store(found);
    tell(job, events, "upstream_resolved", &format!("is at {}", addresses.join(", ")));
}

fn tell(job: &Job, events: &Events, kind: &'static str, what: &str) {
    let text = match kind {
        "resolve_failed" => format!("{} cannot be looked up: {what}", job.host),
        _ => format!("{} {what}", job.host),
    };
    let addresses = job.upstream.addresses.load();
    let details = json!({ "upstream": job.upstream.spec.to_string(), "addresses": **addresses });
    events.tell(Some(&job.service), kind, text, details);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn job(host: &str) -> Job {
        let spec = format!("http://{host}:8001").parse().unwrap();
        let upstream = Arc::new(Upstream::new(UpstreamId(1), spec, Instant::now()));
        let service = Name::new("chat").unwrap();
        Job { service, upstream, host: host.into(), port: 8001 }
    }

    #[tokio::test]
    async fn a_name_is_found_and_told_once() {
        let (job, events) = (job("localhost"), Events::default());
        let mut listener = events.listen();
        let look_ups = Arc::new(Semaphore::new(1));
        for _ in 0..2 {
            let found = look_up(&job, &look_ups).await.unwrap();
            take_over(&job, found, &events);
        }
        assert!(job.upstream.addresses.load().iter().all(|a| a.ip().is_loopback()));
        let told = listener.try_recv().unwrap();
        assert_eq!(told.kind, "upstream_resolved");
        assert!(told.text.starts_with("localhost is at "), "{}", told.text);
        assert!(listener.try_recv().is_err());
    }

    #[test]
    fn a_name_that_moves_is_told_and_what_is_open_to_its_old_address_gets_nothing_new() {
        let (job, events) = (job("llm.test"), Events::default());
        let mut listener = events.listen();
        let [old, new] = [2, 3].map(|n| SocketAddr::from(([127, 0, 0, n], 8001)));
        take_over(&job, vec![old], &events);
        let open = job.upstream.addresses.load().destination(Some(old));
        take_over(&job, vec![old], &events);
        assert!(job.upstream.addresses.may_rest(&open));
        take_over(&job, vec![new], &events);
        assert!(!job.upstream.addresses.has(&open));
        let told = [(); 2].map(|()| listener.try_recv().unwrap().text.clone());
        assert_eq!(told, ["llm.test is at 127.0.0.2", "llm.test is at 127.0.0.3"]);
        assert!(listener.try_recv().is_err(), "what stays is not told");
    }

    #[tokio::test]
    async fn addresses_stay_when_a_look_up_fails() {
        let (job, events) = (job("no-such-name.invalid"), Events::default());
        let known: SocketAddr = "127.0.0.1:8001".parse().unwrap();
        job.upstream.addresses.store(vec![known]);
        let mut listener = events.listen();
        let (guard, mut started) = tokio::sync::mpsc::channel(1);
        let look_ups = Arc::new(Semaphore::new(1));
        let watching = tokio::spawn(watch(job.clone(), events, look_ups, Some(guard)));
        let told = tokio::time::timeout(LOOK_UP_MAX * 2, listener.recv()).await.unwrap().unwrap();
        assert_eq!(told.kind, "resolve_failed");
        assert!(told.text.ends_with("; the last ones stay"), "{}", told.text);
        assert_eq!(started.recv().await, None, "the first chance has passed");
        assert_eq!(**job.upstream.addresses.load(), [known]);
        watching.abort();
    }
}
