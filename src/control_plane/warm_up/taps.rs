//! The taps of services whose candidates warm up, each with what comes out of it.
//!
//! A tap is in a service's routing table from the change that begins the warm-up to the change that ends it,
//! and in no other: entering and leaving a stage make a table anyway, so nothing has to be published for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::control_plane::record::ServiceRecord;
use crate::link::mirror::queue;
use crate::model::environment::Environment;
use crate::model::mirror::MirrorRule;
use crate::model::mirror::tap::{MirrorTap, Mirrored};
use crate::model::name::Name;
use crate::model::service::ServiceSpec;
use crate::rollout::stage::{Gate, Stage};

/// The taps that are in a table.
#[derive(Debug, Default)]
pub(in crate::control_plane) struct Taps {
    list: BTreeMap<Name, Opened>,
}

/// What comes out of a tap, and the tap, which is told what a copy has cost.
#[derive(Debug)]
pub(in crate::control_plane) struct Copies {
    pub(super) tap: Arc<MirrorTap>,
    pub(super) receiver: mpsc::Receiver<Mirrored>,
}

#[derive(Debug)]
struct Opened {
    rollout: u64,
    tap: Arc<MirrorTap>,
    /// `None` once the gate at work has it.
    receiver: Option<mpsc::Receiver<Mirrored>>,
}

impl Taps {
    /// The tap for the next table of a service; `None` while nothing is to be copied.
    pub(in crate::control_plane) fn of(
        &mut self,
        file: &ServiceSpec,
        record: &ServiceRecord,
        environments: &[Arc<Environment>],
        now: Instant,
    ) -> Option<Arc<MirrorTap>> {
        let warming = record
            .release
            .running()
            .filter(|rollout| rollout.stage == Stage::Gate { gate: Gate::WarmUp });
        let Some(rollout) = warming else {
            self.list.remove(&file.name);
            return None;
        };
        if let Some(opened) =
            self.list.get(&file.name).filter(|opened| opened.rollout == rollout.id)
        {
            return Some(Arc::clone(&opened.tap));
        }
        let rule = file.warm_up.as_ref()?.mirror.clone().filter(MirrorRule::is_on)?;
        let candidate = environments.iter().find(|found| *found.name() == rollout.candidate)?;
        let (sink, receiver) = queue(rule.in_flight_max);
        let tap = MirrorTap::new(rule, Arc::clone(&candidate.mirror), sink, now);
        let opened =
            Opened { rollout: rollout.id, tap: Arc::clone(&tap), receiver: Some(receiver) };
        self.list.insert(file.name.clone(), opened);
        Some(tap)
    }

    /// What comes out of a service's tap, for the gate that begins its work.
    pub(in crate::control_plane) fn take(&mut self, service: &Name) -> Option<Copies> {
        let opened = self.list.get_mut(service)?;
        let receiver = opened.receiver.take()?;
        Some(Copies { tap: Arc::clone(&opened.tap), receiver })
    }
}
