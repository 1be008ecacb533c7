//! Does what a rollout asks for once its change is published: gates, questions, hooks, drains.
//!
//! Nothing here decides. What comes of it is told to the rollout as an event, if it is still the same one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::rollouts::Happened;
use super::{Controller, Outcome, Waiting};
use crate::control_plane::change::rollout::CONTROLLER;
use crate::control_plane::command::{Command, Request};
use crate::control_plane::handle::ControllerHandle;
use crate::control_plane::health;
use crate::control_plane::quality::AskedBy;
use crate::control_plane::smoke::{self, SmokeContext};
use crate::control_plane::warm_up::{self, Copies, WarmUpContext};
use crate::model::name::Name;
use crate::model::occasion::Occasion;
use crate::model::routing_table::RoutingTable;
use crate::rollout::event::Effect;
use crate::rollout::gate::GateReport;
use crate::rollout::notice::Notice;
use crate::rollout::stage::Gate;
use crate::rollout::value::Rollout;

/// How long the base may take to say that it can take its traffic back.
const BASE_MAX: Duration = Duration::from_secs(1);
/// How long what is in flight may take when a rollout drains an environment.
const DRAIN_MAX: Duration = Duration::from_secs(10 * 60);

impl Controller {
    /// Does what a rollout asks for, now that its change is published.
    pub(super) fn carry_out(
        &mut self,
        service: &Name,
        effects: &[Effect],
        said: &(String, serde_json::Value),
    ) {
        for effect in effects {
            match effect {
                Effect::ProbeBase => self.probe_base(service),
                Effect::Drain(environment) => self.drain_for_rollout(service, environment),
                Effect::ResumeJudge => {
                    if let Some(watch) = self.runs.watch(service) {
                        watch.resume();
                    }
                }
                Effect::Start(gate) => self.start_gate(service, *gate),
                Effect::Stop(_) => self.stop_gate(service),
                Effect::Tell(occasion) => self.tell_hooks(service, *occasion, said),
            }
        }
    }

    fn probe_base(&mut self, service: &Name) {
        let Some(rollout) = self.running(service) else { return };
        let (id, base) = (rollout.id, rollout.base.clone());
        self.note_breach(service, Instant::now());
        let Some(environment) = self.environment_of(service, &base) else { return };
        let service = service.clone();
        self.work.spawn(async move {
            let answer = health::one_answers(&environment, BASE_MAX).await;
            Outcome::Rollout { service, rollout: id, happened: Happened::BaseProbed(answer) }
        });
    }

    fn tell_hooks(
        &self,
        service: &Name,
        occasion: Occasion,
        (text, details): &(String, serde_json::Value),
    ) {
        let Some(live) = self.services.find(service) else { return };
        let Some(rollout) = live.record.release.rollout.as_deref() else { return };
        self.shared.hooks.tell(Notice {
            occasion,
            service: Some(service.clone()),
            environment: Some(rollout.candidate.clone()),
            rollout: Some(rollout.id),
            version: rollout.version.clone(),
            text: text.clone(),
            details: details.clone(),
        });
    }

    fn stop_gate(&mut self, service: &Name) {
        if let Some(gate) = self.runs.list.get_mut(service).and_then(|run| run.gate.take()) {
            gate.abort();
        }
    }

    fn start_gate(&mut self, service: &Name, gate: Gate) {
        let Some(live) = self.services.find(service) else { return };
        let Some(rollout) = live.record.release.running() else { return };
        let (id, table, of) = (rollout.id, Arc::clone(&live.table), rollout.clone());
        let copies = self.services.taps.take(service);
        let name = service.clone();
        let handle = ControllerHandle::reading(Arc::clone(&self.shared));
        let task = self.work.spawn(async move {
            let report = run_gate(gate, copies, &handle, &table, &of).await;
            let happened = Happened::GateEnded(gate, Box::new(report));
            Outcome::Rollout { service: name, rollout: id, happened }
        });
        let run = self.runs.of(service, id);
        run.gate = Some(task);
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

/// Does the work of a gate.
async fn run_gate(
    gate: Gate,
    copies: Option<Copies>,
    handle: &ControllerHandle,
    table: &RoutingTable,
    rollout: &Rollout,
) -> GateReport {
    let failed = |why: String| GateReport::failed(why, serde_json::Value::Null);
    let candidate = &rollout.candidate;
    match gate {
        Gate::Smoke => match SmokeContext::of(table, candidate, Some(rollout.id)) {
            Some(context) => {
                let notice = handle.shared.warm_ups.notice(&table.service.name);
                let say = |ended: smoke::Ended| {
                    notice.say(format!("{} of {} checks have ended", ended.checks, ended.of));
                };
                GateReport::from(&smoke::run(&context, say).await)
            }
            None => failed(format!("{candidate} is gone")),
        },
        Gate::Quality => {
            let asked_by = AskedBy::Rollout(rollout.id);
            match handle.evaluate(&table.service.name, candidate, asked_by).await {
                Ok(report) => report.gate(),
                Err(refused) => failed(refused.to_string()),
            }
        }
        Gate::WarmUp => {
            let signal = rollout.plan.latency_signal;
            match WarmUpContext::of(table, candidate, signal) {
                Some(context) => warm_up::run(&context, copies, &handle.shared.warm_ups).await,
                None if table.service.warm_up.is_none() => {
                    let words = "warm-up: the config has none any more";
                    GateReport::passed(words, serde_json::Value::Null)
                }
                None => failed(format!("{candidate} is gone")),
            }
        }
    }
}
