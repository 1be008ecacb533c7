//! What the evidence of each service's last rollout was, second by second, for the line that the dashboard
//! draws.
//!
//! Bounded: a log that is full forgets every second point and from then on takes half as many, so that a
//! rollout of days has the same number of points as one of minutes. It begins anew with the process; what
//! was before is a gap and not a line.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::control_plane::clock::unix_ms;
use crate::control_plane::handle::ControllerHandle;
use crate::model::name::Name;
use crate::rollout::value::Rollout;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Points of a rollout: one every other pixel of a wide screen.
const POINTS_MAX: usize = 720;

/// The logs of all services.
#[derive(Debug, Default)]
pub(in crate::admin) struct EvidenceLog {
    /// A lock, because a page reads while the watcher writes; both hold it for a copy and no longer.
    logs: Mutex<HashMap<Name, History>>,
}

/// The evidence of one rollout over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct History {
    rollout: u64,
    /// Time in milliseconds of Unix time, and the number.
    points: Vec<(u64, f64)>,
    /// Only every so many looks make a point.
    #[serde(skip)]
    stride: u32,
    #[serde(skip)]
    looks: u32,
}

impl EvidenceLog {
    /// Watches until the future is dropped.
    pub(in crate::admin) async fn watch(&self, controller: &ControllerHandle) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            for view in controller.view() {
                let release = controller.release(view.name.as_str());
                let Some(rollout) = release.and_then(|known| known.release.rollout) else {
                    continue;
                };
                let judged = controller.judged(view.name.as_str());
                let now = evidence(judged.as_ref().map(|judged| &judged.details), &rollout);
                self.look(view.name, &rollout, now);
            }
        }
    }

    /// Of the last rollout of a service that was seen.
    pub(super) fn history(&self, service: &Name) -> Option<History> {
        self.logs.lock().expect("nobody panics while holding it").get(service).cloned()
    }

    fn look(&self, service: Name, rollout: &Rollout, now: Option<f64>) {
        let mut logs = self.logs.lock().expect("nobody panics while holding it");
        let history = logs.entry(service).or_default();
        if history.rollout != rollout.id {
            *history = History { rollout: rollout.id, stride: 1, ..History::default() };
        }
        let over_since = rollout.stage.is_over().then_some(rollout.stands_since);
        let at = over_since.unwrap_or_else(unix_ms);
        if let Some(value) = now {
            history.look(at, value);
        }
    }
}

impl History {
    fn look(&mut self, at: u64, value: f64) {
        let is_new = self.points.last().is_none_or(|(last, _)| *last < at);
        self.looks += 1;
        if !is_new || !self.looks.is_multiple_of(self.stride.max(1)) {
            return;
        }
        self.points.push((at, value));
        if self.points.len() == POINTS_MAX {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }
}

/// What the judge says now; of a rollout that went back, what decided it.
fn evidence(judged: Option<&Value>, rollout: &Rollout) -> Option<f64> {
    let details = judged.or_else(|| rollout.stage.cause().map(|cause| &cause.details))?;
    details.get("explanation")?.get("evidence")?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_rollout_has_as_many_points_as_a_short_one() {
        let mut history = History { stride: 1, ..History::default() };
        for second in 1..=100_000_u32 {
            history.look(u64::from(second) * 1000, f64::from(second));
        }
        assert!((POINTS_MAX / 2..POINTS_MAX).contains(&history.points.len()));
        assert_eq!(history.points[0], (1000, 1.0));
        assert!(history.points.last().unwrap().0 > 99_000_000, "the end is always there");
        assert!(history.points.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn the_same_moment_is_noted_once() {
        let mut history = History { stride: 1, ..History::default() };
        [(5, 1.0), (5, 2.0), (4, 3.0), (6, 4.0)]
            .into_iter()
            .for_each(|(at, v)| history.look(at, v));
        assert_eq!(history.points, [(5, 1.0), (6, 4.0)]);
    }
}
