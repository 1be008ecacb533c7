//! What every call needs, and how a change goes to the controller and back.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::answered::Answered;
use super::api::{Applied, Service};
use super::caller::Seen;
use super::problem::{Problem, ProblemKind};
use crate::config::Config;
use crate::control_plane::command::{Command, Refused, Request};
use crate::control_plane::handle::ControllerHandle;
use crate::metrics::feed::Feed;
use crate::model::name::Name;

/// Followers of events at once. They hold a connection each, and must leave enough for everybody else.
pub const FOLLOWERS_MAX: usize = 64;

/// Reads the config file anew; an error is the text for the person who asked.
pub type ReadConfig = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Reads the config on a thread that may wait for a disk.
///
/// # Errors
/// What is wrong with it, with the place.
pub async fn read_in_background(read: ReadConfig) -> Result<Config, String> {
    let config = tokio::task::spawn_blocking(move || read()).await;
    config.unwrap_or_else(|_| Err("reading the config file panicked".to_owned()))
}

/// What every call needs. Clones share it.
#[derive(Clone)]
pub struct Admin {
    /// The way to the controller.
    pub controller: ControllerHandle,
    /// Reads the config file; `None` for a Cyan that runs without one.
    pub read_config: Option<ReadConfig>,
    /// Single exchanges, for whoever watches them.
    pub feed: Feed,
    /// When the process started.
    pub started: Instant,
    /// The same on the wall's clock, read once: a clock that is set later must not look like a restart.
    pub started_at: SystemTime,
    /// Places for followers of events.
    pub(super) followers: Arc<Semaphore>,
    /// Calls that are not to be done twice.
    pub(super) answered: Answered,
}

impl Admin {
    /// The admin API of this controller.
    pub fn new(controller: ControllerHandle, read_config: Option<ReadConfig>, feed: Feed) -> Self {
        let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
        let (started, started_at) = (Instant::now(), SystemTime::now());
        let answered = Answered::default();
        Self { controller, read_config, feed, started, started_at, followers, answered }
    }

    /// The service as it is now.
    pub(super) fn service(&self, name: &Name) -> Result<Service, Problem> {
        match self.controller.service(name.as_str()) {
            Some(view) => Ok(self.described(&view)),
            None => Err(self.unknown(name)),
        }
    }

    /// A service that there is not.
    pub(super) fn unknown(&self, name: &Name) -> Problem {
        let view = self.controller.view();
        let known: Vec<_> = view.iter().map(|service| service.name.as_str()).collect();
        Refused::UnknownService { name: name.clone(), known: known.join(", ") }.into()
    }

    /// Has the controller make a change; answers when every core has taken it, or says who lags.
    pub(super) async fn submit(&self, change: Change) -> Result<Response, Problem> {
        let Change { actor, reason, service, seen, command } = change;
        let request = Request { actor, reason, command };
        match self.controller.submit(request).await {
            Ok(applied) => Ok(answer(applied.into())),
            Err(refused) => Err(self.refused(refused, service.as_ref(), seen)),
        }
    }

    /// A refusal as a problem. Who was too late gets to see what is there now.
    pub(super) fn refused(&self, refused: Refused, service: Option<&Name>, seen: Seen) -> Problem {
        let late = matches!(refused, Refused::Generation { .. });
        let mut problem = if late && seen.by_header {
            Problem::new(ProblemKind::PreconditionFailed, refused.to_string())
        } else {
            Problem::from(refused)
        };
        if let Some(service) = service.filter(|_| late) {
            problem.current = self.service(service).ok().map(Box::new);
        }
        problem
    }
}

/// A change that somebody asks for over HTTP.
pub(super) struct Change {
    pub(super) actor: String,
    pub(super) reason: Option<String>,
    /// The service it concerns; `None` for the whole process.
    pub(super) service: Option<Name>,
    /// The generation that the caller had in mind; the command holds it too.
    pub(super) seen: Seen,
    pub(super) command: Command,
}

/// 200 when every core has changed, 202 while some lag.
fn answer(applied: Applied) -> Response {
    let status =
        if applied.lagging_cores.is_empty() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let tag = entity_tag(applied.generation);
    (status, [(header::ETAG, tag)], axum::Json(applied)).into_response()
}

/// The generation as an entity tag.
pub(super) fn entity_tag(generation: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{generation}\""))
        .expect("digits in quotes are a header value")
}

/// The answer to a page that there is not.
pub(super) async fn no_such_page(uri: axum::http::Uri) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("there is no `{}`", uri.path()))
        .hint("GET /v1/services lists the services and their environments")
}
