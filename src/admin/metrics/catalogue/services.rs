//! The present state of services, environments and upstreams.

use super::{Kind, Metric, Unit};
use crate::admin::metrics::page::Samples;
use crate::admin::metrics::seen::Seen;
use crate::control_plane::command::UpstreamView;
use crate::model::upstream::Probe;

const OF_ENVIRONMENT: &[&str] = &["service", "environment"];
const OF_UPSTREAM: &[&str] = &["service", "environment", "upstream"];

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "cyan_generation",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: &["service"],
        help: "Rises with every change of the service.",
        between: "as the controller has it now",
        read: |seen, samples| {
            for service in &seen.services {
                samples.number(&[service.name.as_str()], service.generation);
            }
        },
    },
    Metric {
        name: "cyan_environment_weight_ratio",
        kind: Kind::Gauge,
        unit: Unit::Ratio,
        labels: OF_ENVIRONMENT,
        help: "Configured share of the service's traffic, 0 to 1.",
        between: "as the controller has it now",
        read: |seen, samples| {
            for (service, environment) in seen.views() {
                let weight = f64::from(environment.weight.hundredths()) / 10_000.0;
                samples.number(&[service.name.as_str(), environment.name.as_str()], weight);
            }
        },
    },
    Metric {
        name: "cyan_in_flight",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Exchanges in flight, streams and tunnels included.",
        between: "since the environment was chosen, until the last byte was passed on",
        read: |seen, samples| {
            for (service, environment) in seen.views() {
                let labels = [service.name.as_str(), environment.name.as_str()];
                samples.number(&labels, environment.in_flight);
            }
        },
    },
    Metric {
        name: "cyan_queued",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Requests that wait for a place, because `in_flight_max` are in flight.",
        between: "since the environment was chosen, until a place was free or `queue.wait` had passed",
        read: |seen, samples| {
            for (service, environment) in seen.views() {
                let labels = [service.name.as_str(), environment.name.as_str()];
                samples.number(&labels, environment.queued);
            }
        },
    },
    Metric {
        name: "cyan_upstreams_usable",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: OF_ENVIRONMENT,
        help: "Upstreams neither found down, nor ejected, nor suspect.",
        between: "as health has it now",
        read: |seen, samples| {
            for (service, environment) in seen.views() {
                let upstreams = environment.upstreams.iter();
                let usable = |upstream: &&UpstreamView| {
                    upstream.probe != Probe::Down && !upstream.ejected && upstream.suspect.is_none()
                };
                let usable = upstreams.filter(usable).count();
                samples.number(&[service.name.as_str(), environment.name.as_str()], usable);
            }
        },
    },
    Metric {
        name: "cyan_upstream_up",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: OF_UPSTREAM,
        help: "Whether active probes find it up; there is no sample before the first probe.",
        between: "as the last probes had it",
        read: |seen, samples| {
            each(seen, samples, |upstream| match upstream.probe {
                Probe::Up => Some(1),
                Probe::Down => Some(0),
                Probe::Unknown => None,
            });
        },
    },
    Metric {
        name: "cyan_upstream_ejected",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: OF_UPSTREAM,
        help: "Whether failures took it out for the moment.",
        between: "as the data plane has it now",
        read: |seen, samples| each(seen, samples, |upstream| Some(u32::from(upstream.ejected))),
    },
    Metric {
        name: "cyan_upstream_suspect",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: OF_UPSTREAM,
        help: "Whether its open streams bring nothing, though it may say that it is healthy.",
        between: "as health has it now",
        read: |seen, samples| {
            each(seen, samples, |upstream| Some(u32::from(upstream.suspect.is_some())));
        },
    },
    Metric {
        name: "cyan_upstream_in_flight",
        kind: Kind::Gauge,
        unit: Unit::None,
        labels: OF_UPSTREAM,
        help: "Exchanges it is working on.",
        between: "since it was picked, until the last byte was passed on",
        read: |seen, samples| each(seen, samples, |upstream| Some(upstream.in_flight)),
    },
];

fn each(seen: &Seen, samples: &mut Samples<'_>, of: fn(&UpstreamView) -> Option<u32>) {
    for (service, environment) in seen.views() {
        for upstream in &environment.upstreams {
            if let Some(value) = of(upstream) {
                let (service, environment) = (service.name.as_str(), environment.name.as_str());
                samples.number(&[service, environment, &upstream.address], value);
            }
        }
    }
}
