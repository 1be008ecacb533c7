//! Absolute limits of active environments while no rollout is under way: nothing is armed then, nobody is
//! moved, and somebody is told.
//!
//! While one is under way the judge watches the candidate, and goes back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Controller;
use crate::control_plane::windows::Window;
use crate::model::duration;
use crate::model::name::Name;
use crate::model::plan::Limits;
use crate::rollout::start::BaseMeasured;

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Requests of a minute without which its rates say nothing.
const REQUESTS_MIN: u32 = 50;
/// The share of requests that may be slower than a p99.
const SLOW_SHARE_MAX: f64 = 0.01;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct LimitsWatch {
    looked_at: Option<Instant>,
    /// Services whose active environment breaks a limit, with its name.
    broken: HashMap<Name, Name>,
}

/// What the last minute of an active environment says.
#[derive(Debug, PartialEq)]
enum Finding {
    /// Too few requests to say anything.
    Unknown,
    Within,
    /// In words.
    Broken(String),
}

impl Controller {
    /// Looks at the active environments of services that have no rollout under way.
    pub(super) fn look_at_limits(&mut self, now: Instant) {
        let last = self.limits.looked_at;
        if last.is_some_and(|last| now.saturating_duration_since(last) < LOOK_EVERY) {
            return;
        }
        self.limits.looked_at = Some(now);
        let known: HashSet<Name> =
            self.services.list.iter().map(|live| live.file.name.clone()).collect();
        self.limits.broken.retain(|service, _| known.contains(service));
        for service in known {
            self.look_at_limits_of(&service, now);
        }
    }

    fn look_at_limits_of(&mut self, service: &Name, now: Instant) {
        let Some(live) = self.services.find(service) else { return };
        let active = live.table.active();
        if live.record.release.running().is_some() {
            self.limits.broken.remove(service);
            return;
        }
        let plan = &live.file.plans.default;
        let measurements = &self.shared.measurements;
        let now = measurements.since_epoch(now);
        let Some(minute) = measurements.windows().read(active.id, Window::Minute1, now) else {
            return;
        };
        let name = active.name().clone();
        let is_known = self.limits.broken.get(service) == Some(&name);
        let (measured, limits) = (minute.against(plan, 0), plan.limits);
        let details = json!({ "environment": name, "measured": details(&measured) });
        match finding(&name, &measured, &limits) {
            Finding::Broken(text) if !is_known => {
                self.limits.broken.insert(service.clone(), name);
                self.note(service, "limit_broken", text, details);
            }
            Finding::Within if is_known => {
                self.limits.broken.remove(service);
                let text = format!("{name} is within its limits again");
                self.note(service, "limit_kept", text, details);
            }
            _ => {}
        }
    }
}

fn finding(name: &Name, measured: &BaseMeasured, limits: &Limits) -> Finding {
    if measured.requests < REQUESTS_MIN {
        return Finding::Unknown;
    }
    let (error_rate, most) = (measured.error_rate * 100.0, limits.error_rate_max * 100.0);
    let errors = (measured.error_rate > limits.error_rate_max)
        .then(|| format!("{error_rate:.1} % failed, limit {most:.1} %"));
    let is_slow = measured.slow_share > SLOW_SHARE_MAX;
    let slow = measured.latency_p99.filter(|_| is_slow).map(|p99| {
        let limit = duration::spoken(limits.latency_p99_max);
        format!("p99 was {}, limit {limit}", duration::spoken(p99))
    });
    let broken: Vec<String> = errors.into_iter().chain(slow).collect();
    if broken.is_empty() {
        return Finding::Within;
    }
    let (requests, broken) = (measured.requests, broken.join("; "));
    let nobody = "no rollout is under way, so nobody was moved";
    Finding::Broken(format!(
        "{name} breaks its limits: {broken}, of {requests} requests in a minute; {nobody}"
    ))
}

fn details(measured: &BaseMeasured) -> Value {
    json!({
        "requests": measured.requests,
        "error_rate": measured.error_rate,
        "slow_share": measured.slow_share,
        "latency_p99_s": measured.latency_p99.map(|p99| p99.as_secs_f64()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::test_rig::name;

    #[test]
    fn a_minute_at_its_limits_is_within_them() {
        let limits = Limits::default();
        for (requests, error_rate, slow_share, expected) in [
            (49, 1.0, 1.0, Finding::Unknown),
            (50, 0.05, 0.01, Finding::Within),
            (
                60,
                0.2,
                0.0,
                Finding::Broken(
                    "blue breaks its limits: 20.0 % failed, limit 5.0 %, of 60 requests in a minute; \
                     no rollout is under way, so nobody was moved"
                        .to_owned(),
                ),
            ),
            (
                60,
                0.0,
                0.02,
                Finding::Broken(
                    "blue breaks its limits: p99 was 7 s, limit 5 s, of 60 requests in a minute; no \
                     rollout is under way, so nobody was moved"
                        .to_owned(),
                ),
            ),
        ] {
            let latency_p99 = Some(Duration::from_secs(7));
            let measured = BaseMeasured {
                requests,
                error_rate,
                slow_share,
                latency_p99,
                ..BaseMeasured::default()
            };
            assert_eq!(finding(&name("blue"), &measured, &limits), expected);
        }
    }
}
