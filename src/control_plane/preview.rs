//! What a rollout under way would become if somebody asked for something now: worked out from what is
//! published, by the very functions that would decide it.

use super::change::rollout::rollout_refusal;
use super::change::traffic;
use super::clock::unix_ms;
use super::command::{Refused, ServiceView};
use super::handle::ControllerHandle;
use crate::model::assignment::Assignment;
use crate::rollout::event::{Event, Operator, Scene};

/// What would be.
#[derive(Debug, Clone, PartialEq)]
pub struct WouldBe {
    /// Weights and roles.
    pub assignment: Assignment,
    /// What the journal would say; `None` when all is as asked for already.
    pub said: Option<String>,
}

impl ControllerHandle {
    /// What this would make of the last rollout of a service, meant by its number where one is given.
    ///
    /// # Errors
    /// When it would be refused.
    pub fn would_be(
        &self,
        view: &ServiceView,
        rollout: Option<u64>,
        asked: Operator,
        actor: &str,
    ) -> Result<WouldBe, Refused> {
        let release = self.release(view.name.as_str());
        let last = release.as_ref().and_then(|release| release.release.rollout.as_deref());
        let (Some(release), Some(last)) = (&release, last) else {
            return Err(rollout_refusal(&view.name, rollout, None));
        };
        if rollout.is_some_and(|meant| meant != last.id) {
            return Err(rollout_refusal(&view.name, rollout, Some(last.id)));
        }
        let before = &view.assignment;
        let scene = Scene {
            service: view.name.clone(),
            now: release.observed,
            share: traffic::share(before, last),
            frozen: release.release.frozen(unix_ms()),
            actor: actor.to_owned(),
        };
        let event = Event::Asked(asked);
        let Some(advance) = last.advance(&event, &scene)? else {
            return Ok(WouldBe { assignment: before.clone(), said: None });
        };
        traffic::may_be_asked(&event, before, last)?;
        // A dry run needs no salts: nobody is routed by it.
        let assignment = traffic::with_traffic(before, &advance, &mut || 0)?;
        Ok(WouldBe { assignment, said: Some(advance.said.text) })
    }
}
