//! Histograms of exchanges.

use super::{Kind, Metric, Unit};
use crate::admin::metrics::page::Samples;
use crate::admin::metrics::seen::Seen;
use crate::metrics::measure::Measure;

const OF_ENVIRONMENT: &[&str] = &["service", "environment"];

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "gen_ai_server_request_duration_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: OF_ENVIRONMENT,
        help: "How long exchanges took, streams included, tunnels not.",
        between: "request head received → last byte of the answer passed on",
        read: |seen, samples| each(seen, samples, Measure::Total),
    },
    Metric {
        name: "gen_ai_server_time_to_first_token_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: OF_ENVIRONMENT,
        help: "Time to the first content of a stream; roles, pings and comments are none.",
        between: "request head received → first content event: text, reasoning, refusal, tool call",
        read: |seen, samples| each(seen, samples, Measure::Ttft),
    },
    Metric {
        name: "gen_ai_server_time_per_output_token_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: OF_ENVIRONMENT,
        help: "Time per output token after the first, one value per stream.",
        between: "first content → last content, divided by output tokens − 1",
        read: |seen, samples| each(seen, samples, Measure::Tpot),
    },
    Metric {
        name: "gen_ai_client_operation_time_per_output_chunk_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: OF_ENVIRONMENT,
        help: "Gaps within streams, one value per content event after the first.",
        between: "content event → next content event of the same stream",
        read: |seen, samples| each(seen, samples, Measure::Gap),
    },
    Metric {
        name: "cyan_response_head_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: OF_ENVIRONMENT,
        help: "Time to the head of the answer.",
        between: "request head received → head of the answer received",
        read: |seen, samples| each(seen, samples, Measure::ResponseHead),
    },
    Metric {
        name: "cyan_connect_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: OF_ENVIRONMENT,
        help: "Time to make a connection, of exchanges for which one was made.",
        between: "connecting begun → connection made, TLS included",
        read: |seen, samples| each(seen, samples, Measure::Connect),
    },
    Metric {
        name: "cyan_tunnel_duration_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: OF_ENVIRONMENT,
        help: "How long tunnels (WebSocket) lasted.",
        between: "request head received → end of the tunnel",
        read: |seen, samples| each(seen, samples, Measure::Tunnel),
    },
    Metric {
        name: "gen_ai_client_token_usage",
        kind: Kind::Histogram,
        unit: Unit::Tokens,
        labels: &["service", "environment", "gen_ai_token_type"],
        help: "Tokens per exchange: of the prompt (input), generated (output).",
        between: "end of an exchange whose answer was read; input only where the server's usage says it",
        read: |seen, samples| {
            for (kind, measure) in
                [("input", Measure::InputTokens), ("output", Measure::OutputTokens)]
            {
                for totals in seen.environments() {
                    let labels = [totals.service.as_str(), totals.environment.as_str(), kind];
                    samples.distribution(&labels, totals.counts.distributions.of(measure));
                }
            }
        },
    },
    Metric {
        name: "cyan_request_size_bytes",
        kind: Kind::Histogram,
        unit: Unit::Bytes,
        labels: OF_ENVIRONMENT,
        help: "Bytes of request bodies passed on.",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, Measure::RequestSize),
    },
    Metric {
        name: "cyan_response_size_bytes",
        kind: Kind::Histogram,
        unit: Unit::Bytes,
        labels: OF_ENVIRONMENT,
        help: "Bytes of the bodies of answers passed on.",
        between: "end of the exchange",
        read: |seen, samples| each(seen, samples, Measure::ResponseSize),
    },
];

fn each(seen: &Seen, samples: &mut Samples<'_>, measure: Measure) {
    for totals in seen.environments() {
        let labels = [totals.service.as_str(), totals.environment.as_str()];
        samples.distribution(&labels, totals.counts.distributions.of(measure));
    }
}
