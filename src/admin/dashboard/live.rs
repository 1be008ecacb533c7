//! The page's news: a stream that tells once a second, and at once when something happens, what has changed;
//! and the same as a single answer, for networks that hold streams back.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::super::event_stream::{self, Piece};
use super::super::problem::{Problem, ProblemKind};
use super::super::state::{Admin, FOLLOWERS_MAX};
use super::difference::difference;
use super::document::{Document, document};
use super::evidence_log::{EvidenceLog, History};
use super::figures::figures;
use crate::model::name::Name;

/// Between two pieces of news when nothing happens.
const EVERY: Duration = Duration::from_secs(1);
/// Events that come together are told together.
const GATHERED: Duration = Duration::from_millis(50);
/// Distributions are larger than the rest and change slowly.
const FIGURES_EVERY: Duration = Duration::from_secs(5);

/// Which service; the first one when left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Which {
    service: Option<Name>,
}

/// Everything, once.
#[derive(Debug, Serialize)]
pub(in crate::admin) struct Whole {
    #[serde(flatten)]
    document: Document,
    history: Option<History>,
}

/// One answer.
pub(in crate::admin) async fn now(
    State(admin): State<Admin>,
    Extension(log): Extension<Arc<EvidenceLog>>,
    Query(which): Query<Which>,
) -> Json<Whole> {
    Json(whole(&admin, &log, which.service.as_ref()))
}

/// A stream of what changes.
pub(in crate::admin) async fn follow(
    State(admin): State<Admin>,
    Extension(log): Extension<Arc<EvidenceLog>>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let place = Arc::clone(&admin.followers).try_acquire_owned().map_err(|_| {
        let detail = format!("{FOLLOWERS_MAX} pages and followers are connected already");
        Problem::new(ProblemKind::TooMany, detail).hint("close one of them")
    })?;
    let (pieces, answer) = event_stream::answer();
    // Ends with the connection, which is asked at least once a second.
    tokio::spawn(tell(pieces, admin, log, which.service, place));
    Ok(answer)
}

async fn tell(
    pieces: mpsc::Sender<Piece>,
    admin: Admin,
    log: Arc<EvidenceLog>,
    service: Option<Name>,
    _place: OwnedSemaphorePermit,
) {
    let mut events = admin.controller.events();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Map::new();
    let mut drawn: Option<Instant> = None;
    loop {
        tokio::select! {
            () = pieces.closed() => return,
            _ = ticks.tick() => {}
            event = events.recv() => match event {
                Ok(_) | Err(RecvError::Lagged(_)) => tokio::time::sleep(GATHERED).await,
                Err(RecvError::Closed) => return,
            },
        }
        // Events that came meanwhile are in what is told now.
        events = events.resubscribe();
        let news = if told.is_empty() {
            fields(&whole(&admin, &log, service.as_ref()))
        } else {
            let is_due = drawn.is_none_or(|at| at.elapsed() >= FIGURES_EVERY);
            fields(&document(&admin, service.as_ref(), |view| {
                is_due.then(|| figures(&admin, view))
            }))
        };
        if news.contains_key("figures") {
            drawn = Some(Instant::now());
        }
        let changed = changed(&mut told, news);
        if pieces.send(Ok(format!("data: {}\n\n", Value::Object(changed)).into())).await.is_err() {
            return;
        }
    }
}

fn whole(admin: &Admin, log: &EvidenceLog, service: Option<&Name>) -> Whole {
    let document = document(admin, service, |view| Some(figures(admin, view)));
    let history = document.name().and_then(|name| log.history(name));
    Whole { document, history }
}

fn fields(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => unreachable!("a document has names as keys and plain values"),
    }
}

/// What was not told with the same value before. A field that is left out, as figures are, stays as it was.
fn changed(told: &mut Map<String, Value>, news: Map<String, Value>) -> Map<String, Value> {
    let mut changed = Map::new();
    for (name, value) in news {
        let difference = told.get(&name).map_or(Some(value.clone()), |old| difference(old, &value));
        changed.extend(difference.map(|difference| (name.clone(), difference)));
        told.insert(name, value);
    }
    changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_has_changed_is_told() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut told = Map::new();
        let first = object(json!({ "at": 1, "rows": [1], "service": null }));
        assert_eq!(changed(&mut told, first.clone()), first);
        let next = object(json!({ "at": 2, "rows": [1], "service": null }));
        assert_eq!(changed(&mut told, next), object(json!({ "at": 2 })));
        let back = object(json!({ "at": 2, "rows": null }));
        assert_eq!(changed(&mut told, back), object(json!({ "rows": null })));
    }
}
