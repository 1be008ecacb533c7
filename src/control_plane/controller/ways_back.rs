//! Rollbacks on their way to the cores: measured from what decided them to the last core, whoever asked.
//!
//! The time is written down when it is known: in the rollout, so that status can show it, as an event and
//! in the journal, and as a metric. Nothing waits for it.

use std::time::Instant;

use serde_json::json;

use super::Controller;
use super::decided::entry;
use crate::control_plane::change::rollout::CONTROLLER;
use crate::control_plane::change::{Change, is_rollback};
use crate::control_plane::command::Request;
use crate::model::name::Name;
use crate::rollout::rollback_time::RollbackTime;
use crate::rollout::{RETURNING, ROLLED_BACK};

/// Measured at once. Only cores that are stuck let them pile up; then the oldest is forgotten.
const MEASURED_MAX: usize = 64;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct WaysBack {
    list: Vec<WayBack>,
}

/// One that is published, and that not every core has taken yet.
#[derive(Debug)]
struct WayBack {
    change: u64,
    request: Request,
    service: Name,
    /// The rollout that went back; none where weights were taken back without one.
    rollout: Option<u64>,
    /// When what decided it was seen, or when the command came.
    began: Instant,
    stored: Instant,
    /// A core has not taken it within a second.
    is_late: bool,
}

impl Controller {
    /// A change was published at `stored`. `asked` is when it was asked for.
    pub(super) fn measure_way_back(
        &mut self,
        number: u64,
        (change, request): (&Change, Request),
        service: &Name,
        (asked, stored): (Instant, Instant),
    ) {
        if change.kind == RETURNING {
            self.note_breach(service, asked);
        }
        if !is_rollback(change.kind) {
            return;
        }
        let is_automatic = request.actor == CONTROLLER;
        let breach = self.runs.breached(service).filter(|_| is_automatic);
        let last = self.services.find(service).and_then(|l| l.record.release.rollout.as_deref());
        let way = WayBack {
            change: number,
            request,
            service: service.clone(),
            rollout: last.filter(|_| change.kind == ROLLED_BACK).map(|last| last.id),
            began: breach.unwrap_or(asked),
            stored,
            is_late: false,
        };
        let measured = &mut self.ways_back.list;
        if measured.len() == MEASURED_MAX {
            measured.remove(0);
        }
        measured.push(way);
    }

    /// Every core has this change, or some have had a second for it and lag.
    pub(super) fn way_back_acked(&mut self, change: u64, lags: bool) {
        if lags {
            let way = self.ways_back.list.iter_mut().find(|way| way.change == change);
            way.into_iter().for_each(|way| way.is_late = true);
        } else {
            self.complete_ways_back(|way| way.change == change);
        }
    }

    /// The cores that lagged have the latest table.
    pub(super) fn late_ways_back_acked(&mut self) {
        self.complete_ways_back(|way| way.is_late);
    }

    fn complete_ways_back(&mut self, is_complete: impl Fn(&WayBack) -> bool) {
        let now = Instant::now();
        let complete: Vec<WayBack> =
            self.ways_back.list.extract_if(.., |way| is_complete(way)).collect();
        for way in complete {
            self.tell_way_back(way, now);
        }
    }

    fn tell_way_back(&mut self, way: WayBack, now: Instant) {
        let WayBack { request, service, rollout, began, stored, .. } = way;
        let time = RollbackTime {
            until_stored: stored.saturating_duration_since(began),
            until_acked: now.saturating_duration_since(stored),
            cores: self.links.count(),
        };
        self.shared.measurements.went_back(time.total());
        let record = rollout.and_then(|id| self.services.note_rollback_time(&service, id, time));
        let seconds = time.total().as_secs_f64();
        let details = json!({ "rollout": rollout, "seconds": seconds, "time": time });
        let text = format!("the rollback is complete: {time}");
        let kind = "rollback_complete";
        let mut entry = entry(&request, kind, Some(service.clone()), &text, &details);
        entry.generation = self.services.find(&service).map_or(0, |live| live.record.generation);
        self.shared.events.tell(Some(&service), kind, text, details);
        self.publish_view();
        self.disk.owe(record.into_iter().collect(), vec![entry], None);
        self.flush();
    }
}
