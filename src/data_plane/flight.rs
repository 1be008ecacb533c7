//! The exchanges in flight on one core, and their deadlines.
//!
//! There is no timer per request and none per chunk: an exchange stores the instant at which it wants to
//! be asked, and one coarse tick per core wakes those that are due. Moving a deadline is a store.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use arc_swap::ArcSwap;
use slab::Slab;

use super::exchange::{Exchange, Next};
use super::rounds::Rounds;
use super::turns::Turns;
use crate::model::environment::EnvironmentId;
use crate::model::snapshot::Snapshot;

/// One exchange, and what its core needs to wake it.
pub struct Flight {
    exchange: RefCell<Exchange>,
    deadline: Cell<Option<Instant>>,
    is_evicted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// It was woken because it is late, and has not run since.
    was_called: Cell<bool>,
    /// Lets go of the upstream from outside, while the engine waits for a client that takes nothing.
    let_go: RefCell<Option<Box<dyn FnOnce()>>>,
}

/// All flights of one core.
#[derive(Default)]
pub struct Flights {
    table: RefCell<Slab<Weak<Flight>>>,
    turns: Turns,
    ticked: Rounds,
    now: Cell<Option<Instant>>,
}

/// The owner of a flight: the handler first, then the body of the answer or the tunnel. Dropping it
/// records the exchange.
pub struct FlightOwner {
    flight: Rc<Flight>,
    flights: Rc<Flights>,
    slot: usize,
}

/// A flight was woken because its time has passed, or because it shall end.
#[derive(Debug)]
pub struct Due;

impl Flights {
    /// Takes an exchange in.
    pub fn depart(self: &Rc<Self>, exchange: Exchange) -> FlightOwner {
        let flight = Rc::new(Flight {
            deadline: Cell::new(exchange.deadline()),
            exchange: RefCell::new(exchange),
            is_evicted: Cell::new(false),
            waker: RefCell::default(),
            was_called: Cell::new(false),
            let_go: RefCell::default(),
        });
        let slot = self.table.borrow_mut().insert(Rc::downgrade(&flight));
        FlightOwner { flight, flights: Rc::clone(self), slot }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.table.borrow().len()
    }

    /// When the oldest flight of an environment began.
    pub fn oldest(&self, environment: EnvironmentId) -> Option<Instant> {
        let table = self.table.borrow();
        let flights = table.iter().filter_map(|(_, flight)| flight.upgrade());
        let began = flights.filter_map(|flight| {
            let exchange = flight.exchange.borrow();
            (exchange.environment_id() == Some(environment)).then(|| exchange.began())
        });
        began.min()
    }

    /// The time of the last tick: good enough for limits, and free.
    pub fn coarse_now(&self) -> Instant {
        self.now.get().unwrap_or_else(Instant::now)
    }

    /// Has those who wait for a turn look at the time.
    pub fn wake_waiting(&self) {
        self.turns.tick();
    }

    /// Wakes every flight that is due, of a part of a tick. One that was woken a tick ago and has not run
    /// cannot: its engine waits for a client that takes nothing. It is ended from here. True: the part has a
    /// rest.
    pub fn tick(&self, now: Instant, parts: u32) -> bool {
        self.now.set(Some(now));
        let places = self.ticked.next(self.table.borrow().capacity(), 1, parts);
        self.call(now, places)
    }

    /// Goes on with the rest of a part.
    pub fn tick_rest(&self, now: Instant) -> bool {
        self.now.set(Some(now));
        self.call(now, self.ticked.rest())
    }

    fn call(&self, now: Instant, places: Range<usize>) -> bool {
        let mut stuck = Vec::new();
        let table = self.table.borrow();
        let has_rest = self.ticked.look(places, |place| {
            let Some(flight) = table.get(*place).and_then(Weak::upgrade) else { return false };
            let is_late = flight.deadline.get().is_some_and(|deadline| deadline <= now);
            if !is_late && !flight.is_evicted() {
                return false;
            }
            if flight.was_called.replace(true) {
                // One that was ended already waits for its client to see that.
                if flight.let_go.borrow().is_none() {
                    return false;
                }
                stuck.push(flight);
            } else if let Some(waker) = &*flight.waker.borrow() {
                waker.wake_by_ref();
            }
            true
        });
        drop(table);
        // Letting go drops connections, and they may look at the table.
        stuck.iter().for_each(|flight| flight.end(now));
        has_rest
    }

    /// Ends every flight of an environment, or all of them.
    pub fn evict(&self, environment: Option<EnvironmentId>) {
        self.wake(|flight| {
            let is_meant =
                environment.is_none() || flight.exchange.borrow().environment_id() == environment;
            flight.is_evicted.set(flight.is_evicted.get() || is_meant);
            is_meant
        });
    }

    fn wake(&self, is_meant: impl Fn(&Flight) -> bool) {
        // Wakers only push into the run queue, so nothing runs while the table is borrowed.
        for (_, flight) in &*self.table.borrow() {
            if let Some(flight) = flight.upgrade()
                && is_meant(&flight)
                && let Some(waker) = flight.waker.borrow_mut().take()
            {
                waker.wake();
            }
        }
    }
}

impl Flight {
    /// Asks or tells the exchange something, and takes over its new deadline.
    pub fn with<R>(&self, tell: impl FnOnce(&mut Exchange) -> R) -> R {
        let mut exchange = self.exchange.borrow_mut();
        let answer = tell(&mut exchange);
        self.deadline.set(exchange.deadline());
        answer
    }

    /// Tells the exchange something that moves no deadline.
    pub fn note<R>(&self, tell: impl FnOnce(&mut Exchange) -> R) -> R {
        tell(&mut self.exchange.borrow_mut())
    }

    /// Whether it shall end because of a drain.
    pub fn is_evicted(&self) -> bool {
        self.is_evicted.get()
    }

    /// Ends it without its engine: the upstream is let go of, and the exchange is recorded.
    fn end(&self, now: Instant) {
        let Some(let_go) = self.let_go.borrow_mut().take() else { return };
        let mut exchange = self.exchange.borrow_mut();
        if self.is_evicted() {
            exchange.on_evicted(now);
        } else {
            exchange.on_time(now);
        }
        exchange.close(now);
        self.deadline.set(None);
        drop(exchange);
        let_go();
    }
}

impl FlightOwner {
    /// The flight, for others that report to it.
    pub fn share(&self) -> Rc<Flight> {
        Rc::clone(&self.flight)
    }

    /// Asks or tells the exchange something.
    pub fn with<R>(&self, tell: impl FnOnce(&mut Exchange) -> R) -> R {
        self.flight.with(tell)
    }

    /// Tells the exchange something that moves no deadline.
    pub fn note<R>(&self, tell: impl FnOnce(&mut Exchange) -> R) -> R {
        self.flight.note(tell)
    }

    /// Whether it shall end because of a drain.
    pub fn is_evicted(&self) -> bool {
        self.flight.is_evicted()
    }

    /// Waits until its environment has a place for it. Cancel safe; `wait` keeps its deadline.
    pub async fn turn(&self, snapshot: &ArcSwap<Snapshot>) -> Next {
        self.with(|exchange| exchange.on_waiting_for_turn(self.flights.coarse_now()));
        let ask = || match self.with(|exchange| exchange.on_turn(&snapshot.load())) {
            Next::Wait => None,
            next => Some(next),
        };
        self.flights.turns.wait(ask).await
    }

    /// How to let go of the upstream while the engine cannot run.
    pub fn on_stuck(&self, let_go: impl FnOnce() + 'static) {
        *self.flight.let_go.borrow_mut() = Some(Box::new(let_go));
    }

    /// Whether it is due; if not, the task is woken when it is.
    pub fn poll_due(&self, cx: &Context<'_>) -> Poll<Due> {
        self.flight.was_called.set(false);
        let is_late = |deadline| deadline <= self.flights.coarse_now();
        if self.is_evicted() || self.flight.deadline.get().is_some_and(is_late) {
            return Poll::Ready(Due);
        }
        let mut waker = self.flight.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits for `work`, unless the flight falls due before. Cancel safe if `work` is.
    ///
    /// # Errors
    /// When it fell due.
    pub async fn wait<F: Future>(&self, work: F) -> Result<F::Output, Due> {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.poll_due(cx).map(Err)
        })
        .await
    }
}

impl Drop for FlightOwner {
    fn drop(&mut self) {
        self.flights.table.borrow_mut().remove(self.slot);
        self.flight.exchange.borrow_mut().close(Instant::now());
        self.flights.turns.one_ended();
    }
}
