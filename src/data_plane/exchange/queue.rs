//! Entering an environment: at once, after waiting for a place, or not at all.
//!
//! A request that waits counts for its environment, but is not in flight in it: a drain does not wait for
//! it, and it looks at the tables anew when its turn comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Exchange, Next, Phase, Place, Refusal};
use crate::metrics::cohort::Mark;
use crate::model::environment::Environment;
use crate::model::routing_table::RoutingTable;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Verdict;

impl Exchange {
    /// Enters an environment, or waits for a place in it.
    pub(super) fn enter(
        &mut self,
        table: &RoutingTable,
        environment: &Arc<Environment>,
    ) -> Result<Next, Refusal> {
        // Whoever waits already comes first.
        let is_free = environment.spec.queue_max == 0 || environment.in_flight.waiting() == 0;
        if is_free && self.enter_at_once(table, environment) {
            return Ok(Next::Route);
        }
        self.counted_for = Some(Arc::clone(environment));
        self.waiting = environment.in_flight.try_wait(environment.spec.queue_max);
        match self.waiting {
            Some(_) => Ok(Next::Wait),
            None => Err(Refusal::InFlightMax(environment.name().to_string())),
        }
    }

    /// Enters an environment if it has a place: from here on it counts the exchange as in flight.
    pub(super) fn enter_at_once(
        &mut self,
        table: &RoutingTable,
        environment: &Arc<Environment>,
    ) -> bool {
        let guard = match environment.spec.in_flight_max {
            None => environment.in_flight.enter(),
            Some(cap) => match environment.in_flight.try_enter(cap) {
                Some(guard) => guard,
                None => return false,
            },
        };
        self.recorder.retries.began(environment.id, self.began);
        (self.generation, self.rollout) = (table.generation, table.rollout);
        self.place =
            Some(Place { environment: Arc::clone(environment), _in_flight: guard, upstream: None });
        true
    }

    /// It begins to wait for a place.
    pub fn on_waiting_for_turn(&mut self, now: Instant) {
        self.phase = Phase::Queued { since: now };
    }

    /// Its turn may have come.
    pub fn on_turn(&mut self, snapshot: &Snapshot) -> Next {
        let Some(own) = self.counted_for.clone() else { return Next::Route };
        let Some(table) = self.table(snapshot).cloned() else {
            return Next::Reply(self.refuse(Refusal::Draining)); // the service is gone
        };
        let is_left = !self.is_forced
            && table.weight(own.name()).is_zero()
            && !self.still_follows(&table, &own);
        if let Some(key) = self.key.filter(|_| is_left) {
            if let Some(cohort) = self.cohort {
                self.mark_at(cohort, Mark::Withdrawn, Duration::ZERO);
            }
            (self.waiting, self.counted_for) = (None, None);
            return match self.choose(&table, key) {
                Ok(next) => self.go_on(next),
                Err(refusal) => Next::Reply(self.refuse(refusal)),
            };
        }
        // A reload makes a new environment of the same name, with other limits perhaps.
        let now =
            table.environment(own.name().as_str()).cloned().unwrap_or_else(|| Arc::clone(&own));
        if self.enter_at_once(&table, &now) {
            (self.waiting, self.counted_for) = (None, None);
            return self.go_on(Next::Route);
        }
        Next::Wait
    }

    fn go_on(&mut self, next: Next) -> Next {
        if next == Next::Route {
            self.phase = Phase::Choosing;
        }
        next
    }

    /// How long it may wait for a place.
    pub(super) fn queue_wait(&self) -> Duration {
        self.counted_for.as_ref().map_or(Duration::ZERO, |own| own.spec.queue_wait)
    }

    /// It has waited too long.
    pub(super) fn give_up_waiting(&mut self) -> Refusal {
        self.waiting = None;
        self.settle(Verdict::Shed);
        let name = self.counted_for.as_ref().map(|own| own.name().to_string());
        self.refuse(Refusal::InFlightMax(name.unwrap_or_default()))
    }
}
