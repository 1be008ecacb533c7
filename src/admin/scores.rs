//! `POST /v1/scores`: quality scores, one or a batch, by exchange or by environment.
//!
//! Everything that is wrong with a batch is told at once, with the place of each score in it.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::api::SCHEMA;
use super::api::scores::{NewScore, ScoresCounted};
use super::body::AnyBody;
use super::problem::{FieldError, Problem, ProblemKind};
use super::state::Admin;
use crate::control_plane::scores::{self, BATCH_MAX, ScoreRefused};
use crate::model::exchange_id::ExchangeId;
use crate::model::name::Name;
use crate::model::score::{Score, quality};
use crate::model::sticky::StickyKey;

/// How far a sender's clock may be ahead of ours.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(60);
/// Cases of an evaluation that one score may stand for.
const COUNT_MAX: u32 = 1_000_000;
/// Errors of a batch that are told.
const ERRORS_MAX: usize = 20;

/// Counts the scores, all of them or none.
pub(super) async fn take(
    State(admin): State<Admin>,
    AnyBody(body): AnyBody,
) -> Result<Json<ScoresCounted>, Problem> {
    let (items, is_list) = match body {
        Value::Array(items) => (items, true),
        one => (vec![one], false),
    };
    if items.len() > BATCH_MAX {
        let detail = format!(
            "{} scores in one request; send at most {BATCH_MAX}, and the rest in another",
            items.len()
        );
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let only = only_service(&admin);
    let now = SystemTime::now();
    let (mut scores, mut wrong) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match read(item, only.as_ref(), now) {
            Ok(score) => scores.push(score),
            Err((field, detail)) => {
                wrong.push(Wrong { index, field, detail, is_unknown: false });
            }
        }
    }
    if wrong.is_empty()
        && let Err(refused) = admin.controller.score(&scores)
    {
        wrong.extend(refused.into_iter().map(|(index, why)| Wrong::refused(index, &why)));
    }
    if wrong.is_empty() {
        return Ok(Json(ScoresCounted {
            schema: SCHEMA,
            counted: scores.iter().map(|score| u64::from(score.count)).sum(),
        }));
    }
    Err(problem(&wrong, is_list))
}

/// What is wrong with one score of a batch.
struct Wrong {
    index: usize,
    field: &'static str,
    detail: String,
    is_unknown: bool,
}

impl Wrong {
    fn refused(index: usize, why: &ScoreRefused) -> Self {
        let (field, is_unknown) = match why {
            ScoreRefused::UnknownService { .. } => ("service", true),
            ScoreRefused::UnknownEnvironment { .. } => ("environment", true),
            ScoreRefused::UnknownRollout { .. } => ("exchange", true),
            ScoreRefused::TooManyNames { .. } => ("name", false),
        };
        Self { index, field, detail: why.to_string(), is_unknown }
    }

    /// `#/3/value` in a list, `#/value` of a single score.
    fn pointer(&self, is_list: bool) -> String {
        let Self { index, field, .. } = self;
        let path = if is_list { format!("#/{index}/{field}") } else { format!("#/{field}") };
        path.trim_end_matches('/').to_owned()
    }
}

fn problem(wrong: &[Wrong], is_list: bool) -> Problem {
    let all_unknown = wrong.iter().all(|wrong| wrong.is_unknown);
    let kind = if all_unknown { ProblemKind::NotFound } else { ProblemKind::Invalid };
    let first = wrong.first().map_or("", |wrong| &wrong.detail);
    let detail = match (is_list, wrong) {
        (false, _) => first.to_owned(),
        (true, [only]) => format!("score {}: {first}; nothing was counted", only.index),
        (true, _) => format!(
            "{} scores cannot be counted, so nothing was; score {}: {first}",
            wrong.len(),
            wrong[0].index
        ),
    };
    let error = |wrong: &Wrong| FieldError {
        pointer: wrong.pointer(is_list),
        detail: wrong.detail.clone(),
    };
    let errors = wrong.iter().take(ERRORS_MAX).map(error).collect();
    Problem { errors, ..Problem::new(kind, detail) }
}

/// The service that is meant when none is named.
fn only_service(admin: &Admin) -> Option<Name> {
    match admin.controller.snapshot().tables() {
        [table] => Some(table.service.name.clone()),
        _ => None,
    }
}

/// A score as the controller takes it, or the field at fault and what is wrong with it.
fn read(
    item: Value,
    only: Option<&Name>,
    now: SystemTime,
) -> Result<scores::NewScore, (&'static str, String)> {
    if !item.is_object() {
        return Err(("", "invalid type: a score is an object with a value".to_owned()));
    }
    let said: NewScore = serde_json::from_value(item).map_err(|error| ("", error.to_string()))?;
    let (service, environment, id) = belongs_to(&said, only)?;
    let count = count(&said).map_err(|problem| ("count", problem))?;
    Ok(scores::NewScore {
        service,
        environment,
        exchange: id.map(|id| id.number),
        rollout: id.map(|id| id.rollout),
        name: said.name.unwrap_or_else(quality),
        score: Score::new(said.value).map_err(|error| ("value", error.to_string()))?,
        key: said.key.map(|key| StickyKey::of(key.as_bytes(), 0).hash),
        age: age(said.timestamp, now).map_err(|problem| ("timestamp", problem))?,
        count,
        is_evaluation: said.evaluation,
    })
}

/// The parts of an exchange's id beside its names.
#[derive(Clone, Copy)]
struct Numbers {
    rollout: u64,
    number: u64,
}

fn belongs_to(
    said: &NewScore,
    only: Option<&Name>,
) -> Result<(Name, Name, Option<Numbers>), (&'static str, String)> {
    match (&said.exchange, &said.environment) {
        (Some(exchange), None) if said.service.is_none() => {
            let id: ExchangeId =
                exchange.parse().map_err(|error| ("exchange", format!("{error}")))?;
            let numbers = Numbers { rollout: id.rollout, number: id.number };
            Ok((id.service, id.environment, Some(numbers)))
        }
        (Some(_), _) => {
            let problem = "an exchange names its service and environment itself; leave them out";
            Err(("exchange", problem.to_owned()))
        }
        (None, Some(environment)) => {
            let service = said.service.as_ref().or(only).ok_or_else(|| {
                ("service", "there are several services; name the one you mean".to_owned())
            })?;
            Ok((service.clone(), environment.clone(), None))
        }
        (None, None) => {
            let problem = "nobody knows what is scored; send the exchange or the environment";
            Err(("", problem.to_owned()))
        }
    }
}

/// Users' answers are scored one by one, because each is news to the judge.
fn count(said: &NewScore) -> Result<u32, String> {
    match said.count {
        1 => Ok(1),
        _ if !said.evaluation => {
            Err("only an evaluation has cases; send each score by itself".to_owned())
        }
        count if (1..=COUNT_MAX).contains(&count) => Ok(count),
        count => Err(format!("{count} is out of range; send 1 to {COUNT_MAX}")),
    }
}

/// How long ago a moment was. One that is a little ahead of our clock counts as now.
fn age(timestamp: Option<f64>, now: SystemTime) -> Result<Duration, String> {
    let Some(seconds) = timestamp else { return Ok(Duration::ZERO) };
    let no_time = || format!("{seconds} is no time; send seconds of Unix time, e.g. 1795244400.5");
    let since = Duration::try_from_secs_f64(seconds).map_err(|_| no_time())?;
    let then = SystemTime::UNIX_EPOCH.checked_add(since).ok_or_else(no_time)?;
    match now.duration_since(then) {
        Ok(age) => Ok(age),
        Err(ahead) if ahead.duration() <= CLOCKS_DIFFER_MAX => Ok(Duration::ZERO),
        Err(ahead) => Err(format!(
            "{seconds} is {:.0} s ahead of Cyan's clock; send seconds of Unix time",
            ahead.duration().as_secs_f64()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_late_and_hardly_early() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (timestamp, expected) in [
            (None, Ok(0)),
            (Some(1_000_000.0), Ok(0)),
            (Some(999_400.0), Ok(600)),
            (Some(1_000_060.0), Ok(0)),
            (Some(0.0), Ok(1_000_000)),
        ] {
            assert_eq!(age(timestamp, now).map(|age| age.as_secs()), expected, "{timestamp:?}");
        }
        for (timestamp, words) in [
            (1_000_061.0, "is 61 s ahead of Cyan's clock; send seconds of Unix time"),
            (-1.0, "is no time; send seconds of Unix time"),
            (1e300, "is no time; send seconds of Unix time"),
            (1e18, "send seconds of Unix time"), // milliseconds or worse
        ] {
            let error = age(Some(timestamp), now).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
