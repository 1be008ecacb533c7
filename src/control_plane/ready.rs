//! Is an environment ready for users? Every upstream of it is asked now: by its health path, or only for
//! a connection where it has none. A rollout asks the same before anything else; here anybody may, who
//! has put a new version somewhere and waits for it to come up. No user notices.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Refused;
use super::handle::ControllerHandle;
use super::health;
use crate::model::name::Name;

/// How long each upstream may take to answer.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(2);

/// What an environment said when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ready {
    /// The environment.
    pub environment: Name,
    /// Its version label.
    pub version: Option<String>,
    /// Upstreams that were asked.
    pub upstreams: usize,
    /// Whether all of them answered well.
    pub ready: bool,
    /// What the others said; none when it is ready.
    pub problem: Option<String>,
}

impl ControllerHandle {
    /// Asks every upstream of an environment; takes two seconds at most. Cancel safe.
    ///
    /// # Errors
    /// When there is no such environment.
    pub async fn ready(&self, service: &Name, environment: &Name) -> Result<Ready, Refused> {
        let (_, environment) = self.shared.published.load().routed(service, environment)?;
        let problem = health::all_answer(&environment, ANSWER_MAX).await.err();
        Ok(Ready {
            environment: environment.name().clone(),
            version: environment.spec.version.as_deref().map(str::to_owned),
            upstreams: environment.upstreams.len(),
            ready: problem.is_none(),
            problem,
        })
    }
}
