//! The first look at environments that have users by a restored state, before anybody is sent there.
//!
//! Weights outlive the servers they were set for: a machine that comes back may bring Cyan up first, and
//! a candidate may have died with it. Whoever does not answer here is out until it does: a candidate's
//! users are served by the active environment meanwhile, and return.
//!
//! Nobody is waited for longer than a second, and nobody is let down: what does not answer anywhere is
//! tried all the same, since an opinion is no reason to refuse.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::services::Services;
use super::{health, resolve};
use crate::model::environment::Environment;
use crate::model::name::Name;
use crate::model::upstream::Probe;

/// How long a start waits for answers: a healthy upstream takes milliseconds.
const WITHIN: Duration = Duration::from_secs(1);

/// An environment of which not every upstream answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    /// The service.
    pub(super) service: Name,
    /// The environment.
    pub(super) environment: Name,
    /// Who said what, for people.
    pub(super) text: String,
}

/// Asks all that have users in these services at once, and takes out who does not answer.
pub(super) async fn take(services: &Services, restored: &[Name]) -> Vec<Silence> {
    let mut looks = JoinSet::new();
    for live in services.list.iter().filter(|live| restored.contains(&live.file.name)) {
        for environment in &live.table.environments {
            if !live.record.assignment.weight(environment.name()).is_zero() {
                looks.spawn(look_at(live.file.name.clone(), Arc::clone(environment)));
            }
        }
    }
    let mut silences: Vec<Silence> = looks.join_all().await.into_iter().flatten().collect();
    silences.sort_by(|a, b| (&a.service, &a.environment).cmp(&(&b.service, &b.environment)));
    silences
}

async fn look_at(service: Name, environment: Arc<Environment>) -> Option<Silence> {
    // Whoever looks names up goes to work later; a look-up that hangs ends with the looks.
    let mut look_ups = JoinSet::new();
    for upstream in &environment.upstreams {
        let upstream = Arc::clone(upstream);
        look_ups.spawn(async move { resolve::once(&upstream).await });
    }
    let answers = health::each_answers(&environment, WITHIN).await;
    let now = Instant::now();
    let mut failed = Vec::new();
    for (upstream, answer) in environment.upstreams.iter().zip(answers) {
        let Err(said) = answer else { continue };
        failed.push(said);
        if environment.spec.health.path.is_some() {
            // Probes go on from here, and find out when it answers.
            upstream.set_probe(Probe::Down, now);
        } else {
            upstream.eject(&environment.spec.ejection, now);
        }
    }
    let text = failed.join(", ");
    let environment = environment.name().clone();
    (!failed.is_empty()).then_some(Silence { service, environment, text })
}
