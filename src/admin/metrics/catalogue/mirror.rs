//! What became of live requests that were copied while a candidate warmed up.

use super::{Kind, Metric, Unit};
use crate::model::mirror::counts::CopyOutcome;
use crate::model::verdict::Verdict;

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "cyan_mirror_copies",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "outcome"],
        help: "Live requests drawn to be copied for this candidate; all but `offered` were dropped.",
        between: "the body of the request has come whole, or it is certain that it will not be copied",
        read: |seen, samples| {
            for (service, environment, counts) in &seen.mirrors {
                for outcome in CopyOutcome::ALL {
                    let labels = [service.as_str(), environment.as_str(), outcome.label()];
                    samples.number(&labels, counts.copies(outcome));
                }
            }
        },
    },
    Metric {
        name: "cyan_mirrored_requests",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "verdict"],
        help: "Copies by how the candidate answered them. They are in no other count, window or evidence.",
        between: "end of the answer, which is thrown away",
        read: |seen, samples| {
            for (service, environment, counts) in &seen.mirrors {
                for verdict in Verdict::ALL {
                    let labels = [service.as_str(), environment.as_str(), verdict.label()];
                    samples.number(&labels, counts.verdicts(verdict));
                }
            }
        },
    },
    Metric {
        name: "cyan_warm_up_requests",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "verdict"],
        help: "Requests that a warm-up made up, by how the candidate answered them. They are in no other count, window or evidence.",
        between: "as `cyan_mirrored_requests_total`",
        read: |seen, samples| {
            for (service, environment, counts) in &seen.mirrors {
                for verdict in Verdict::ALL {
                    let labels = [service.as_str(), environment.as_str(), verdict.label()];
                    samples.number(&labels, counts.verdicts_of_made_up(verdict));
                }
            }
        },
    },
];
