//! Active probes: asks every upstream that has a health path how it is.
//!
//! What upstreams say of themselves is one half; `progress_watch` looks at what their streams say.
//! Never more often than the interval says, also over reloads: a busy llama-server that is asked
//! too often does not even notice clients that leave. Results go into the upstream, where the data
//! plane reads them; the answer in words is kept for people.

mod client;
mod opinion;
mod progress_watch;
mod suspicion;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::call;
use super::handle::Shared;
use super::watchers::{StartGuard, Watchers};
use crate::model::environment::{Environment, EnvironmentSpec};
use crate::model::name::Name;
use crate::model::upstream::{Probe, Upstream, UpstreamId};
use client::Prober;
use opinion::Opinion;
pub(super) use progress_watch::run as watch_progress;

/// Probes at once: enough for a hundred upstreams that all hang until their timeout.
const PROBES_MAX: usize = 64;

/// What an environment says that nobody can ask.
const NO_UPSTREAMS: &str = "it has no upstreams";

/// What a probe task is told to do.
#[derive(Clone)]
struct Job {
    service: Name,
    environment: Arc<EnvironmentSpec>,
    upstream: Arc<Upstream>,
    /// When it was last asked; shared with the tasks before and after this one.
    last: LastAsked,
}

/// Outlives a task, so that new instructions are no reason to ask early.
type LastAsked = Arc<std::sync::Mutex<Option<Instant>>>;

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.environment, &other.environment);
        self.upstream.id == other.upstream.id
            && a.health == b.health
            && a.protocol == b.protocol
            && a.tls == b.tls
            && a.host == b.host
            && a.set_headers == b.set_headers
    }
}

/// Whether every upstream of an environment answers now; else those that do not, with what they said.
pub(super) async fn all_answer(environment: &Environment, within: Duration) -> Result<(), String> {
    if environment.upstreams.is_empty() {
        return Err(NO_UPSTREAMS.to_owned());
    }
    let answers = each_answers(environment, within).await;
    let failed: Vec<String> = answers.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join(", ")) }
}

/// What every upstream of an environment answers now, in their order.
pub(super) async fn each_answers(
    environment: &Environment,
    within: Duration,
) -> Vec<Result<(), String>> {
    let mut answers = ask(environment, within).join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Whether any upstream answers, as soon as one does; else what they said.
pub(super) async fn one_answers(environment: &Environment, within: Duration) -> Result<(), String> {
    let mut asked = ask(environment, within);
    let mut failed = Vec::new();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((_, Ok(()))) => return Ok(()),
            Ok((_, Err(said))) => failed.push(said),
            Err(error) => failed.push(error.to_string()),
        }
    }
    Err(if failed.is_empty() { NO_UPSTREAMS.to_owned() } else { failed.join(", ") })
}

/// An upstream by its place, and what was wrong with it.
type Said = (usize, Result<(), String>);

/// Asks every upstream at once: by its health path, or only for a connection where it has none. A task
/// each, so that one that hangs takes no time from the others; dropping the set ends them.
fn ask(environment: &Environment, within: Duration) -> JoinSet<Said> {
    let path = environment.spec.health.path.clone();
    let is_by_path = path.is_some();
    let prober = Prober::new(&environment.spec, &path.unwrap_or_else(|| "/".into()));
    let prober = Arc::new(prober);
    let mut asked = JoinSet::new();
    for (index, upstream) in environment.upstreams.iter().cloned().enumerate() {
        let prober = Arc::clone(&prober);
        asked.spawn(async move {
            let answer = if is_by_path {
                prober.ask(&upstream, within).await
            } else {
                call::connects(&upstream, within).await
            };
            (index, answer.map(drop).map_err(|said| format!("{}: {said}", upstream.spec)))
        });
    }
    asked
}

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, guard: StartGuard) {
    let mut changed = shared.changed.subscribe();
    let mut guard = Some(guard);
    let mut watchers = Watchers::new();
    let mut last: HashMap<UpstreamId, LastAsked> = HashMap::new();
    let probes = Arc::new(Semaphore::new(PROBES_MAX));
    loop {
        changed.borrow_and_update();
        let jobs = jobs(&shared, &mut last);
        let ended = watchers.reconcile(jobs, |job| {
            watch(job, Arc::clone(&shared), Arc::clone(&probes), guard.clone())
        });
        for job in ended {
            // Nobody asks any more, so there is no opinion any more.
            job.upstream.set_probe(Probe::Unknown, Instant::now());
            shared.probes.forget(job.upstream.id);
        }
        guard = None;
        if changed.changed().await.is_err() {
            return;
        }
    }
}

fn jobs(shared: &Shared, last: &mut HashMap<UpstreamId, LastAsked>) -> HashMap<UpstreamId, Job> {
    let published = shared.published.load();
    let mut jobs = HashMap::new();
    for (service, environment) in published.environments() {
        if environment.spec.health.path.is_none() {
            continue;
        }
        for upstream in &environment.upstreams {
            let job = Job {
                service: service.clone(),
                environment: Arc::clone(&environment.spec),
                upstream: Arc::clone(upstream),
                last: Arc::clone(last.entry(upstream.id).or_default()),
            };
            jobs.insert(upstream.id, job);
        }
    }
    last.retain(|id, _| jobs.contains_key(id));
    jobs
}

async fn watch(
    job: Job,
    shared: Arc<Shared>,
    probes: Arc<Semaphore>,
    mut guard: Option<StartGuard>,
) {
    let health = job.environment.health.clone();
    let Some(path) = health.path.clone() else { return };
    let client = Prober::new(&job.environment, &path);
    let mut opinion = Opinion::new(job.upstream.probe());
    loop {
        tokio::time::sleep(wait(&job.last, health.interval)).await;
        let Ok(permit) = probes.acquire().await else { return };
        note_asked(&job.last);
        let answer = client.ask(&job.upstream, health.timeout).await;
        drop(permit);
        let passed = answer.is_ok();
        let words = answer.unwrap_or_else(|failure| failure);
        shared.probes.note(job.upstream.id, words.clone());
        if let Some(probe) = opinion.note(passed, &health) {
            job.upstream.set_probe(probe, Instant::now());
            tell(&job, &shared, probe, &words);
        }
        guard.take();
    }
}

/// Time until the next probe: the interval since the last one, and up to a tenth more, so that the
/// probes of many upstreams and proxies spread.
fn wait(last: &LastAsked, interval: Duration) -> Duration {
    let last = *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(last) = last else { return Duration::ZERO };
    let next = last + interval.mul_f64(1.0 + 0.1 * fastrand::f64());
    next.saturating_duration_since(Instant::now())
}

fn note_asked(last: &LastAsked) {
    *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
}

fn tell(job: &Job, shared: &Shared, probe: Probe, words: &str) {
    let (address, name) = (job.upstream.spec.to_string(), &job.environment.name);
    let (kind, text) = match probe {
        Probe::Down => {
            let times = job.environment.health.unhealthy_after;
            let probes =
                if times == 1 { "1 probe".to_owned() } else { format!("{times} probes in a row") };
            ("upstream_down", format!("{address} of {name} is down: {words}, {probes}"))
        }
        Probe::Up | Probe::Unknown => {
            ("upstream_up", format!("{address} of {name} is up: {words}"))
        }
    };
    let details = json!({ "environment": name, "upstream": address, "answer": words });
    shared.events.tell(Some(&job.service), kind, text, details);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::test_rig::{PATIENCE, Rig, chat, config, name};
    use super::*;
    use crate::model::environment::EnvironmentId;
    use crate::model::reading::Reading;

    /// A server that answers every connection with `status`, and counts them.
    async fn upstream(status: &Arc<AtomicU16>, asked: &Arc<AtomicU32>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (status, asked) = (Arc::clone(status), Arc::clone(asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::Relaxed);
                let status = status.load(Ordering::Relaxed);
                let body = r#"{"error":{"message":"Loading model"}}"#;
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn probes_take_an_upstream_out_and_bring_it_back() {
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::default());
        let address = upstream(&status, &asked).await;
        let mut service = chat();
        service.environments[1].upstreams = vec![address.parse().unwrap()];
        service.environments[1].health.path = Some("/health".into());
        service.environments[1].health.interval = Duration::from_millis(50);
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Rig::start(&config(&dir, vec![service]));
        tokio::time::timeout(PATIENCE, rig.handle.started()).await.unwrap();
        assert!(rig.handle.readiness().is_ready());
        let view = &rig.view("green").upstreams[0];
        assert_eq!(view.probe, Probe::Up);
        assert!(view.last_probe.as_ref().unwrap().starts_with("200 in "), "{view:?}");

        status.store(503, Ordering::Relaxed);
        let down = rig.event("upstream_down").await;
        let text = format!("{address} of green is down: 503 \"Loading model\", 3 probes in a row");
        assert_eq!(down.text, text);
        assert_eq!(rig.view("green").upstreams[0].probe, Probe::Down);
        let warned = rig.set("blue=95 green=5").await.unwrap();
        assert_eq!(warned.warnings, ["`green` gets traffic, but none of its 1 upstreams answers"]);
        status.store(200, Ordering::Relaxed);
        rig.event("upstream_up").await;
    }

    #[tokio::test]
    async fn a_change_is_no_reason_to_ask_early() {
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::<AtomicU32>::default());
        let address = upstream(&status, &asked).await;
        let mut service = chat();
        service.environments[1].upstreams = vec![address.parse().unwrap()];
        service.environments[1].health.path = Some("/health".into());
        service.environments[1].health.interval = Duration::from_secs(3600);
        let dir = tempfile::tempdir().unwrap();
        let before = config(&dir, vec![service.clone()]);
        let rig = Rig::start(&before);
        tokio::time::timeout(PATIENCE, rig.handle.started()).await.unwrap();
        for unhealthy_after in [4, 5, 6] {
            service.environments[1].health.unhealthy_after = unhealthy_after;
            let config = config(&dir, vec![service.clone()]);
            let reload = super::super::command::Command::Reload(Reading::begin(), Box::new(config));
            assert!(rig.ask(reload).await.unwrap().changed);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(rig.view("green").upstreams[0].probe, Probe::Up);
    }

    #[tokio::test]
    async fn readiness_does_not_wait_for_an_upstream_that_hangs() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut service = chat();
        service.environments[0].upstreams = vec![address.parse().unwrap()];
        service.environments[0].health.path = Some("/health".into());
        service.environments[0].health.timeout = Duration::from_secs(3600);
        let dir = tempfile::tempdir().unwrap();
        let started = Instant::now();
        let rig = Rig::start(&config(&dir, vec![service]));
        assert!(!rig.handle.readiness().is_ready());
        tokio::time::timeout(PATIENCE, rig.handle.started()).await.unwrap();
        assert!(rig.handle.readiness().is_ready());
        assert!(started.elapsed() >= Duration::from_secs(2));
        rig.handle.announce_shutdown();
        assert!(!rig.handle.readiness().is_ready());
    }

    #[tokio::test]
    async fn one_that_answers_is_enough_to_go_back_and_not_to_be_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = format!("http://{}", listener.local_addr().unwrap());
        let good = upstream(&Arc::new(AtomicU16::new(200)), &Arc::default()).await;
        let environment = |addresses: &[&String]| {
            let specs = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let mut spec = EnvironmentSpec::new(name("blue"), specs);
            spec.health.path = Some("/health".into());
            let upstreams = spec.upstreams.iter().cloned();
            let upstreams =
                upstreams.map(|spec| Upstream::new(UpstreamId(1), spec, Instant::now()));
            let upstreams = upstreams.map(Arc::new).collect();
            let in_flight = Arc::default();
            Environment {
                id: EnvironmentId(1),
                spec: Arc::new(spec),
                upstreams,
                in_flight,
                mirror: Arc::default(),
            }
        };
        let both = environment(&[&silent, &good]);
        // The silent one would take longer than this test may.
        let back = one_answers(&both, 10 * PATIENCE);
        assert_eq!(tokio::time::timeout(PATIENCE, back).await.unwrap(), Ok(()));
        let briefly = Duration::from_millis(50);
        let said = all_answer(&both, briefly).await.unwrap_err();
        assert_eq!(said, format!("{silent}: no answer in 50ms"));
        assert!(one_answers(&environment(&[&silent]), briefly).await.is_err());
        assert!(one_answers(&environment(&[]), briefly).await.is_err());
        assert_eq!(all_answer(&environment(&[]), briefly).await.unwrap_err(), NO_UPSTREAMS);
    }
}
