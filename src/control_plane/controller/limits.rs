//! Absolute limits of active environments while no rollout is under way: nothing is armed then, nobody is
//! moved, and somebody is told.
//!
//! While one is under way the judge watches the candidate, and goes back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Controller;
use crate::control_plane::windows::Window;
use crate::metrics::scores::{ScoreOrigin, ScoreSum, ScoreWindow};
use crate::model::duration;
use crate::model::name::Name;
use crate::model::plan::Limits;
use crate::model::score;
use crate::rollout::start::BaseMeasured;

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Requests of a minute without which its rates say nothing.
const REQUESTS_MIN: u32 = 50;
/// The share of requests that may be slower than a p99.
const SLOW_SHARE_MAX: f64 = 0.01;
/// Scores of five minutes without which their mean says nothing.
const SCORES_MIN: u64 = 20;
/// So many standard errors below the limit a mean is no chance: it is looked at again and again.
const SCORE_ERRORS: f64 = 3.0;

const NOBODY: &str = "no rollout is under way, so nobody was moved";

/// What was told.
#[derive(Debug, Default)]
pub(super) struct LimitsWatch {
    looked_at: Option<Instant>,
    /// Services whose active environment breaks a limit, with its name.
    broken: HashMap<(Name, Watched), Name>,
}

/// What has limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Watched {
    Requests,
    Scores,
}

/// What the last minute of an active environment says, or its scores of five.
#[derive(Debug, PartialEq)]
enum Finding {
    /// Too little to say anything.
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
        self.limits.broken.retain(|(service, _), _| known.contains(service));
        for service in known {
            self.look_at_limits_of(&service, now);
        }
    }

    fn look_at_limits_of(&mut self, service: &Name, now: Instant) {
        let Some(live) = self.services.find(service) else { return };
        let active = live.table.active();
        if live.record.release.running().is_some() {
            self.limits.broken.retain(|(other, _), _| other != service);
            return;
        }
        let plan = &live.file.plans.default;
        let measurements = &self.shared.measurements;
        let now = measurements.since_epoch(now);
        let Some(minute) = measurements.windows().read(active.id, Window::Minute1, now) else {
            return;
        };
        let name = active.name().clone();
        let (measured, limits) = (minute.against(plan, 0), plan.limits);
        let quality = score::quality();
        let of = (&quality, ScoreOrigin::Users);
        let scores = measurements.scores().read_of(active.id, of, ScoreWindow::Minutes5, now);
        let of_requests = finding(&name, &measured, &limits);
        self.tell_of_limit(service, (Watched::Requests, &name), of_requests, &details(&measured));
        let measured = json!({ "scores": scores.count(), "score_mean": scores.mean() });
        let of_scores = finding_of_scores(&name, &scores, &limits);
        self.tell_of_limit(service, (Watched::Scores, &name), of_scores, &measured);
    }

    fn tell_of_limit(
        &mut self,
        service: &Name,
        (watched, name): (Watched, &Name),
        finding: Finding,
        measured: &Value,
    ) {
        let key = (service.clone(), watched);
        let is_known = self.limits.broken.get(&key) == Some(name);
        let details = json!({ "environment": name, "measured": measured });
        match finding {
            Finding::Broken(text) if !is_known => {
                self.limits.broken.insert(key, name.clone());
                self.note(service, "limit_broken", text, details);
            }
            Finding::Within if is_known => {
                self.limits.broken.remove(&key);
                let text = match watched {
                    Watched::Requests => format!("{name} is within its limits again"),
                    Watched::Scores => format!("scores of {name} are within their limit again"),
                };
                self.note(service, "limit_kept", text, details);
            }
            _ => {}
        }
    }
}

fn finding_of_scores(name: &Name, scores: &ScoreSum, limits: &Limits) -> Finding {
    let (count, limit) = (scores.count(), limits.quality_min);
    let Some(mean) = scores.mean().filter(|_| count >= SCORES_MIN) else {
        return Finding::Unknown;
    };
    let n = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let error = (scores.variance().unwrap_or(0.0) / n).sqrt();
    if mean >= limit {
        Finding::Within
    } else if mean + SCORE_ERRORS * error < limit {
        Finding::Broken(format!(
            "{name} breaks its limits: mean score was {mean:.2}, limit {limit:.2}, of {count} scores in \
             5 min; {NOBODY}"
        ))
    } else {
        Finding::Unknown
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
    Finding::Broken(format!(
        "{name} breaks its limits: {broken}, of {requests} requests in a minute; {NOBODY}"
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

    #[test]
    fn scores_break_their_limit_beyond_chance() {
        let broken = "blue breaks its limits: mean score was 0.40, limit 0.70, of 40 scores in 5 min; no \
                      rollout is under way, so nobody was moved";
        for (good, bad, expected) in [
            (0, 19, Finding::Unknown),
            (26, 14, Finding::Unknown),
            (16, 24, Finding::Broken(broken.to_owned())),
            (14, 6, Finding::Within),
        ] {
            let mut scores = ScoreSum::default();
            scores.add(1.0, good);
            scores.add(0.0, bad);
            let found = finding_of_scores(&name("blue"), &scores, &Limits::default());
            assert_eq!(found, expected, "{good} good and {bad} bad");
        }
    }
}
