//! `/v1/events`: what happens, as server-sent events.
//!
//! A follower never slows the controller: it reads from a bounded ring, and when it is too slow it is
//! told how many events it lost. `Last-Event-ID` (or `?since=`) goes on where an earlier follower
//! stopped, as far back as events are kept; who stopped before that is told so.

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
use crate::control_plane::event::{Event, Gap};
use crate::model::rfc3339;

/// Where to begin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// The `seq` of the last event that is known; 0 for all that are kept; from now on when left out.
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
    let (first, last, coming) = match last.or(query.since) {
        Some(seq) => {
            let since = admin.controller.events_since(seq);
            let mut last = seq;
            let gap = since.gap.map(|gap| gap_in_words(gap, seq)).unwrap_or_default();
            let kept: String = since.kept.iter().map(|event| written(event, &mut last)).collect();
            (gap + &kept, last, since.coming)
        }
        None => (String::new(), 0, admin.controller.events()),
    };
    let (pieces, answer) = event_stream::answer();
    // Ends with the connection. The ring of the controller holds what it has not read.
    tokio::spawn(tell(pieces, first, last, coming, place));
    Ok(answer)
}

/// Writes events into `pieces` until nobody reads them, or the controller has gone.
async fn tell(
    pieces: mpsc::Sender<Piece>,
    first: String,
    mut last: u64,
    mut coming: Receiver<Arc<Event>>,
    _place: OwnedSemaphorePermit,
) {
    // Something at once, so that the client sees the answer begin.
    let mut piece = format!(": events of cyan\n\n{first}");
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
        Ok(Err(RecvError::Lagged(count))) => {
            let text = format!("{count} events were lost: this follower was too slow");
            Some(lost(text, Some(count), *last))
        }
        Ok(Err(RecvError::Closed)) => None,
        Err(_) => Some(STILL_HERE.to_owned()),
    }
}

fn written(event: &Event, last: &mut u64) -> String {
    *last = event.seq;
    let event = api::Event::from(event);
    format!("id: {}\nevent: {}\ndata: {}\n\n", event.seq, event.kind, json(&event))
}

fn gap_in_words(gap: Gap, seq: u64) -> String {
    match gap {
        Gap::Forgotten(count) => {
            let text =
                format!("{count} events after {seq} are not kept any more; see cyan journal");
            lost(text, Some(count), seq)
        }
        Gap::OtherProcess => {
            let text = format!(
                "cyan was restarted or taken over since {seq}, so events may be missing; see cyan journal"
            );
            lost(text, None, seq)
        }
    }
}

/// Has no id of its own: who comes back with the last one gets what is still kept.
fn lost(text: String, count: Option<u64>, last: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let event = api::Event {
        seq: last,
        at: rfc3339::format(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
        service: None,
        kind: "events_lost".to_owned(),
        text,
        details: serde_json::json!({ "lost": count }),
    };
    format!("event: events_lost\ndata: {}\n\n", json(&event))
}

fn json(event: &api::Event) -> String {
    serde_json::to_string(event).expect("an event has only names and numbers as keys")
}
