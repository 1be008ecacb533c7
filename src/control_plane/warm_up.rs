//! Warm-up at work: sends requests to every upstream of a candidate until its answers say that it is warm.
//!
//! One task has all of it: who stops waiting for it ends every request and every connection with it.
//! Bounded on every side: requests at once, requests in a second, time of each, time of all. What comes of
//! them is for the gate's report and for counts of their own; no judge, window or comparison sees it.

mod board;
mod mirrored;
mod outcome;
mod sending;
mod synthetic;
mod taps;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::model::environment::Environment;
use crate::model::mirror::tap::Mirrored;
use crate::model::name::Name;
use crate::model::plan::LatencySignal;
use crate::model::plan::warm_up::WarmUpSpec;
use crate::model::routing_table::RoutingTable;
use crate::model::service::ServiceSpec;
use crate::model::upstream::Upstream;
use crate::rollout::gate::GateReport;
use crate::rollout::warm_up::{Source, WarmUp, WarmUpOutcome};
pub(super) use board::Board;
use board::Notice;
use sending::{Returned, Sending};
use synthetic::{Errand, Synthetics};
pub(super) use taps::{Copies, Taps};

/// How often it is looked whether it is over, and how it goes is told.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// First contents that wait to be noted. They are taken out at once; what does not fit is not measured.
const FIRSTS_MAX: usize = 1_024;

/// What is warmed up.
#[derive(Debug, Clone)]
pub(super) struct WarmUpContext {
    /// By what.
    spec: Arc<WarmUpSpec>,
    service: Arc<ServiceSpec>,
    environment: Arc<Environment>,
    /// Which time has to be stable.
    signal: LatencySignal,
}

impl WarmUpContext {
    /// An environment as it is routed to now; `None` when there is none of this name, or no warm-up.
    pub(super) fn of(
        table: &RoutingTable,
        environment: &Name,
        signal: LatencySignal,
    ) -> Option<Self> {
        let environment = Arc::clone(table.environment(environment.as_str())?);
        let spec = table.service.warm_up.clone()?;
        Some(Self { spec, service: Arc::clone(&table.service), environment, signal })
    }
}

/// Warms it up; takes the deadline of the rule at most. Cancel safe: connections end with it.
pub(super) async fn run(
    context: &WarmUpContext,
    copies: Option<Copies>,
    board: &Board,
) -> GateReport {
    let failed = |why: String| GateReport::failed(format!("warm-up: {why}"), Value::Null);
    if context.environment.upstreams.is_empty() {
        return failed(format!("{} has no upstream to be warmed up", context.environment.name()));
    }
    match Work::new(context, copies) {
        Ok(work) => work.until_over(board.notice(&context.service.name)).await,
        Err(problem) => failed(problem),
    }
}

/// A warm-up with everything that belongs to it.
struct Work<'c> {
    context: &'c WarmUpContext,
    sending: Arc<Sending>,
    synthetics: Option<Synthetics>,
    copies: Option<Copies>,
    warm_up: WarmUp,
    began: Instant,
    /// Requests under way; they end with it.
    under_way: JoinSet<Returned>,
    synthetic_under_way: u32,
    firsts: (mpsc::Sender<Duration>, mpsc::Receiver<Duration>),
    /// Counts requests, so that upstreams get them in turn.
    turn: usize,
}

/// What woke the work up.
enum Woken {
    Synthetic,
    Copy(Mirrored),
    First(Duration),
    Returned(Returned),
    Look,
}

impl<'c> Work<'c> {
    fn new(context: &'c WarmUpContext, copies: Option<Copies>) -> Result<Self, String> {
        let spec = &context.spec;
        let synthetics = spec.synthetic.as_ref().map(Synthetics::new).transpose()?;
        Ok(Self {
            context,
            sending: Arc::new(Sending::new(context)),
            synthetics,
            copies,
            warm_up: WarmUp::new(spec.rule, context.signal),
            began: Instant::now(),
            under_way: JoinSet::new(),
            synthetic_under_way: 0,
            firsts: mpsc::channel(FIRSTS_MAX),
            turn: 0,
        })
    }

    async fn until_over(mut self, notice: Notice) -> GateReport {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pace = self.synthetics.as_ref().map(Synthetics::pace);
        loop {
            match self.woken(&mut look, &mut pace).await {
                Woken::Synthetic => self.send_synthetic(),
                Woken::Copy(copy) => self.send_copy(copy),
                Woken::First(after) => self.warm_up.first_content(after),
                Woken::Returned(returned) => self.note(returned),
                Woken::Look => {
                    if let Some(outcome) = self.warm_up.look(self.began.elapsed()) {
                        return self.report(outcome);
                    }
                    notice.say(self.warm_up.progress());
                }
            }
        }
    }

    /// Waits for the next thing to do. Every branch is cancel safe.
    async fn woken(&mut self, look: &mut Interval, pace: &mut Option<Interval>) -> Woken {
        let concurrency = self.context.spec.synthetic.as_ref().map_or(0, |s| s.concurrency);
        let has_room = self.synthetic_under_way < concurrency;
        loop {
            tokio::select! {
                _ = look.tick() => return Woken::Look,
                () = due(pace), if has_room => return Woken::Synthetic,
                Some(copy) = next_copy(&mut self.copies) => return Woken::Copy(copy),
                Some(after) = self.firsts.1.recv() => return Woken::First(after),
                Some(returned) = self.under_way.join_next() => {
                    // A panic in a request would be a bug; it then has not ended, as far as is known.
                    if let Ok(returned) = returned {
                        return Woken::Returned(returned);
                    }
                }
            }
        }
    }

    fn send_synthetic(&mut self) {
        let Some(synthetics) = &mut self.synthetics else { return };
        let errand = synthetics.next();
        self.synthetic_under_way += 1;
        self.send(errand);
    }

    /// As many as the tap lets be in flight, since each holds its place until its answer has ended.
    fn send_copy(&mut self, copy: Mirrored) {
        let Some(copies) = &self.copies else { return };
        let errand = mirrored::errand(copy, &copies.tap, &self.context.environment.spec);
        self.send(errand);
    }

    fn send(&mut self, errand: Errand) {
        self.warm_up.begun(errand.source);
        let upstream = self.next_upstream();
        let (sending, firsts) = (Arc::clone(&self.sending), self.firsts.0.clone());
        // A task each: an answer is read while others are waited for. Bounded by the concurrency and the tap.
        self.under_way.spawn(async move { sending.send(errand, &upstream, &firsts).await });
    }

    fn next_upstream(&mut self) -> Arc<Upstream> {
        let upstreams = &self.context.environment.upstreams;
        self.turn = (self.turn + 1) % upstreams.len();
        Arc::clone(&upstreams[self.turn])
    }

    fn note(&mut self, returned: Returned) {
        let counts = &self.context.environment.mirror;
        match returned.source {
            Source::Synthetic => {
                self.synthetic_under_way -= 1;
                counts.made_up(returned.verdict);
            }
            Source::Mirror => counts.answered(returned.verdict),
        }
        self.warm_up.ended(returned.source, returned.ended);
    }

    fn report(&self, outcome: WarmUpOutcome) -> GateReport {
        self.warm_up.report(outcome, self.began.elapsed()).gate()
    }
}

/// Waits until the next request may begin; for ever where there is none.
async fn due(pace: &mut Option<Interval>) {
    match pace {
        Some(pace) => drop(pace.tick().await),
        None => pending().await,
    }
}

/// Waits for the next copy of a user's request; for ever where there is no tap.
async fn next_copy(copies: &mut Option<Copies>) -> Option<Mirrored> {
    match copies {
        Some(copies) => copies.receiver.recv().await,
        None => pending().await,
    }
}
