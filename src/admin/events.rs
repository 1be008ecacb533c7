//! `/v1/events`: what happens, as server-sent events.
//!
//! A follower never slows the controller: it reads from a bounded ring, and when it is too slow it is
//! told how many events it lost. `Last-Event-ID` (or `?since=`) goes on where an earlier follower
//! stopped, as far back as events are kept.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use super::api;
use super::event_stream::{self, KEEP_ALIVE, Piece, STILL_HERE};
use super::params::Params;
use super::problem::{Problem, ProblemKind};
use super::state::{Admin, FOLLOWERS_MAX};
use crate::control_plane::event::Event;
use crate::model::rfc3339;

/// Where to begin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// The `seq` of the last event that is known; from now on when left out.
    since: Option<u64>,
}

/// Follows what happens until one side goes.
pub(super) async fn follow(
    State(admin): State<Admin>,
    Params(query): Params<Since>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = Arc::clone(&admin.followers).try_acquire_owned().map_err(|_| {
        let detail = format!("{FOLLOWERS_MAX} followers of events are connected already");
        Problem::new(ProblemKind::TooMany, detail).hint("end one of them, or poll /v1/status")
    })?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let (missed, coming) = match last.or(query.since) {
        Some(seq) => admin.controller.events_since(seq),
        None => (Vec::new(), admin.controller.events()),
    };
    let (pieces, answer) = event_stream::answer();
    // Ends with the connection. The ring of the controller holds what it has not read.
    tokio::spawn(tell(pieces, missed, coming, place));
    Ok(answer)
}

/// Writes events into `pieces` until nobody reads them, or the controller has gone.
async fn tell(
    pieces: mpsc::Sender<Piece>,
    missed: Vec<Arc<Event>>,
    mut coming: Receiver<Arc<Event>>,
    _place: OwnedSemaphorePermit,
) {
    let mut last = 0;
    let missed: String = missed.iter().map(|event| written(event, &mut last)).collect();
    // Something at once, so that the client sees the answer begin.
    let mut piece = format!(": events of cyan\n\n{missed}");
    loop {
        if pieces.send(Ok(piece.into())).await.is_err() {
            return;
        }
        piece = tokio::select! {
            () = pieces.closed() => return,
            next = wait(&mut coming, &mut last) => match next {
                Some(next) => next,
                None => return,
            },
        };
    }
}

/// The next event, a word about lost ones, or a comment; `None` when there will be no more.
async fn wait(coming: &mut Receiver<Arc<Event>>, last: &mut u64) -> Option<String> {
    match timeout(KEEP_ALIVE, coming.recv()).await {
        Ok(Ok(event)) => Some(written(&event, last)),
        Ok(Err(RecvError::Lagged(count))) => Some(lost(count, *last)),
        Ok(Err(RecvError::Closed)) => None,
        Err(_) => Some(STILL_HERE.to_owned()),
    }
}

fn written(event: &Event, last: &mut u64) -> String {
    *last = event.seq;
    let event = api::Event::from(event);
    format!("id: {}\nevent: {}\ndata: {}\n\n", event.seq, event.kind, json(&event))
}

/// Has no id of its own: who comes back with the last one gets what is still kept.
fn lost(count: u64, last: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let event = api::Event {
        seq: last,
        at: rfc3339::format(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
        service: None,
        kind: "events_lost".to_owned(),
        text: format!("{count} events were lost: this follower was too slow"),
        details: serde_json::json!({ "lost": count }),
    };
    format!("event: events_lost\ndata: {}\n\n", json(&event))
}

fn json(event: &api::Event) -> String {
    serde_json::to_string(event).expect("an event has only names and numbers as keys")
}
