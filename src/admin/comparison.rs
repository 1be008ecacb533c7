//! `/v1/services/{service}/comparison`: two environments side by side, and whether the switch is safe.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::api::SCHEMA;
use super::api::comparison::{Compared, Comparison, Interval, Measured, Row};
use super::params::Params;
use super::path::OfService;
use super::problem::{Problem, ProblemKind};
use super::state::Admin;
use super::stats::seconds;
use crate::control_plane::comparison::CompareRefused;
use crate::control_plane::windows::{KEPT_MAX, Span};
use crate::judge::comparison::{Difference, Safety};
use crate::judge::record::Both;
use crate::metrics::counts::Tallies;
use crate::model::duration;
use crate::model::name::Name;
use crate::model::standing::Standing;

/// `?candidate=green&window=5m`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfComparison {
    /// Which environment; the service's candidate when left out.
    candidate: Option<Name>,
    /// How far back, `1s` to `15m`, or `step`: since the weights changed last. As the plan says when left out.
    #[schemars(regex(pattern = r"^(step|([0-9]+(d|h|m|s|ms))+)$"))]
    window: Option<String>,
}

/// How the environments compare; by the plan's rule where nothing else is asked for.
pub(super) async fn show(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Params(query): Params<OfComparison>,
) -> Result<Json<Comparison>, Problem> {
    let span = query.window.as_deref().map(span).transpose()?;
    let found = admin.controller.compare(&service, query.candidate.as_ref(), span);
    let found = found.map_err(|refused| problem(&admin, &refused))?;
    let (window, covers_s) = (label(found.span), seconds(found.covers));
    let comparison = &found.comparison;
    let Both { active, candidate } = found.measured.as_ref();
    let timed = Both { active, candidate }
        .map(|side| side.latency.iter().map(|(_, count)| u64::from(*count)).sum());
    let requests = Both { active, candidate }.map(|side| side.requests.into());
    let scores = Both { active, candidate }.map(|side| side.scores.n.into());
    let quality = |difference: &Difference| {
        // Of scores a higher one is better, so the signs are the other way round.
        Row {
            difference: difference.worse_by.map(|worse| rounded(-worse)),
            ..row(difference, scores, 1.0)
        }
    };
    Ok(Json(Comparison {
        schema: SCHEMA,
        active: side(&admin, &service, &found.names.active, &found.tallies.active),
        candidate: side(&admin, &service, &found.names.candidate, &found.tallies.candidate),
        service,
        window,
        covers_s,
        latency_signal: found.signal.label().to_owned(),
        latency_p99_ms: row(&comparison.latency_p99, timed, 1e3),
        error_rate_percent: row(&comparison.errors, requests, 100.0),
        quality: comparison.quality.as_ref().map(quality),
        safe: match found.explained.answer {
            Safety::Safe => Some(true),
            Safety::Unsafe => Some(false),
            Safety::NotEnoughData => None,
        },
        answer: found.explained.answer,
        explanation: found.explained.to_string(),
        reason: found.explained.reason,
    }))
}

fn span(text: &str) -> Result<Span, Problem> {
    if text == "step" {
        return Ok(Span::Step);
    }
    let invalid = |why: String| Problem::new(ProblemKind::Invalid, format!("window: {why}"));
    let length = duration::parse(text).map_err(|error| invalid(error.to_string()))?;
    if !(Duration::from_secs(1)..=KEPT_MAX).contains(&length) {
        let most = duration::print(KEPT_MAX);
        return Err(invalid(format!("`{text}` is not within 1s and {most}; or ask for `step`")));
    }
    Ok(Span::Past(length))
}

fn label(span: Span) -> String {
    match span {
        Span::Past(length) => duration::print(length),
        Span::Step => "step".to_owned(),
    }
}

fn problem(admin: &Admin, refused: &CompareRefused) -> Problem {
    let kind = match refused {
        CompareRefused::UnknownService(service) => return admin.unknown(service),
        CompareRefused::UnknownEnvironment { .. } => ProblemKind::NotFound,
        CompareRefused::NoCandidate(_) | CompareRefused::IsActive(_) => ProblemKind::Invalid,
    };
    Problem::new(kind, refused.to_string())
}

fn side(admin: &Admin, service: &Name, name: &Name, tallies: &Tallies) -> Compared {
    let known = admin.environment(service, name).ok();
    Compared {
        environment: name.clone(),
        version: known.and_then(|environment| environment.version).map(|v| v.to_string()),
        requests: tallies.judged(),
        failed: tallies.standing(Standing::Bad),
        forced: tallies.forced,
        handed_over: tallies.handed_over,
        client_retries: tallies.client_retries,
    }
}

/// A difference in the unit that is `scale` of its own.
fn row(difference: &Difference, n: Both<u64>, scale: f64) -> Row {
    let scaled = |value: Option<f64>| value.map(|value| rounded(value * scale));
    let Both { active, candidate } = difference.sides;
    Row {
        active: Measured { value: scaled(active), n: n.active },
        candidate: Measured { value: scaled(candidate), n: n.candidate },
        difference: scaled(candidate.zip(active).map(|(candidate, active)| candidate - active)),
        worse_by: Interval {
            value: scaled(difference.worse_by),
            low: scaled(difference.interval.0),
            high: scaled(difference.interval.1),
        },
        margin: rounded(difference.margin * scale),
        answer: difference.safety(),
    }
}

/// Without the digits that no measurement has. A zero has no sign.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4 + 0.0
}
