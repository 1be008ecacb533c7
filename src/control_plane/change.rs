//! What a command would change, worked out before anything is touched.
//!
//! Planning is pure: it reads the services as they are and returns what they would become, with the
//! sentence and the journal's numbers. The controller decides from `exposure` whether the disk or
//! the cores come first. A refused plan has changed nothing, because there was nothing to change
//! yet.

mod environment;
pub(super) mod exposure;
pub(super) mod reload;
pub(super) mod rollout;
mod sentence;
mod subject;
pub(super) mod traffic;
mod weights;

use std::sync::Arc;

use serde_json::Value;

use super::command::{Command, Refused, Request};
use super::record::ServiceRecord;
use super::services::{Live, Services};
use crate::config::Config;
use crate::model::environment::EnvironmentSpec;
use crate::model::name::Name;
use crate::model::service::ServiceSpec;
use crate::rollout::event::Effect;
use exposure::Exposure;

/// Random bits for salts.
pub(super) type Random<'a> = &'a mut dyn FnMut() -> u64;

/// What one service would become. Its generation is given when it is decided.
#[derive(Debug, Clone)]
pub(super) struct Next {
    /// As the file has it.
    pub(super) file: Arc<ServiceSpec>,
    /// What the store keeps.
    pub(super) record: ServiceRecord,
    /// The environments at work, in the order of the assignment.
    pub(super) specs: Vec<EnvironmentSpec>,
}

/// A whole change.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// Services that change or join.
    pub(super) next: Vec<Next>,
    /// The names of all services afterwards, in order; `None` when they stay the same ones.
    pub(super) order: Option<Vec<Name>>,
    /// Whom it exposes.
    pub(super) exposure: Exposure,
    /// The journal's code.
    pub(super) kind: &'static str,
    /// One sentence for people.
    pub(super) text: String,
    /// Its numbers.
    pub(super) details: Value,
    /// What the caller should know all the same.
    pub(super) warnings: Vec<String>,
    /// What is to be done for a rollout once it is published.
    pub(super) effects: Vec<Effect>,
}

/// What a command comes to.
#[derive(Debug)]
pub(super) enum Planned {
    /// Something changes.
    Change(Change),
    /// All is as asked for already, at this generation.
    Nothing {
        /// The service's generation.
        generation: u64,
        /// What the caller should know all the same.
        warnings: Vec<String>,
    },
}

/// Whether a change of this kind takes users back to where they were.
pub(super) fn is_rollback(kind: &str) -> bool {
    [weights::ROLLED_BACK, crate::rollout::ROLLED_BACK].contains(&kind)
}

/// Whether weights and roles before and after say all that there is to say of a change of this kind.
pub(super) fn is_told_by_weights(kind: &str) -> bool {
    [weights::SET, weights::SWITCHED, weights::ROLLED_BACK].contains(&kind)
}

/// Works out what `command` would change. `Drain` changes no state and is not planned here.
///
/// # Errors
/// When the command is against the rules or the present state.
pub(super) fn plan(
    services: &Services,
    started_with: &Config,
    request: &Request,
    random: Random<'_>,
) -> Result<Planned, Refused> {
    let Request { actor, reason, command } = request;
    let reason = reason.as_deref();
    match command {
        Command::SetWeights { service, weights, candidate, if_generation } => {
            let live = services.expect(service, *if_generation)?;
            let planned = weights::set(live, weights, candidate.as_ref(), random)?;
            Ok(rollout::paused_by_hand(live, planned))
        }
        Command::Switch { service, to, if_generation } => {
            let live = services.expect(service, *if_generation)?;
            match rollout::asked_by_switch(live, to.as_ref(), reason) {
                Some(event) => rollout::advance(live, &event, actor, random),
                None => Ok(rollout::paused_by_hand(live, weights::switch(live, to.as_ref())?)),
            }
        }
        Command::RollBack { service, instant } => {
            let live = services.expect(service, None)?;
            match rollout::asked_by_roll_back(live, reason, *instant) {
                Some(event) => rollout::advance(live, &event, actor, random),
                None => weights::roll_back(live),
            }
        }
        Command::StartRollout { service, start, base, if_generation } => {
            // A start raises the generation: the same one again names an old one, and rightly so.
            match rollout::started_before(services.expect(service, None)?, start) {
                Some(before) => before,
                None => {
                    rollout::start(services.expect(service, *if_generation)?, start, *base, random)
                }
            }
        }
        Command::Rollout { service, event, rollout, if_generation } => {
            let live = services.expect(service, *if_generation)?;
            rollout::expect(live, *rollout)?;
            rollout::advance(live, event, actor, random)
        }
        Command::Freeze { service, freeze, if_generation } => {
            rollout::freeze(services.expect(service, *if_generation)?, freeze.as_ref())
        }
        Command::PutEnvironment {
            service,
            environment,
            upstreams,
            version,
            model,
            only_idle,
            if_generation,
        } => {
            let live = services.expect(service, *if_generation)?;
            let put = environment::Put {
                name: environment,
                upstreams: upstreams.as_deref(),
                version: version.as_deref(),
                model: model.as_deref(),
                only_idle: *only_idle,
            };
            environment::put(live, &put, random)
        }
        Command::RemoveEnvironment { service, environment, if_generation } => {
            environment::remove(services.expect(service, *if_generation)?, environment)
        }
        Command::ResetField { service, environment, field, if_generation } => {
            environment::reset(services.expect(service, *if_generation)?, environment, field)
        }
        Command::Reload(_, config) => reload::plan(services, started_with, config, random),
        Command::Drain { .. } => unreachable!("the controller starts drains without a plan"),
    }
}

impl Next {
    /// A service with this record under the same file.
    fn of(live: &Live, record: ServiceRecord) -> Result<Self, Refused> {
        Self::new(Arc::clone(&live.file), record)
    }

    /// A service with this record under `file`.
    ///
    /// # Errors
    /// When a kept upstream is none, or an environment is neither in the file nor made by the API.
    pub(super) fn new(file: Arc<ServiceSpec>, record: ServiceRecord) -> Result<Self, Refused> {
        let specs = super::services::specs(&file, &record)?;
        Ok(Self { file, record, specs })
    }

    /// A change of this one service; nothing, when it stays as it is.
    fn planned(self, live: &Live, said: Said) -> Planned {
        if self.record.assignment == live.record.assignment
            && self.record.overrides == live.record.overrides
            && self.record.release == live.record.release
        {
            return Planned::Nothing { generation: live.record.generation, warnings: vec![] };
        }
        let exposure = exposure::of(live, &self);
        let warnings = sentence::doubts(live, &self);
        let mut next = self;
        said.kind.clone_into(&mut next.record.last_change);
        Planned::Change(Change {
            next: vec![next],
            order: None,
            exposure,
            kind: said.kind,
            text: said.text,
            details: said.details,
            warnings,
            effects: vec![],
        })
    }
}

/// What is said about a change.
struct Said {
    kind: &'static str,
    text: String,
    details: Value,
}
