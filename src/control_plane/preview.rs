//! What a change would make of a service, worked out by the very plan that would make it: on the
//! controller's own state, and then let go.

use tokio::sync::oneshot;

use super::change::{self, Change, Planned};
use super::command::{Command, Refused, Request};
use super::handle::{Asked, ControllerHandle};
use super::services::Services;
use crate::config::Config;
use crate::model::assignment::Assignment;

/// What would be.
#[derive(Debug, Clone, PartialEq)]
pub struct WouldBe {
    /// The generation that was looked at.
    pub generation: u64,
    /// Weights and roles as they are.
    pub before: Assignment,
    /// Weights and roles as they would be.
    pub after: Assignment,
    /// What weights and roles do not tell: the journal's words, and what the caller should know all the same.
    pub note: Option<String>,
}

impl ControllerHandle {
    /// What this request would change of its service.
    ///
    /// # Errors
    /// When it would be refused.
    pub async fn would_be(&self, request: Request) -> Result<WouldBe, Refused> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked::Preview(request, reply);
        self.requests.send(asked).await.map_err(|_| Refused::ShuttingDown)?;
        answer.await.unwrap_or(Err(Refused::ShuttingDown))
    }
}

/// What a request about one service would change of it.
pub(super) fn would_be(
    services: &Services,
    started_with: &Config,
    request: &Request,
) -> Result<WouldBe, Refused> {
    let service = match (&request.command, request.command.service()) {
        (Command::Drain { .. }, _) | (_, None) => {
            let problem = "only a change of one service can be looked at beforehand".to_owned();
            return Err(Refused::State {
                problem,
                remedy: "for a config: cyan check --diff".into(),
            });
        }
        (_, Some(service)) => service,
    };
    let before = &services.expect(service, None)?.record;
    // Nobody is routed by these salts.
    let planned = change::plan(services, started_with, request, &mut || fastrand::u64(..))?;
    let (after, note) = match planned {
        Planned::Nothing { warnings, .. } => (None, in_words(None, warnings)),
        Planned::Change(mut change) => {
            let next = change.next.pop();
            (next.map(|next| next.record.assignment), note(change))
        }
    };
    Ok(WouldBe {
        generation: before.generation,
        before: before.assignment.clone(),
        after: after.unwrap_or_else(|| before.assignment.clone()),
        note,
    })
}

fn note(change: Change) -> Option<String> {
    let is_told = change::is_told_by_weights(change.kind);
    in_words((!is_told).then_some(change.text), change.warnings)
}

fn in_words(text: Option<String>, warnings: Vec<String>) -> Option<String> {
    let words: Vec<String> = text.into_iter().chain(warnings).collect();
    (!words.is_empty()).then(|| words.join("; "))
}
