//! Calls about what was measured, and about what others think of it.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::super::api::comparison::Comparison;
use super::super::api::scores::{NewScore, ScoresCounted};
use super::super::api::stats::{Buckets, Cohorts, EncodedHistogram, Stats};
use super::super::cohorts::{self, LastSeconds};
use super::super::comparison::{self, OfComparison};
use super::super::measured_query::{OfHistogram, OfWindow};
use super::super::operation::{Header, Operation};
use super::super::problem::ProblemKind;
use super::super::{histogram, metrics, scores, stats};
use super::{get, post};
use crate::control_plane::scores::BATCH_MAX;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get(
            "/v1/services/{service}/comparison",
            comparison::show,
            "compare",
            "Two environments side by side, and whether the switch is safe",
        )
        .query::<OfComparison>()
        .answers::<Comparison>("How they compare; docs/reference/comparison.md has every field."),
        get(
            "/v1/services/{service}/environments/{environment}/stats",
            stats::show,
            "getStats",
            "What an environment did in a window",
        )
        .query::<OfWindow>()
        .answers::<Stats>("Its numbers; one that rests on no data is null.")
        .problems(&[ProblemKind::Conflict]),
        get(
            "/v1/services/{service}/environments/{environment}/histogram",
            histogram::show,
            "getHistogram",
            "A whole distribution, as buckets or in HdrHistogram's own form",
        )
        .query::<OfHistogram>()
        .answers::<Distribution>("The distribution, in the form that was asked for.")
        .problems(&[ProblemKind::Conflict]),
        get(
            "/v1/services/{service}/environments/{environment}/cohorts",
            cohorts::show,
            "getCohorts",
            "What became of the requests that began in the same second",
        )
        .query::<LastSeconds>()
        .answers::<Cohorts>("The seconds asked for in which something began.")
        .problems(&[ProblemKind::Conflict]),
        post("/v1/scores", scores::take, "sendScores", "Send quality scores: one, or a list")
            .more("All are counted, or none. docs/reference/scores.md has every field.")
            .header(Header::IdempotencyKey)
            .body_of(one_or_many, true)
            .answers::<ScoresCounted>("All were counted.")
            .problems(&[ProblemKind::NotFound]),
        get("/metrics", metrics::show, "getMetrics", "Everything measured, for Prometheus")
            .answers_text(
                "Prometheus' text form, or OpenMetrics if `Accept` asks for it.",
                "text/plain",
            ),
    ]
}

/// A histogram in the form that was asked for.
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is wanted")]
enum Distribution {
    Buckets(Buckets),
    Encoded(EncodedHistogram),
}

fn one_or_many(generator: &mut SchemaGenerator) -> Schema {
    let one = generator.subschema_for::<NewScore>();
    json_schema!({
        "oneOf": [one, { "type": "array", "items": one, "maxItems": BATCH_MAX }],
    })
}
