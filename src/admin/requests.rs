//! `/v1/requests`: single exchanges as they end, as server-sent events; the records are those of the
//! access log.
//!
//! Watching costs the cores something, so places are few and what is wanted is told to the feed. A
//! watcher that is too slow, or wants more than 1 000 a second, is told how many it did not get.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::api::RequestsLeftOut;
use super::event_stream::{self, KEEP_ALIVE, Piece, STILL_HERE};
use super::params::Params;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::command::Refused;
use crate::metrics::exchange_record::ExchangeRecord;
use crate::metrics::feed::{Filter, LeftOut, WATCHERS_MAX, Watch};
use crate::metrics::record_text;
use crate::model::assignment::AssignmentError;
use crate::model::name::Name;
use crate::model::verdict::Verdict;

/// Records in one piece of the answer.
const RECORDS_MAX: usize = 64;
/// Between two words about what was left out.
const LEFT_OUT_INTERVAL: Duration = Duration::from_secs(1);

/// Which exchanges.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only those of this service.
    service: Option<Name>,
    /// Only those of this environment.
    environment: Option<Name>,
    /// Only those that ended so; several with commas in between.
    #[serde(default)]
    #[schemars(schema_with = "verdicts")]
    verdict: Option<String>,
}

/// Watches until one side goes.
pub(super) async fn watch(
    State(admin): State<Admin>,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    let filter = admin.filter(which)?;
    let watch = admin.feed.watch(filter).ok_or_else(|| {
        let detail = format!("{WATCHERS_MAX} watch single requests already");
        Problem::new(ProblemKind::TooMany, detail).hint("end one of them, or read the access log")
    })?;
    let (pieces, answer) = event_stream::answer();
    // Ends with the connection.
    tokio::spawn(tell(pieces, watch));
    Ok(answer)
}

impl Admin {
    /// What is wanted, if it can ever come.
    fn filter(&self, which: Which) -> Result<Filter, Problem> {
        let Which { service, environment, verdict } = which;
        match (&service, &environment) {
            (Some(service), None) => drop(self.service(service)?),
            (Some(service), Some(environment)) => drop(self.environment(service, environment)?),
            (None, Some(environment)) => self.environment_anywhere(environment)?,
            (None, None) => {}
        }
        let verdicts = verdict.iter().flat_map(|list| list.split(',')).map(known_verdict);
        let verdicts = verdicts.collect::<Result<_, _>>()?;
        Ok(Filter { service, environment, verdicts, is_traced: false })
    }

    fn environment_anywhere(&self, name: &Name) -> Result<(), Problem> {
        let view = self.controller.view();
        let mut names: Vec<_> =
            view.iter().flat_map(|s| &s.environments).map(|e| e.name.to_string()).collect();
        if names.iter().any(|known| name == known.as_str()) {
            return Ok(());
        }
        names.sort_unstable();
        names.dedup();
        let unknown = AssignmentError::Unknown { name: name.clone(), known: names.join(", ") };
        Err(Refused::Assignment(unknown).into())
    }
}

fn verdicts(_: &mut SchemaGenerator) -> Schema {
    let one = Verdict::ALL.map(Verdict::label).join("|");
    json_schema!({ "type": "string", "pattern": format!("^({one})(,({one}))*$") })
}

fn known_verdict(label: &str) -> Result<Verdict, Problem> {
    Verdict::ALL.into_iter().find(|verdict| verdict.label() == label).ok_or_else(|| {
        let known = Verdict::ALL.map(Verdict::label).join(", ");
        let detail = format!("unknown verdict `{label}`; there are: {known}");
        Problem::new(ProblemKind::BadRequest, detail)
    })
}

/// Writes records into `pieces` until nobody reads them.
async fn tell(pieces: mpsc::Sender<Piece>, mut watch: Watch) {
    let mut records = Vec::with_capacity(RECORDS_MAX);
    let mut told_at = Instant::now();
    // Something at once, so that the client sees the answer begin.
    let mut piece = ": requests of cyan\n\n".to_owned();
    loop {
        if pieces.send(Ok(piece.into())).await.is_err() {
            return;
        }
        let is_quiet = tokio::select! {
            () = pieces.closed() => return,
            next = timeout(KEEP_ALIVE, watch.next(&mut records, RECORDS_MAX)) => next.is_err(),
        };
        piece = if is_quiet { STILL_HERE.to_owned() } else { written(&records) };
        records.clear();
        if is_quiet || told_at.elapsed() >= LEFT_OUT_INTERVAL {
            told_at = Instant::now();
            piece.push_str(&left_out(watch.left_out()));
        }
    }
}

fn written(records: &[Arc<ExchangeRecord>]) -> String {
    let mut text = String::new();
    for record in records {
        text.push_str("event: request\ndata: ");
        record_text::json(record, &mut text);
        text.push_str("\n\n");
    }
    text
}

fn left_out(left_out: LeftOut) -> String {
    let mut text = String::new();
    if left_out != LeftOut::default() {
        let LeftOut { over_rate, unread } = left_out;
        let data = serde_json::to_string(&RequestsLeftOut { over_rate, unread })
            .expect("two numbers are JSON");
        write!(text, "event: requests_left_out\ndata: {data}\n\n")
            .expect("writing to a string cannot fail");
    }
    text
}
