//! `…/cohorts`: what became of the requests that began in the same second.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::SCHEMA;
use super::api::stats::{AtAge, Cohort, Cohorts};
use super::params::{Params, within};
use super::path::OfEnvironment;
use super::problem::Problem;
use super::state::Admin;
use super::stats::seconds;
use crate::metrics::cohort_log::{CohortLog, SECONDS_KEPT};
use crate::model::environment::EnvironmentId;

/// The ages at which errors are always read.
const AGES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(15)];
/// Seconds that are shown when no number is asked for.
const SECONDS_DEFAULT: u32 = 60;

/// `?seconds=60`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LastSeconds {
    /// How many seconds back; 60 when left out.
    #[schemars(range(min = 1, max = SECONDS_KEPT))]
    seconds: Option<u32>,
}

/// The cohorts of the last seconds.
pub(super) async fn show(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Params(query): Params<LastSeconds>,
) -> Result<Json<Cohorts>, Problem> {
    let id = admin.environment_id(&service, &environment)?;
    let seconds = within("seconds", query.seconds, &(1..=SECONDS_KEPT))?;
    let seconds = seconds.unwrap_or(SECONDS_DEFAULT);
    Ok(Json(admin.controller.cohorts(|log, now| read(log, id, seconds, now))))
}

fn read(log: &CohortLog, id: EnvironmentId, last: u32, now: Duration) -> Cohorts {
    let kept = log.seconds(id);
    let end = u32::try_from(now.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    let cohort = |second| {
        let began = log.at(id, second, Duration::ZERO).began;
        let reached = AGES.into_iter().filter(|age| log.is_complete(second, *age));
        let at = reached.map(|age| at_age(log, id, second, age)).collect();
        (began > 0).then_some(Cohort { second, began, at })
    };
    Cohorts {
        schema: SCHEMA,
        collected_until_s: log.collected_until().map(seconds),
        lost: log.lost(),
        cohorts: (end.saturating_sub(last).max(kept.start)..kept.end).filter_map(cohort).collect(),
    }
}

fn at_age(log: &CohortLog, id: EnvironmentId, second: u32, age: Duration) -> AtAge {
    let at = log.at(id, second, age);
    AtAge {
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        failed_early: at.failed_early,
        failed_late: at.failed_late,
        refused: at.refused,
        left: at.left,
        no_first_content: at.no_first_content,
        unfinished: at.unfinished,
    }
}
