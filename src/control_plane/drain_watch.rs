//! Watches one drain: reads the counts, tells of progress, does what the drain asks for.
//!
//! A task of its own, so that a drain of half a minute holds up no other command.

use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::command::DrainView;
use super::drain::{Drain, Effect, Seen};
use super::event::Events;
use super::predecessor::Predecessor;
use crate::link::{CoreLinks, CoreMessage, Quiesce};
use crate::model::environment::Environment;
use crate::model::name::Name;

/// How often the counts are read. The counter has no bell, since ringing it would cost every
/// request.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Least time between two events of progress while counts change, and most while they do not.
const TELL_CHANGES_EVERY: Duration = Duration::from_millis(250);
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How often cores are asked for their oldest exchange; who watches reads whole seconds.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// The state of a drain that was called off because the environment got traffic again.
pub(super) const CALLED_OFF: &str = "called_off";

/// One drain under way.
pub(super) struct DrainWatch {
    pub(super) service: Name,
    pub(super) environment: Arc<Environment>,
    pub(super) deadline: Duration,
    pub(super) links: CoreLinks,
    pub(super) events: Events,
    pub(super) predecessor: Predecessor,
    pub(super) view: watch::Sender<DrainView>,
    /// Resolves, or is dropped, when the environment gets traffic again.
    pub(super) called_off: oneshot::Receiver<()>,
}

/// What was told last.
struct Told {
    at: Instant,
    in_flight: u32,
}

impl DrainWatch {
    /// How a drain looks before its first step.
    pub(super) fn first_view(in_flight: u32, deadline: Duration) -> DrainView {
        view(Drain::Draining, in_flight, Duration::ZERO, deadline)
    }

    /// Runs the drain to its end and returns how it ended.
    pub(super) async fn run(mut self, mut quiesce: Quiesce) -> DrainView {
        let began = Instant::now();
        let mut drain = Drain::Draining;
        let mut all_acked = false;
        let mut told = Told { at: began, in_flight: u32::MAX };
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut oldest = None;
        let mut asking = Box::pin(self.ask_for_oldest(Duration::ZERO));
        loop {
            tokio::select! {
                _ = look.tick() => {}
                lagging = quiesce.wait(Duration::from_secs(1)), if !all_acked => {
                    all_acked = lagging.is_empty();
                }
                since = &mut asking => {
                    oldest = since;
                    asking.set(self.ask_for_oldest(ASK_EVERY));
                }
                _ = &mut self.called_off => return self.call_off(),
            }
            let in_flight = self.in_flight();
            let elapsed = began.elapsed();
            let (next, effect) =
                drain.advance(Seen { in_flight, all_acked, elapsed }, self.deadline);
            drain = next;
            if let Some(effect) = effect {
                self.perform(effect);
            }
            let mut now = view(drain, in_flight, elapsed, self.deadline);
            now.oldest_ms = oldest.filter(|_| in_flight > 0).map(age_ms);
            self.view.send_replace(now.clone());
            self.tell(&now, &mut told);
            if drain.is_finished() {
                return now;
            }
        }
    }

    /// Exchanges in flight, here and in the process before.
    fn in_flight(&self) -> u32 {
        let elsewhere = self.predecessor.in_flight(&self.service, self.environment.name());
        self.environment.in_flight.count().saturating_add(elsewhere)
    }

    /// Asks the cores for their oldest exchange, after a while.
    fn ask_for_oldest(&self, after: Duration) -> impl Future<Output = Option<StdInstant>> + use<> {
        let (links, environment) = (self.links.clone(), self.environment.id);
        async move {
            tokio::time::sleep(after).await;
            links.oldest_in_flight(environment, ASK_EVERY).await
        }
    }

    fn perform(&self, effect: Effect) {
        // A core whose mailbox is full misses the message. It lags then, which is told elsewhere,
        // and what it does not end shows as left.
        let _ = self.links.post(|| match effect {
            Effect::EndExchanges => CoreMessage::EndExchanges(self.environment.id),
            Effect::CloseIdle => {
                let ids = self.environment.upstreams.iter().map(|upstream| upstream.id);
                CoreMessage::CloseIdle(ids.collect())
            }
        });
    }

    fn tell(&self, now: &DrainView, told: &mut Told) {
        let since = told.at.elapsed();
        let changed = now.in_flight != told.in_flight;
        let first = told.in_flight == u32::MAX;
        let due = first || since >= TELL_EVERY || (changed && since >= TELL_CHANGES_EVERY);
        let name = self.environment.name();
        let (kind, text) = match now.state {
            "drained" => ("drained", format!("{name} is drained: nothing is in flight any more")),
            "ended" => ("drain_ended", format!("{name} reached its deadline: {} ended", now.ended)),
            _ if due => {
                let left_s = now.left_ms.div_ceil(1000);
                let oldest = now.oldest_ms.map(|ms| format!(", the oldest for {} s", ms / 1000));
                let in_flight =
                    format!("{} in flight{}", now.in_flight, oldest.unwrap_or_default());
                let text = format!("{name} drains: {in_flight}, {left_s} s left");
                ("drain_progress", text)
            }
            _ => return,
        };
        *told = Told { at: Instant::now(), in_flight: now.in_flight };
        let details = json!({ "environment": name, "drain": now });
        self.events.tell(Some(&self.service), kind, text, details);
    }

    fn call_off(&self) -> DrainView {
        let view = DrainView { state: CALLED_OFF, ..self.view.borrow().clone() };
        self.view.send_replace(view.clone());
        let name = self.environment.name();
        let text = format!("{name} gets traffic again; its drain was called off");
        let details = json!({ "environment": name, "drain": view });
        self.events.tell(Some(&self.service), "drain_called_off", text, details);
        view
    }
}

fn view(drain: Drain, in_flight: u32, elapsed: Duration, deadline: Duration) -> DrainView {
    let left = deadline.saturating_sub(elapsed);
    DrainView {
        state: drain.label(),
        in_flight,
        left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        ended: if let Drain::Ended { ended, .. } = drain { ended } else { 0 },
        oldest_ms: None,
    }
}

fn age_ms(since: StdInstant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
