//! How commands are answered, and what happens when the cores have acked.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::settling::PATIENCE;
use super::{ACKS_MAX, Controller, Outcome, Waiting};
use crate::control_plane::change::reload;
use crate::control_plane::command::{Applied, Command, Refused, Request};
use crate::control_plane::preview::{self, WouldBe};
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
                self.late_ways_back_acked();
                let text = "every core has the latest table again".to_owned();
                self.shared.events.tell(None, "cores_caught_up", text, Value::Null);
            }
            Outcome::PatienceOver { change } => self.settlings.patience_is_over(change),
            Outcome::Drained(finished) => self.drain_finished(*finished),
            Outcome::TakenBack(back) => self.taken_back(*back),
            Outcome::Rollout { service, rollout, happened } => {
                self.rollout_happened(&service, rollout, happened);
            }
        }
    }

    /// Says what a change would be, and lets it go.
    pub(super) fn preview(
        &self,
        request: &Request,
        reply: oneshot::Sender<Result<WouldBe, Refused>>,
    ) {
        // An error says that the caller has stopped waiting.
        let _ = reply.send(preview::would_be(&self.services, &self.started_with, request));
    }

    /// Weights that were overtaken are refused; anything else is worked out anew from what is now.
    pub(super) fn refuse_or_repeat(&mut self, asked: Waiting) {
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

    pub(super) fn refuse(&self, asked: Waiting, refused: Refused) {
        if let Command::Reload(reading, _) = &asked.request.command {
            self.shared.config_refused(*reading, &refused.to_string());
        }
        // An error says that the caller has stopped waiting.
        let _ = asked.reply.send(Err(refused));
    }

    pub(super) fn answer_unchanged(
        &mut self,
        asked: Waiting,
        generation: u64,
        warnings: Vec<String>,
    ) {
        let changed = self.config_taken(&asked.request);
        let as_it_is = self.as_it_is(generation, warnings);
        let _ = asked.reply.send(Ok(Applied { changed, ..as_it_is }));
    }

    /// What a reload left for a restart is shown until there is one, or another reload takes it back. True:
    /// others may call the admin API from now on.
    pub(super) fn config_taken(&mut self, request: &Request) -> bool {
        let Command::Reload(reading, config) = &request.command else { return false };
        self.shared.config_problem.taken(*reading);
        let needs_restart = reload::needs_restart(&self.started_with, config);
        self.shared.needs_restart.store(Arc::new(needs_restart));
        // What the start has taken over stays in force beside what is read anew.
        let from_variables = &self.started_with.from_variables | &config.from_variables;
        self.shared.from_variables.store(Arc::new(from_variables));
        self.tokens_taken(&config.admin, request)
    }

    /// Whether it is a reload, and another one that was read later has come before.
    pub(super) fn is_overtaken_reading(&mut self, asked: &Waiting) -> bool {
        let Command::Reload(reading, _) = &asked.request.command else { return false };
        self.latest_reading = self.latest_reading.max(*reading);
        *reading < self.latest_reading
    }

    /// The later reading says what there is to say, so that a problem it has stays.
    pub(super) fn answer_left_out(&self, asked: Waiting) {
        let warning = "a config that was read later has come before; this one was left out";
        let generation = self.highest_generation().unwrap_or(0);
        let as_it_is = self.as_it_is(generation, vec![warning.to_owned()]);
        let _ = asked.reply.send(Ok(Applied { is_left_out: true, ..as_it_is }));
    }

    fn as_it_is(&self, generation: u64, warnings: Vec<String>) -> Applied {
        Applied {
            generation,
            changed: false,
            lagging_cores: vec![],
            applied_us: 0,
            durable: self.disk.state().not_durable.is_empty(),
            is_left_out: false,
            warnings,
        }
    }

    /// A rollback that had nothing to take back but what was still waiting.
    pub(super) fn answer_overtaking(&mut self, asked: Waiting) {
        let service = asked.request.command.service();
        let live = service.and_then(|service| self.services.find(service));
        let generation = live.map_or(0, |live| live.record.generation);
        let warning = "a change that waited for the disk was stopped; nobody had moved".to_owned();
        self.answer_unchanged(asked, generation, vec![warning]);
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
        self.share_taken(change);
        self.way_back_acked(change, !lagging.is_empty());
        let is_everywhere = lagging.is_empty();
        let Some((took, waits_for_disk)) = self.settlings.acked(change, lagging) else { return };
        if is_everywhere {
            self.shared.measurements.swapped(took);
        }
        if waits_for_disk {
            self.work.spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                Outcome::PatienceOver { change }
            });
        }
    }
}
