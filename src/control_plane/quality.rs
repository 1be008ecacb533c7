//! The quality gate at work: runs the evaluation, reads its result, adds the scores that came in.
//!
//! Its requests name their environment, so that they reach a candidate without traffic, and are left out
//! of every comparison. One evaluation of a service runs at a time: two would measure each other's load.
//! Whoever stops waiting ends it, with everything that it started.

mod evaluation;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::command::Refused;
use super::handle::{ControllerHandle, Shared};
use super::journal::Asker;
use crate::metrics::scores::{ScoreSum, ScoreWindow};
use crate::model::assignment::AssignmentError;
use crate::model::entrance::Entrance;
use crate::model::environment::Environment;
use crate::model::name::Name;
use crate::model::plan::quality::{QualitySpec, ScoresSpec};
use crate::model::service::ServiceSpec;
use crate::rollout::quality::{QualityReport, ScoresSeen};

/// Which environment is looked at, by which rules, and how its evaluation gets there.
#[derive(Debug, Clone)]
pub struct QualityContext {
    /// What is asked for.
    pub spec: Arc<QualitySpec>,
    /// The service, as it was when the gate began.
    pub service: Arc<ServiceSpec>,
    /// The environment.
    pub environment: Arc<Environment>,
    /// The rollout it is for, if any.
    pub rollout: Option<u64>,
    controller: ControllerHandle,
}

/// For whom a gate is asked.
#[derive(Debug, Clone)]
pub enum AskedBy {
    /// A rollout, which writes down itself what came of it.
    Rollout(u64),
    /// Somebody who wants to know; it stands in the journal.
    Somebody(Asker),
}

/// What an evaluation may take beyond its timeout: to be killed, and to have its file read.
const END_MAX: Duration = Duration::from_secs(60);

/// Services that are being evaluated. A watch, since a rollout waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Evaluating(watch::Sender<BTreeSet<Name>>);

/// A place among them, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    service: Name,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.evaluating.0.send_if_modified(|services| services.remove(&self.service));
    }
}

/// Asks everything that the gate asks for. Cancel safe: an evaluation under way is killed.
pub async fn run(context: &QualityContext) -> QualityReport {
    let evaluated = match &context.spec.evaluation {
        Some(spec) => Some(evaluation::run(spec, context).await),
        None => None,
    };
    // Read afterwards, because the evaluation may send some.
    QualityReport::judge(&context.spec, evaluated.as_ref(), context.scores())
}

impl ControllerHandle {
    /// The gate of an environment, by the rules that hold now.
    ///
    /// # Errors
    /// When there is no such environment, or the service has no gate.
    pub fn quality_gate(
        &self,
        service: &Name,
        environment: &Name,
        rollout: Option<u64>,
    ) -> Result<QualityContext, Refused> {
        let snapshot = self.snapshot();
        let table = snapshot.table(service.as_str()).ok_or_else(|| {
            let known = snapshot.tables().iter().map(|table| table.service.name.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            Refused::UnknownService { name: service.clone(), known }
        })?;
        let found = table.environment(environment.as_str()).ok_or_else(|| {
            let known = table.environments.iter().map(|e| e.name().as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            AssignmentError::Unknown { name: environment.clone(), known }
        })?;
        let spec = table.service.quality.clone().ok_or_else(|| Refused::State {
            problem: format!("service `{service}` has no quality gate"),
            remedy: format!("write [service.{service}.rollout.quality] into the config"),
        })?;
        Ok(QualityContext {
            spec,
            service: Arc::clone(&table.service),
            environment: Arc::clone(found),
            rollout,
            controller: self.clone(),
        })
    }

    /// Runs the gate of an environment now, and tells of it as an event. A rollout waits until it may: an
    /// evaluation that somebody else asked for is no fault of its candidate. Cancel safe, as `run`.
    ///
    /// # Errors
    /// When there is nothing to run, or the service is being evaluated already; for a rollout, longer than
    /// one evaluation takes.
    pub async fn evaluate(
        &self,
        service: &Name,
        environment: &Name,
        asked_by: AskedBy,
    ) -> Result<QualityReport, Refused> {
        let rollout = if let AskedBy::Rollout(id) = asked_by { Some(id) } else { None };
        let context = self.quality_gate(service, environment, rollout)?;
        let _place = match rollout {
            Some(_) => self.shared.await_place(service, context.takes_at_most()).await?,
            None => self.shared.place(service)?,
        };
        let report = run(&context).await;
        let text = format!("{environment}: {}", report.gate().sentence);
        let details = json!({ "environment": environment, "report": report });
        if let AskedBy::Somebody(asker) = asked_by {
            self.remember(asker.entry(service, "evaluated", text.clone(), details.clone())).await;
        }
        self.shared.events.tell(Some(service), "evaluated", text, details);
        Ok(report)
    }

    /// Where programs beside Cyan find its services. Said once, when the listeners are up.
    pub fn announce_entrance(&self, entrance: Entrance) {
        // Listeners need a restart to change, so that there is no second time.
        let _ = self.shared.entrance.set(entrance);
    }
}

impl QualityContext {
    fn entrance(&self) -> Option<Entrance> {
        self.controller.shared.entrance.get().copied()
    }

    fn takes_at_most(&self) -> Duration {
        END_MAX + self.spec.evaluation.as_ref().map_or(Duration::ZERO, |spec| spec.timeout)
    }

    fn scores(&self) -> ScoresSeen {
        let Some(ScoresSpec { name, .. }) = &self.spec.scores else {
            return ScoresSeen { count: 0, mean: None };
        };
        let scores = self.controller.scores(self.environment.id);
        let found = scores.iter().find(|scores| scores.name == *name);
        let sum = found.map_or_else(ScoreSum::default, |scores| scores.of(ScoreWindow::Hour));
        ScoresSeen { count: sum.count(), mean: sum.mean() }
    }
}

impl Shared {
    pub(super) fn place(self: &Arc<Self>, service: &Name) -> Result<Place, Refused> {
        if !self.evaluating.0.send_if_modified(|services| services.insert(service.clone())) {
            return Err(Refused::State {
                problem: format!("service `{service}` is being evaluated already"),
                remedy: "wait for its end; `cyan events` tells of it".to_owned(),
            });
        }
        Ok(Place { shared: Arc::clone(self), service: service.clone() })
    }

    /// The same when it is free, for as long as that may take.
    async fn await_place(
        self: &Arc<Self>,
        service: &Name,
        max: Duration,
    ) -> Result<Place, Refused> {
        let mut changed = self.evaluating.0.subscribe();
        let free = async {
            loop {
                if let Ok(place) = self.place(service) {
                    return place;
                }
                let notice = self.warm_ups.notice(service);
                notice.say("another evaluation to end".to_owned());
                // The sender is in `self`, so that it cannot be gone.
                let _ = changed.wait_for(|services| !services.contains(service)).await;
            }
        };
        match tokio::time::timeout(max, free).await {
            Ok(place) => Ok(place),
            Err(_) => self.place(service),
        }
    }
}
