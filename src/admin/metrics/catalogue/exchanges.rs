//! Counters of exchanges.

use super::{Kind, Metric, Unit};
use crate::admin::metrics::page::Samples;
use crate::admin::metrics::seen::Seen;
use crate::metrics::counts::Tallies;
use crate::model::answer::{FinishReason, Inspection};
use crate::model::standing::Standing;
use crate::model::verdict::Verdict;

const OF_ENVIRONMENT: &[&str] = &["service", "environment"];
const OF_UPSTREAM: &[&str] = &["service", "environment", "upstream"];

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "cyan_requests",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "verdict"],
        help: "Exchanges by verdict: each has exactly one.",
        between: "end of the exchange; `stalled` and `error_in_band` at once, while it goes on",
        read: |seen, samples| {
            let names = Verdict::ALL.map(Verdict::label);
            each_named(seen, samples, &names, |tallies| &tallies.verdicts);
        },
    },
    Metric {
        name: "cyan_requests_by_standing",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "standing"],
        help: "The same exchanges by what they say of the environment: good, bad, refused (307, 308, 4xx), watched.",
        between: "as `cyan_requests_total`",
        read: |seen, samples| {
            let names = Standing::ALL.map(Standing::label);
            each_named(seen, samples, &names, |tallies| &tallies.standings);
        },
    },
    Metric {
        name: "cyan_finish_reasons",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "reason"],
        help: "Why models stopped, of answers that say so.",
        between: "end of the exchange",
        read: |seen, samples| {
            let names = FinishReason::ALL.map(FinishReason::label);
            each_named(seen, samples, &names, |tallies| &tallies.finish);
        },
    },
    Metric {
        name: "cyan_inspections",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "outcome"],
        help: "Whether answers were read; `given_up` had a part deeper or wider than the inspector follows.",
        between: "end of the exchange",
        read: |seen, samples| {
            let names = Inspection::ALL.map(Inspection::label);
            each_named(seen, samples, &names, |tallies| &tallies.inspections);
        },
    },
    Metric {
        name: "cyan_input_tokens_cached",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Tokens of prompts that came out of the server's cache, as its usage says.",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, |tallies| tallies.cached_tokens),
    },
    Metric {
        name: "cyan_outputs_estimated",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Exchanges whose output tokens were counted here, because the server sent no usage.",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, |tallies| tallies.estimated_outputs),
    },
    Metric {
        name: "cyan_client_retries",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Requests of which the client says that it tries again (`x-stainless-retry-count`).",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, |tallies| tallies.client_retries),
    },
    Metric {
        name: "cyan_forced",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Requests that named their environment.",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, |tallies| tallies.forced),
    },
    Metric {
        name: "cyan_replayed",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Requests sent a second time.",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, |tallies| tallies.replayed),
    },
    Metric {
        name: "cyan_handed_over",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Requests that another environment served for want of a usable upstream.",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, |tallies| tallies.handed_over),
    },
    Metric {
        name: "cyan_upstream_requests",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["service", "environment", "upstream", "standing"],
        help: "Exchanges by the upstream to which they were sent last.",
        between: "end of the exchange",
        read: |seen, samples| {
            for totals in seen.totals.upstreams.values() {
                let (service, environment) = (totals.service.as_str(), totals.environment.as_str());
                for (standing, count) in Standing::ALL.iter().zip(totals.counts.standings) {
                    let labels = [service, environment, &totals.address, standing.label()];
                    samples.number(&labels, count);
                }
            }
        },
    },
    Metric {
        name: "cyan_upstream_request_duration_seconds",
        kind: Kind::Counter,
        unit: Unit::Seconds,
        labels: OF_UPSTREAM,
        help: "Seconds that these exchanges took together; divided by their number, the mean.",
        between: "request head received → last byte of the answer passed on; tunnels not",
        read: |seen, samples| {
            for totals in seen.totals.upstreams.values() {
                let (service, environment) = (totals.service.as_str(), totals.environment.as_str());
                #[expect(clippy::cast_precision_loss, reason = "below 2^52 µs, 140 years, exact")]
                let seconds = totals.counts.total_us as f64 / 1e6;
                samples.number(&[service, environment, &totals.address], seconds);
            }
        },
    },
];

fn each(seen: &Seen, samples: &mut Samples<'_>, of: fn(&Tallies) -> u64) {
    for totals in seen.environments() {
        let labels = [totals.service.as_str(), totals.environment.as_str()];
        samples.number(&labels, of(&totals.counts.tallies));
    }
}

fn each_named<const N: usize>(
    seen: &Seen,
    samples: &mut Samples<'_>,
    names: &[&str; N],
    of: fn(&Tallies) -> &[u64; N],
) {
    for totals in seen.environments() {
        for (name, count) in names.iter().zip(of(&totals.counts.tallies)) {
            let labels = [totals.service.as_str(), totals.environment.as_str(), name];
            samples.number(&labels, count);
        }
    }
}
