//! Rollouts under way: looks at them, tells them what happened, and does what they ask for.
//!
//! A rollout itself is a value in the service's record and changes as everything else does: by a
//! command, planned, written, published. Here is what it needs beside that: the judge that watches,
//! the gate at work, the questions to environments. All of that ends when the rollout does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::{Controller, Outcome, Waiting};
use crate::control_plane::change::rollout::{CONTROLLER, scene};
use crate::control_plane::command::{Applied, Command, Refused, Request};
use crate::control_plane::health;
use crate::model::environment::Environment;
use crate::model::name::Name;
use crate::rollout::event::{Effect, Event, Look};
use crate::rollout::stage::Stage;
use crate::rollout::value::Rollout;

/// How often a rollout is looked at when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the base may take to say that it can take its traffic back.
const BASE_MAX: Duration = Duration::from_secs(1);
/// How long the candidate may take to say that it is ready, each time it is asked.
const READY_MAX: Duration = Duration::from_secs(2);
/// How long a step that the disk refused is not tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// How long what is in flight may take when a rollout drains an environment.
const DRAIN_MAX: Duration = Duration::from_secs(10 * 60);

/// What belongs to the rollouts under way, by service.
#[derive(Debug, Default)]
pub(super) struct Runs {
    list: HashMap<Name, Run>,
}

/// What belongs to one.
#[derive(Debug, Default)]
struct Run {
    rollout: u64,
    looked_at: Option<Instant>,
    refused_at: Option<Instant>,
    /// The question to an environment that is under way.
    asking: Option<AbortHandle>,
    /// What the candidate said when it was last asked whether it is ready.
    ready: Option<Result<(), String>>,
}

/// Something that a rollout waited for.
#[derive(Debug)]
pub(super) enum Happened {
    /// The candidate was asked whether it is ready.
    Ready(Result<(), String>),
    /// The base was asked whether it can take its traffic back.
    BaseProbed(Result<(), String>),
    /// What the rollout wanted was done or refused.
    Answered(Result<Applied, Refused>),
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(task) = &self.asking {
            task.abort();
        }
    }
}

impl Controller {
    /// Begins again what was under way when the process before this one ended.
    pub(super) fn restore_rollouts(&mut self) {
        let services: Vec<Name> =
            self.services.list.iter().map(|live| live.file.name.clone()).collect();
        for service in services {
            if self.running(&service).is_some() {
                self.tell_rollout(&service, Event::Restored);
            }
        }
    }

    /// Looks at every rollout whose time it is.
    pub(super) fn look_at_rollouts(&mut self, now: Instant) {
        let running = |name: &Name| self.running(name).map(|rollout| (name.clone(), rollout.id));
        let live = self.services.list.iter();
        let running: Vec<(Name, u64)> = live.filter_map(|live| running(&live.file.name)).collect();
        self.runs.list.retain(|service, run| running.contains(&(service.clone(), run.rollout)));
        for (service, rollout) in running {
            let run = self.runs.list.entry(service.clone()).or_default();
            run.rollout = rollout;
            let is_due = run
                .looked_at
                .is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY);
            if is_due {
                run.looked_at = Some(now);
                self.look_at_rollout(&service, now);
            }
        }
    }

    fn look_at_rollout(&mut self, service: &Name, now: Instant) {
        let Some(rollout) = self.running(service) else { return };
        let is_ready_asked = rollout.stage == Stage::Ready;
        let candidate = rollout.candidate.clone();
        if is_ready_asked {
            self.ask_whether_ready(service, &candidate);
        }
        let run = self.runs.list.get(service);
        let ready = run.and_then(|run| run.ready.clone());
        let look = Look {
            ready: ready.unwrap_or_else(|| Err("not asked yet".to_owned())),
            judged: None,
            comparison: None,
        };
        self.offer(service, Event::Looked(Box::new(look)), now);
    }

    /// Tells a rollout of something, if it makes a difference and the disk is not busy with its last step.
    fn offer(&mut self, service: &Name, event: Event, now: Instant) {
        let Some(live) = self.services.find(service) else { return };
        let Some(rollout) = live.record.release.running() else { return };
        let Ok(Some(advance)) = rollout.advance(&event, &scene(live, CONTROLLER)) else { return };
        let goes_back =
            matches!(advance.next.stage, Stage::RollingBack { .. } | Stage::RolledBack { .. });
        let run = self.runs.list.get(service);
        let was_refused = run
            .and_then(|run| run.refused_at)
            .is_some_and(|refused| now.saturating_duration_since(refused) < AFTER_REFUSAL);
        if goes_back || !(was_refused || self.is_changing(service)) {
            self.tell_rollout(service, event);
        }
    }

    /// Whether a change of the service waits for the disk.
    fn is_changing(&mut self, service: &Name) -> bool {
        let raising = self.disk.raise().is_some_and(|raise| raise.services.contains(service));
        raising || self.waiting.iter().any(|asked| asked.request.command.service() == Some(service))
    }

    /// Puts an event of a rollout in front of the controller, as everybody else does.
    fn tell_rollout(&mut self, service: &Name, event: Event) {
        let Some(rollout) = self.running(service).map(|rollout| rollout.id) else { return };
        let command = Command::Rollout {
            service: service.clone(),
            event: Box::new(event),
            rollout: Some(rollout),
            if_generation: None,
        };
        let request = Request { actor: CONTROLLER.to_owned(), reason: None, command };
        let (reply, answer) = oneshot::channel();
        let service = service.clone();
        self.work.spawn(async move {
            let answer = answer.await.unwrap_or(Err(Refused::ShuttingDown));
            Outcome::Rollout { service, rollout, happened: Happened::Answered(answer) }
        });
        self.take(Waiting { request, reply, since: Instant::now() });
    }

    /// Something that a rollout waited for has happened.
    pub(super) fn rollout_happened(&mut self, service: &Name, rollout: u64, happened: Happened) {
        if self.running(service).is_none_or(|running| running.id != rollout) {
            return;
        }
        match happened {
            Happened::Ready(answer) => {
                if let Some(run) = self.runs.list.get_mut(service) {
                    run.asking = None;
                    run.ready = Some(answer);
                }
            }
            Happened::BaseProbed(answer) => self.tell_rollout(service, Event::BaseProbed(answer)),
            Happened::Answered(Err(Refused::Store(_))) => {
                if let Some(run) = self.runs.list.get_mut(service) {
                    run.refused_at = Some(Instant::now());
                }
            }
            Happened::Answered(_) => {}
        }
    }

    /// Does what a rollout asks for, now that its change is published.
    pub(super) fn carry_out(&mut self, service: &Name, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::ProbeBase => self.probe_base(service),
                Effect::Drain(environment) => self.drain_for_rollout(service, environment),
                Effect::Start(_) | Effect::Stop(_) | Effect::ResumeJudge | Effect::Tell(_) => {}
            }
        }
    }

    fn running(&self, service: &Name) -> Option<&Rollout> {
        self.services.find(service)?.record.release.running()
    }

    fn environment_of(&self, service: &Name, name: &Name) -> Option<Arc<Environment>> {
        self.services.find(service)?.table.environment(name.as_str()).cloned()
    }

    fn ask_whether_ready(&mut self, service: &Name, candidate: &Name) {
        let Some(environment) = self.environment_of(service, candidate) else { return };
        let Some(run) = self.runs.list.get_mut(service) else { return };
        if run.asking.is_some() {
            return;
        }
        let (service, rollout) = (service.clone(), run.rollout);
        run.asking = Some(self.work.spawn(async move {
            let answer = all_answer(&environment, READY_MAX).await;
            Outcome::Rollout { service, rollout, happened: Happened::Ready(answer) }
        }));
    }

    fn probe_base(&mut self, service: &Name) {
        let Some(rollout) = self.running(service) else { return };
        let (id, base) = (rollout.id, rollout.base.clone());
        let Some(environment) = self.environment_of(service, &base) else { return };
        let service = service.clone();
        self.work.spawn(async move {
            let answer = one_answers(&environment, BASE_MAX).await;
            Outcome::Rollout { service, rollout: id, happened: Happened::BaseProbed(answer) }
        });
    }

    fn drain_for_rollout(&mut self, service: &Name, environment: &Name) {
        let command = Command::Drain {
            service: service.clone(),
            environment: environment.clone(),
            deadline: DRAIN_MAX,
        };
        let request = Request { actor: CONTROLLER.to_owned(), reason: None, command };
        // Nobody waits for its end: events and status tell of it.
        let (reply, _) = oneshot::channel();
        self.take(Waiting { request, reply, since: Instant::now() });
    }
}

/// Whether every upstream answers; else those that do not, with what they said.
async fn all_answer(environment: &Environment, within: Duration) -> Result<(), String> {
    let answers = health::ask_all(environment, within).await;
    let failed: Vec<String> = answers
        .into_iter()
        .filter_map(|(upstream, answer)| Some(format!("{upstream}: {}", answer.err()?)))
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join(", ")) }
}

/// Whether any upstream answers; else what they said.
async fn one_answers(environment: &Environment, within: Duration) -> Result<(), String> {
    let answers = health::ask_all(environment, within).await;
    if answers.iter().any(|(_, answer)| answer.is_ok()) {
        return Ok(());
    }
    let said = answers
        .into_iter()
        .filter_map(|(upstream, answer)| Some(format!("{upstream}: {}", answer.err()?)));
    let said: Vec<String> = said.collect();
    Err(if said.is_empty() { "it has no upstreams".to_owned() } else { said.join(", ") })
}
