//! Rollouts under way: looks at them, and tells them what happened.
//!
//! A rollout itself is a value in the service's record and changes as everything else does: by a
//! command, planned, written, published. What it needs beside that stands in `runs`; what it asks for,
//! `effects` does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::oneshot;

use super::observing::{Watch, share_of};
use super::runs::Run;
use super::{Controller, Outcome, Waiting};
use crate::control_plane::change::rollout::{CONTROLLER, scene};
use crate::control_plane::command::{Applied, Command, Refused, Request};
use crate::control_plane::comparison;
use crate::control_plane::health;
use crate::control_plane::ready;
use crate::control_plane::store::Evidence;
use crate::judge::comparison::Safety;
use crate::model::environment::Environment;
use crate::model::name::Name;
use crate::rollout::event::{Event, Judged, Look};
use crate::rollout::gate::GateReport;
use crate::rollout::stage::{Gate, Stage};
use crate::rollout::value::Rollout;

/// How often a rollout is looked at when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a step that the disk refused is not tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// Something that a rollout waited for.
#[derive(Debug)]
pub(super) enum Happened {
    /// A gate has come to its end.
    GateEnded(Gate, Box<GateReport>),
    /// The candidate was asked whether it is ready.
    Ready(Result<(), String>),
    /// The base was asked whether it can take its traffic back.
    BaseProbed(Result<(), String>),
    /// What the rollout wanted was done or refused.
    Answered(Result<Applied, Refused>),
}

impl Controller {
    /// Begins again what was under way when the process before this one ended, with what judges knew.
    pub(super) fn restore_rollouts(&mut self, evidence: &[Evidence]) {
        let services: Vec<Name> =
            self.services.list.iter().map(|live| live.file.name.clone()).collect();
        for service in services {
            let Some(rollout) = self.running(&service) else { continue };
            if rollout.stage.is_judged() {
                let id = rollout.id;
                let kept = evidence.iter().find(|e| e.service == service && e.rollout == id);
                self.restore_watch(&service, kept);
            }
            self.tell_rollout(&service, Event::Restored);
        }
    }

    fn restore_watch(&mut self, service: &Name, evidence: Option<&Evidence>) {
        let kept = evidence.and_then(|evidence| serde_json::from_str(&evidence.snapshot).ok());
        let has_users = self.services.find(service).is_some_and(|live| share_of(live) > 0.0);
        if kept.is_none() && has_users {
            let text = format!("{service}: what the judge knew was lost; it begins anew");
            self.shared.events.tell(Some(service), "evidence_lost", text, serde_json::Value::Null);
        }
        self.begin_watch(service, kept);
        // A step may have been taken after the judge was last kept: the cores begin with its share.
        let change = self.number_change();
        self.announce_share(service, change, Instant::now());
        self.share_taken(change);
    }

    /// Looks at every rollout whose time it is.
    pub(super) fn look_at_rollouts(&mut self, now: Instant) {
        let running = |name: &Name| self.running(name).map(|rollout| (name.clone(), rollout.id));
        let live = self.services.list.iter();
        let running: Vec<(Name, u64)> = live.filter_map(|live| running(&live.file.name)).collect();
        self.end_runs(&running, now);
        for (service, rollout) in running {
            // The cap of a staged way back is met to a tenth of a second.
            let stage = self.running(&service).map(|rollout| &rollout.stage);
            let is_returning = matches!(stage, Some(Stage::Returning { .. }));
            let run = self.runs.of(&service, rollout);
            let is_due = run
                .looked_at
                .is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY);
            let is_urgent = run.watch.as_ref().is_some_and(Watch::is_urgent);
            if is_due || is_urgent || is_returning {
                run.looked_at = Some(now);
                self.look_at_rollout(&service, now);
            }
        }
    }

    /// What is over needs nothing any more; the last records of its judge are written down.
    fn end_runs(&mut self, running: &[(Name, u64)], now: Instant) {
        let is_over =
            |(service, run): &(&Name, &Run)| !running.contains(&((*service).clone(), run.rollout));
        let over: Vec<Name> =
            self.runs.list.iter().filter(is_over).map(|(service, _)| service.clone()).collect();
        for service in over {
            self.owe_evidence(&service, now);
            self.runs.list.remove(&service);
            self.publish_judged(&service, None);
            self.flush();
        }
    }

    /// Makes readable what a judge says.
    fn publish_judged(&self, service: &Name, judged: Option<Judged>) {
        let mut all = (**self.shared.judged.load()).clone();
        match judged {
            Some(judged) => all.insert(service.to_string(), judged),
            None => all.remove(service.as_str()),
        };
        self.shared.judged.store(Arc::new(all));
    }

    fn look_at_rollout(&mut self, service: &Name, now: Instant) {
        let Some(rollout) = self.running(service).cloned() else { return };
        let is_ready_asked = rollout.stage == Stage::Ready;
        if is_ready_asked {
            self.ask_whether_ready(service, &rollout.candidate);
        }
        let judged = self.runs.watch(service).map(|watch| watch.judged(&rollout));
        if judged.is_some() {
            self.publish_judged(service, judged.clone());
        }
        let run = self.runs.list.get(service);
        let ready = run.and_then(|run| run.ready.clone());
        let look = Look {
            ready: ready.unwrap_or_else(|| Err("not asked yet".to_owned())),
            judged,
            comparison: self.comparison(service),
        };
        self.offer(service, Event::Looked(Box::new(look)), now);
    }

    /// Whether the switch would be safe, to a rollout that comes to it next.
    fn comparison(&self, service: &Name) -> Option<(Safety, String)> {
        let live = self.services.find(service)?;
        comparison::for_rollout(&self.shared, &live.table, live.record.release.running()?)
    }

    /// Tells a rollout of something, if it makes a difference and the disk is not busy with its last step.
    /// What protects waits for no disk.
    fn offer(&mut self, service: &Name, event: Event, now: Instant) {
        let Some(live) = self.services.find(service) else { return };
        let Some(rollout) = live.record.release.running() else { return };
        let scene = scene(live, CONTROLLER);
        let Ok(Some(advance)) = rollout.advance(&event, &scene) else { return };
        let protects = advance.protects(&scene);
        let run = self.runs.list.get(service);
        let was_refused = run
            .and_then(|run| run.refused_at)
            .is_some_and(|refused| now.saturating_duration_since(refused) < AFTER_REFUSAL);
        if protects || !(was_refused || self.is_changing(service)) {
            self.tell_rollout(service, event);
        }
    }

    /// Whether a change of the service waits for the disk.
    fn is_changing(&mut self, service: &Name) -> bool {
        let raising = self.disk.raise().is_some_and(|raise| raise.services.contains(service));
        raising || self.waiting.iter().any(|asked| asked.request.command.service() == Some(service))
    }

    /// Puts an event of a rollout in front of the controller, as everybody else does.
    pub(super) fn tell_rollout(&mut self, service: &Name, event: Event) {
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
            Happened::GateEnded(gate, report) => {
                self.tell_rollout(service, Event::GateEnded(gate, *report));
            }
            Happened::BaseProbed(answer) => self.tell_rollout(service, Event::BaseProbed(answer)),
            Happened::Answered(Err(Refused::ShuttingDown)) => {}
            Happened::Answered(Err(refused)) => self.step_refused(service, &refused),
            Happened::Answered(Ok(_)) => {
                let run = self.runs.list.get_mut(service);
                run.into_iter().for_each(|run| run.refused = None);
            }
        }
    }

    /// Tried again in a while, as the state or the disk may be another one then. The disk tells of itself;
    /// of anything else somebody has to hear, once.
    fn step_refused(&mut self, service: &Name, refused: &Refused) {
        let Some(run) = self.runs.list.get_mut(service) else { return };
        run.refused_at = Some(Instant::now());
        let text = refused.to_string();
        if matches!(refused, Refused::Store(_)) || run.refused.as_ref() == Some(&text) {
            return;
        }
        let details = json!({ "rollout": run.rollout, "refused": text });
        let said = format!("the rollout does not go on: {text}");
        run.refused = Some(text);
        self.shared.events.tell(Some(service), "rollout_refused", said, details);
    }

    pub(super) fn running(&self, service: &Name) -> Option<&Rollout> {
        self.services.find(service)?.record.release.running()
    }

    pub(super) fn environment_of(&self, service: &Name, name: &Name) -> Option<Arc<Environment>> {
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
            let answer = health::all_answer(&environment, ready::ANSWER_MAX).await;
            Outcome::Rollout { service, rollout, happened: Happened::Ready(answer) }
        }));
    }

    /// The way back has begun: for what the judge saw, else for what was seen or asked for now.
    pub(super) fn note_breach(&mut self, service: &Name, now: Instant) {
        let Some(rollout) = self.running(service) else { return };
        let (id, is_returning) = (rollout.id, matches!(rollout.stage, Stage::Returning { .. }));
        let measurements = &self.shared.measurements;
        let run = self.runs.of(service, id);
        let decided_at = run.watch.as_ref().and_then(Watch::decided_at).filter(|_| !is_returning);
        let decided_at = decided_at.map(|since_epoch| measurements.moment(since_epoch));
        run.breached = decided_at.or(run.breached).or(Some(now));
    }

    /// Takes a judge to work.
    pub(super) fn put_watch(&mut self, service: &Name, watch: Watch) {
        if let Some(id) = self.running(service).map(|rollout| rollout.id) {
            self.runs.of(service, id).watch = Some(watch);
        }
    }
}
