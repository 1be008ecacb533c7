//! How commands are answered, and what happens when cores or the disk have answered.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::disk::Raise;
use super::settling::PATIENCE;
use super::{ACKS_MAX, Controller, Outcome, Waiting, entry};
use crate::control_plane::clock::unix_ms;
use crate::control_plane::command::{Applied, Command, Refused};
use crate::control_plane::journal::NewEntry;
use crate::control_plane::store::writer::CommitResult;
use crate::control_plane::store::{Committed, StoreError};
use crate::link::Quiesce;
use crate::model::name::Name;

impl Controller {
    /// Something that was under way has come to its end.
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Written(result) => self.written(result),
            Outcome::Acked { change, generation, lagging, quiesce } => {
                self.acked(change, generation, lagging, quiesce);
            }
            Outcome::CaughtUp => {
                self.catching_up = false;
                let text = "every core has the latest table again".to_owned();
                self.shared.events.tell(None, "cores_caught_up", text, Value::Null);
            }
            Outcome::PatienceOver { change } => self.settlings.patience_is_over(change),
            Outcome::Drained(finished) => self.drain_finished(*finished),
        }
    }

    /// A raise has its answer from the disk: publish it, unless it was overtaken or given up.
    pub(super) fn raise_written(&mut self, raise: Raise, result: CommitResult) {
        let written = matches!(result, Ok(Committed::Written));
        let recalled = raise.is_recalled();
        let Some(decided) = raise.decided else {
            if written {
                self.write_again(&raise.services, "was refused because the disk was too slow");
            }
            return;
        };
        let is_current = |(name, generation): &(Name, u64)| {
            self.services.find(name).map_or(0, |live| live.record.generation) == *generation
        };
        let overtaken = !decided.expects.iter().all(is_current);
        match result {
            Err(error) => self.refuse_raise(decided.asked, decided.change.kind, &error),
            Ok(Committed::Written) if !overtaken && !recalled => {
                self.publish(decided, true);
            }
            Ok(_) => {
                if written {
                    self.write_again(&raise.services, "was overtaken before it was published");
                }
                self.refuse_or_repeat(decided.asked);
            }
        }
    }

    /// The disk has a state that was never published: what is at work goes over it.
    fn write_again(&mut self, services: &[Name], why: &str) {
        for live in self.services.list.iter().filter(|live| services.contains(&live.file.name)) {
            let record = live.record.clone();
            let text = format!(
                "the change before this entry {why}; generation {} stays at work",
                record.generation
            );
            let entry = NewEntry {
                at: unix_ms(),
                service: Some(record.service.clone()),
                generation: record.generation,
                actor: "controller".to_owned(),
                kind: "change_withdrawn".to_owned(),
                reason: None,
                text,
                before: Value::Null,
                after: json!(record),
                details: Value::Null,
            };
            self.disk.owe(vec![record], vec![entry], None);
        }
    }

    /// Weights that were overtaken are refused; anything else is worked out anew from what is now.
    fn refuse_or_repeat(&mut self, asked: Waiting) {
        match &asked.request.command {
            Command::SetWeights { service, .. } | Command::Switch { service, .. } => {
                let service = service.clone();
                self.refuse_overtaken(asked, &service);
            }
            _ => self.waiting.push_front(asked),
        }
    }

    /// What protects users came in between, and it wins.
    pub(super) fn refuse_overtaken(&self, asked: Waiting, service: &Name) {
        let problem = format!("`{service}` was rolled back or lowered before this was written");
        let remedy = "look at the state again, and repeat if you still want it".to_owned();
        self.refuse(asked, Refused::State { problem, remedy });
    }

    /// Refuses a raise for want of a disk, and writes that down as soon as there is one.
    pub(super) fn refuse_raise(&mut self, asked: Waiting, kind: &str, error: &StoreError) {
        let text = format!("refused: {error}");
        let details = json!({ "problem": error.to_string() });
        let kind = format!("{kind}_refused");
        let entry =
            entry(&asked.request, &kind, service_of(&asked.request.command), &text, &details);
        self.disk.owe(vec![], vec![entry], None);
        self.refuse(asked, Refused::Store(error.to_string()));
    }

    pub(super) fn refuse(&self, asked: Waiting, refused: Refused) {
        if matches!(asked.request.command, Command::Reload(_)) {
            self.shared.config_refused(&refused.to_string());
        }
        // An error says that the caller has stopped waiting.
        let _ = asked.reply.send(Err(refused));
    }

    pub(super) fn answer_unchanged(&self, asked: Waiting, generation: u64, warnings: Vec<String>) {
        if matches!(asked.request.command, Command::Reload(_)) {
            self.shared.config_problem.store(None);
        }
        let durable = self.disk.state().not_durable.is_empty();
        let applied = Applied {
            generation,
            changed: false,
            lagging_cores: vec![],
            applied_us: 0,
            durable,
            warnings,
        };
        let _ = asked.reply.send(Ok(applied));
    }

    /// A rollback that had nothing to take back but what was still waiting.
    pub(super) fn answer_overtaking(&self, asked: Waiting) {
        let service = service_of(&asked.request.command);
        let live = service.as_ref().and_then(|service| self.services.find(service));
        let generation = live.map_or(0, |live| live.record.generation);
        let warning = "a change that waited for the disk was stopped; nobody had moved".to_owned();
        self.answer_unchanged(asked, generation, vec![warning]);
    }

    /// Waits for the disk beside the loop. Bounded by the clock that the loop looks at.
    pub(super) fn await_disk(&mut self, answer: oneshot::Receiver<CommitResult>) {
        self.work.spawn(async move {
            Outcome::Written(answer.await.unwrap_or(Err(StoreError::Closed)))
        });
    }

    /// Waits for the cores beside the loop, for a second.
    pub(super) fn await_acks(&mut self, change: u64, generation: u64, mut quiesce: Quiesce) {
        self.work.spawn(async move {
            let lagging = quiesce.wait(ACKS_MAX).await;
            Outcome::Acked { change, generation, lagging, quiesce }
        });
    }

    fn acked(&mut self, change: u64, generation: u64, lagging: Vec<usize>, mut quiesce: Quiesce) {
        if !lagging.is_empty() {
            let cores: Vec<_> = lagging.iter().map(ToString::to_string).collect();
            let cores = cores.join(", ");
            let text = format!("generation {generation} is not on core {cores} after a second");
            let details = json!({ "generation": generation, "lagging_cores": lagging });
            self.shared.events.tell(None, "cores_lag", text, details);
            // One watcher is enough: who acks the older message soon reads the newer one as well.
            if !self.catching_up {
                self.catching_up = true;
                self.work.spawn(async move {
                    while !quiesce.wait(ACKS_MAX).await.is_empty() {}
                    Outcome::CaughtUp
                });
            }
        }
        if self.settlings.acked(change, lagging) {
            self.work.spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                Outcome::PatienceOver { change }
            });
        }
    }

    /// Takes note of how a write went, and tells when that is news.
    pub(super) fn note_disk(&mut self, failure: Option<StoreError>) {
        let text = failure
            .as_ref()
            .map(|error| format!("{error}; raising is refused, lowering and rollback still work"));
        let details = json!({ "problem": failure.as_ref().map(ToString::to_string) });
        if self.disk.set_problem(failure) {
            let (kind, text) = match text {
                Some(text) => ("store_failed", text),
                None => ("store_recovered", "changes reach the disk again".to_owned()),
            };
            self.shared.events.tell(None, kind, text, details);
        }
        self.shared.store.store(std::sync::Arc::new(self.disk.state()));
    }
}

/// The service that a command is about.
fn service_of(command: &Command) -> Option<Name> {
    match command {
        Command::SetWeights { service, .. }
        | Command::Switch { service, .. }
        | Command::RollBack { service }
        | Command::PutEnvironment { service, .. }
        | Command::RemoveEnvironment { service, .. }
        | Command::Drain { service, .. }
        | Command::ResetField { service, .. } => Some(service.clone()),
        Command::Reload(_) => None,
    }
}
