//! One core: a thread with its own event loop, listeners, connections and counts.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::accept::{self, Entrance, Socket};
use super::arrivals::Arrivals;
use super::budget::BufferBudget;
use super::client_io::Carrier;
use super::clients::Clients;
use super::descriptors::Descriptors;
use super::engine::serve::Engine;
use super::flight::Flights;
use super::greeting::TurnedAway;
use super::handshake::Turns;
use super::lean::LeanEngine;
use super::recorder::Recorder;
use super::rounds;
use crate::link::CoreMessage;
use crate::metrics::shard::ShardReport;
use crate::model::snapshot::Snapshot;

/// Deadlines are kept to this precision: one wake-up per core instead of one timer per request.
const TICK: Duration = Duration::from_millis(50);
/// Least time between two looks at what is due of a part of a tick; timers make up to 2 ms of it. With a hundred
/// connections to close in a row, this thread would keep its CPU for ten milliseconds, from upstreams and clients
/// on the same machine too.
const PACE: Duration = Duration::from_millis(1);
/// For each such time that a part lasts, a look does one more of what is due: the next part waits for it, and with
/// it all limits. A part in which all of a hundred connections are due takes about 40 ms.
const PATIENCE: Duration = Duration::from_millis(5);
/// Most that a look does, however late it is.
const LATE_MAX: u128 = 32;
/// Ticks within which it is seen that a client has gone: 150 ms.
const SWEEP_TICKS: usize = 3;
/// Ticks between two looks at resting connections: 1 s.
const EXPIRE_TICKS: u32 = 20;
/// Rounds of the run queue after which whatever chose on an older table has written its first byte.
/// hyper hands an HTTP/1.1 request to the connection's task (one round), an HTTP/2 request on to a
/// second task (two); one more is for good measure. The lean engine writes to a resting connection in
/// the poll that chose (`lean/attempt.rs`), and looks at the table again when it had to connect.
const QUIESCE_ROUNDS: usize = 3;
/// How long a core stays after it was told to stop, for connections that wait in the kernel's queue, or come
/// from another core.
const LAST_CALL: Duration = Duration::from_millis(250);

/// What one core works with. Everything in it belongs to its thread, but for the snapshot.
pub struct Core {
    /// Its number, from 0.
    pub number: usize,
    /// The routing tables.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Where exchanges are recorded.
    pub recorder: Rc<Recorder>,
    /// Exchanges in flight.
    pub flights: Rc<Flights>,
    /// Client connections.
    pub clients: Rc<Clients>,
    /// Connections that are to become those.
    pub arrivals: Rc<Arrivals>,
    /// Connections that are not.
    pub turned_away: TurnedAway,
    /// Bytes of request bodies that the process may hold.
    pub budget: Arc<BufferBudget>,
    /// What the engine with hyper keeps.
    pub engine: Engine,
    /// What the lean engine keeps.
    pub lean: LeanEngine,
    /// Whether plain requests are served by the lean engine.
    pub is_lean: bool,
    /// File descriptors that are left for clients.
    pub descriptors: Descriptors,
    /// Connections open on each core.
    pub open: Arc<[Arc<AtomicU32>]>,
    /// Where connections are handed to other cores.
    pub handovers: Arc<[mpsc::Sender<Handover>]>,
    /// Whose turn it is to compute a TLS handshake.
    pub handshakes: Turns,
    /// Rings when accepting shall stop.
    pub stop: Notify,
}

/// A connection that one core hands to another.
#[derive(Debug)]
pub struct Handover {
    /// The socket, taken out of the first core's event loop.
    pub stream: std::net::TcpStream,
    /// Where the socket comes from.
    pub address: Option<IpAddr>,
    /// The listener it came in by.
    pub listener: usize,
    /// Keeps it counted against the listener's limit.
    pub permit: tokio::sync::OwnedSemaphorePermit,
}

impl Core {
    /// Accepts once `gate` is open, and runs until it is told to stop and nothing is open any more.
    pub async fn run(
        self: Rc<Self>,
        entrances: Vec<(Rc<Entrance>, Vec<Socket>)>,
        gate: watch::Receiver<bool>,
        mailbox: &mut mpsc::Receiver<CoreMessage>,
        mut handed: mpsc::Receiver<Handover>,
    ) {
        // One task per socket, for as long as it listens.
        let listen = |(entrance, sockets): (Rc<Entrance>, Vec<Socket>)| {
            for socket in sockets {
                let (core, entrance) = (Rc::clone(&self), Rc::clone(&entrance));
                tokio::task::spawn_local(accept::run(core, entrance, socket, gate.clone()));
            }
            entrance
        };
        let entrances: Vec<Rc<Entrance>> = entrances.into_iter().map(listen).collect();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut count, mut ticked_at): (u32, _) = (0, Instant::now());
        let (mut stopped_at, mut has_rest) = (None, false);
        // The beginning of a part, and the last look at it.
        let (mut began, mut looked_at) = (ticked_at, ticked_at);
        loop {
            tokio::select! {
                biased;
                message = mailbox.recv() => match message {
                    Some(message) => self.obey(message, &mut stopped_at),
                    None => return, // the control plane is gone, and so is the process
                },
                () = tokio::time::sleep_until((looked_at + PACE).into()), if has_rest => {
                    let now = Instant::now();
                    (has_rest, looked_at) = (self.look_at_rest(now, began), now);
                }
                _ = ticks.tick(), if !has_rest => {
                    let (now, parts) = (Instant::now(), rounds::parts(self.clients.count()));
                    (has_rest, began, looked_at) = (self.look(now, parts), now, now);
                    // As long as the part was: nothing is seen twice within a tick.
                    ticks.reset_after(TICK / parts);
                    if self.is_finished(stopped_at) && handed.is_empty() {
                        return;
                    }
                }
                Some(handover) = handed.recv() => self.take_over(handover, &entrances),
            }
            if looked_at.saturating_duration_since(ticked_at) >= TICK {
                (count, ticked_at) = (count.wrapping_add(1), looked_at);
                self.tick(looked_at, count);
            }
        }
    }

    /// A part of a tick. True: it has a rest.
    fn look(&self, now: Instant, parts: u32) -> bool {
        self.clients.sweep(SWEEP_TICKS, parts);
        // Both, whatever the first says.
        self.flights.tick(now, parts) | self.clients.tick(now, parts)
    }

    /// Does the next that is due of a part, and more the longer the part lasts. True: it has a rest.
    fn look_at_rest(&self, now: Instant, began: Instant) -> bool {
        let late = now.saturating_duration_since(began).as_millis() / PATIENCE.as_millis();
        (0..=late.min(LATE_MAX)).all(|_| self.flights.tick_rest(now) | self.clients.tick_rest(now))
    }

    fn tick(&self, now: Instant, count: u32) {
        self.flights.wake_waiting();
        self.lean.tick();
        if count.is_multiple_of(EXPIRE_TICKS) {
            self.engine.pool.borrow_mut().expire(now);
            self.lean.pool.borrow_mut().expire(now);
            for connections in self.engine.http2.borrow_mut().values_mut() {
                connections.retain_mut(|connection| connection.is_wanted(now));
            }
        }
    }

    fn is_finished(&self, stopped_at: Option<Instant>) -> bool {
        stopped_at.is_some_and(|at| at.elapsed() >= LAST_CALL)
            && self.arrivals.count() == 0
            && self.clients.count() == 0
            && self.flights.count() == 0
    }

    fn obey(self: &Rc<Self>, message: CoreMessage, stopped_at: &mut Option<Instant>) {
        match message {
            CoreMessage::Quiesce(ack) => {
                // A task of its own, so that it queues behind everything that runs already.
                tokio::task::spawn_local(async move {
                    for _ in 0..QUIESCE_ROUNDS {
                        tokio::task::yield_now().await;
                    }
                    let _ = ack.send(());
                });
            }
            CoreMessage::CloseIdle(upstreams) => {
                for upstream in upstreams {
                    self.engine.pool.borrow_mut().close(upstream);
                    self.lean.pool.borrow_mut().close(upstream);
                    self.engine.http2.borrow_mut().remove(&upstream);
                }
            }
            CoreMessage::EndExchanges(environment) => self.flights.evict(Some(environment)),
            CoreMessage::OldestInFlight(environment, reply) => {
                let _ = reply.send(self.flights.oldest(environment));
            }
            CoreMessage::Collect(reply) => {
                let _ = reply.send(self.report());
            }
            CoreMessage::HandOverNotes(environments, reply) => {
                let _ = reply.send(self.recorder.observed.hand_over(environments, Instant::now()));
            }
            CoreMessage::StopAccepting(rest) => {
                stopped_at.get_or_insert_with(Instant::now);
                self.stop.notify_waiters();
                self.arrivals.close_all(rest);
                self.clients.close_all(rest);
            }
            CoreMessage::EndAll => {
                stopped_at.get_or_insert_with(Instant::now);
                self.stop.notify_waiters();
                self.arrivals.cut_all();
                self.flights.evict(None);
                let clients = Rc::clone(&self.clients);
                // The answers just broken off get their last bytes out before the sockets close.
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(TICK).await;
                    clients.cut_all();
                });
            }
        }
    }

    /// The counts since the last report.
    pub fn report(&self) -> ShardReport {
        let mut report = self.recorder.collect(Instant::now());
        report.connections = self.clients.count() as u64;
        let pooled = self.engine.pool.borrow().count() + self.lean.pool.borrow().count();
        report.pooled = pooled as u64;
        report
    }

    fn take_over(self: &Rc<Self>, handover: Handover, entrances: &[Rc<Entrance>]) {
        let Handover { stream, address, listener, permit } = handover;
        if let (Some(entrance), Ok(stream)) = (entrances.get(listener), TcpStream::from_std(stream))
        {
            accept::welcome(self, entrance, Carrier::Tcp(stream), address, permit);
        }
    }
}
