//! Cyan itself.

use super::{Kind, Metric, Unit};

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "cyan_build",
        kind: Kind::Info,
        unit: Unit::None,
        labels: &["version"],
        help: "Always 1; the version is the label.",
        between: "when it was built",
        read: |_, samples| samples.number(&[env!("CARGO_PKG_VERSION")], 1),
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        unit: Unit::Seconds,
        labels: &[],
        help: "When the process started, in seconds of Unix time.",
        between: "start of the admin API",
        read: |seen, samples| samples.number(&[], seen.started_at),
    },
    Metric {
        name: "cyan_certificate_not_after_seconds",
        kind: Kind::Gauge,
        unit: Unit::Seconds,
        labels: &["file"],
        help: "The last second in which a certificate that clients see is valid, in Unix time.",
        between: "as read from its file at the last start or reload",
        read: |seen, samples| {
            for certificate in &seen.certificates {
                if let Some(end) = certificate.not_after {
                    samples.number(&[&certificate.file], end);
                }
            }
        },
    },
    Metric {
        name: "cyan_client_connections",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: &[],
        help: "Client connections open.",
        between: "accepted → closed; as of the last second",
        read: |seen, samples| samples.number(&[], seen.totals.connections()),
    },
    Metric {
        name: "cyan_client_connections_refused",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "Client connections let go at once, because their address had as many as it may.",
        between: "accepted; see `listen.connections_per_address_max`",
        read: |seen, samples| samples.number(&[], seen.totals.connections_refused),
    },
    Metric {
        name: "cyan_accept_pauses",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["reason"],
        help: "Times that a core stopped accepting: `connections_max` are open, or `descriptors` are short.",
        between: "it found no room for one more; clients wait in the kernel's queue until there is",
        read: |seen, samples| {
            for (reason, count) in &seen.totals.accept_pauses {
                samples.number(&[reason], count);
            }
        },
    },
    Metric {
        name: "cyan_pool_idle_connections",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: &[],
        help: "Upstream connections at rest.",
        between: "put back into the pool → taken out or closed; as of the last second",
        read: |seen, samples| samples.number(&[], seen.totals.pooled()),
    },
    Metric {
        name: "cyan_swap_duration_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: &[],
        help: "How long changes of weights, roles and upstreams took to be everywhere.",
        between: "new table stored → ack of the last core; changes that a core took within a second",
        read: |seen, samples| samples.distribution(&[], Some(&seen.swaps)),
    },
    Metric {
        name: "cyan_rollback_duration_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: &[],
        help: "How long rollbacks took, automatic ones and those by hand.",
        between: "last arrival in the evidence that decided, or the command → ack of the last core",
        read: |seen, samples| samples.distribution(&[], Some(&seen.rollbacks)),
    },
    Metric {
        name: "cyan_state_durable",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: &[],
        help: "Whether the present state is on the disk: 1 or 0.",
        between: "as the controller has it now",
        read: |seen, samples| samples.number(&[], u8::from(seen.is_durable)),
    },
    Metric {
        name: "cyan_requests_received",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "Requests that began, those that reached no environment included.",
        between: "request head received",
        read: |seen, samples| samples.number(&[], seen.totals.requests),
    },
    Metric {
        name: "cyan_refused",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["reason"],
        help: "Requests that reached no environment, by reason.",
        between: "end of the exchange",
        read: |seen, samples| {
            for (reason, count) in &seen.totals.refused {
                samples.number(&[reason], count);
            }
        },
    },
    Metric {
        name: "cyan_sticky_key_missed",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &["reason"],
        help: "Sticky keys not found where they were looked for, by reason.",
        between: "choice of the environment",
        read: |seen, samples| {
            for (reason, count) in &seen.totals.key_missed {
                samples.number(&[reason], count);
            }
        },
    },
    Metric {
        name: "cyan_retries_withheld",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "Requests not tried again, because a fifth of their environment's had been.",
        between: "failure to connect to an upstream → answered 502",
        read: |seen, samples| samples.number(&[], seen.totals.retries_withheld),
    },
    Metric {
        name: "cyan_tls_handshakes_failed",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "TLS handshakes that clients broke off, or that could not be agreed upon.",
        between: "connection accepted → handshake given up",
        read: |seen, samples| samples.number(&[], seen.totals.handshakes_failed),
    },
    Metric {
        name: "cyan_http2_floods",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "HTTP/2 connections cut because of frames that made Cyan work for nothing.",
        between: "its credit for such frames was used up",
        read: |seen, samples| samples.number(&[], seen.totals.floods),
    },
    Metric {
        name: "cyan_panics",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "Panics caught.",
        between: "each ended one connection and nothing else",
        read: |seen, samples| samples.number(&[], seen.totals.panics),
    },
];

pub(super) const LOST: &[Metric] = &[
    Metric {
        name: "cyan_reports_lost",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "Reports of cores lost, because the control plane was too slow.",
        between: "report found its channel full",
        read: |seen, samples| samples.number(&[], seen.totals.reports_lost),
    },
    Metric {
        name: "cyan_log_lines_lost",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "Access log lines lost, because the writer was too slow.",
        between: "line found its channel full",
        read: |seen, samples| samples.number(&[], seen.totals.log_lines_lost),
    },
    Metric {
        name: "cyan_cohort_marks_lost",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: &[],
        help: "Marks of cohorts that found no place. While it rises, comparisons are incomplete.",
        between: "mark found its core's table or its environment's log full",
        read: |seen, samples| samples.number(&[], seen.cohort_marks_lost),
    },
];
