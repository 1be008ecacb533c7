//! The client connections of one core: how long each may be idle or slow, and which clients have gone.

mod place;
mod work;

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Waker;
use std::time::{Duration, Instant};

pub use place::{ClientPlace, Graceful};
use slab::Slab;
pub use work::Work;

use super::admission::Admission;
use super::client_io::IoState;
use super::exchange::head::Peer;
use super::outlet::Outlet;
use super::rounds::Rounds;
use super::socket;
use super::tail::Tail;
use crate::model::timeouts::ClientTimeouts;

/// Longest time that the rest of a refused request is read before its connection closes.
const LINGER: Duration = Duration::from_secs(1);

/// Time that a client of HTTP/2 which was told to leave has to do so, once nothing is in flight: a few round
/// trips, for its last requests and for its word that it has heard. Who says nothing would stay for ever.
const FAREWELL: Duration = Duration::from_secs(5);

/// Time between two looks at what a client does not take.
const LOOK_AT_OUTLETS: Duration = Duration::from_secs(1);

/// One client connection.
pub struct Client {
    /// Who it is.
    pub peer: Rc<Peer>,
    /// What its stream knows.
    pub io: Arc<IoState>,
    fd: RawFd,
    is_http2: bool,
    timeouts: ClientTimeouts,
    in_flight: Cell<u32>,
    /// When it became idle, or its head began, or lingering began.
    since: Cell<Instant>,
    was_head_begun: Cell<bool>,
    /// The core's tick has seen that it lingers.
    was_lingering: Cell<bool>,
    is_cut: Cell<bool>,
    /// The answer under way ends with the connection, of HTTP/1.0.
    ends_answer: Cell<bool>,
    is_closing: Cell<bool>,
    /// Since when it is closing and was idle for long enough that no request is likely to be on its way.
    rested_at: Cell<Option<Instant>>,
    /// It carries a tunnel, and no more answers.
    is_tunnel: Cell<bool>,
    /// When it is asked to connect anew, of HTTP/2.
    leaves_at: Option<Instant>,
    /// What is on its way to it, of HTTP/2.
    outlets: RefCell<Vec<Rc<Outlet>>>,
    looked_at: Cell<Instant>,
    /// The end of its last answer, of HTTP/1.
    tail: Tail,
    refilled_at: Cell<Instant>,
    waker: RefCell<Option<Waker>>,
    _admission: Admission,
}

/// A connection that has just come in.
pub struct Arrival {
    /// Who it is.
    pub peer: Rc<Peer>,
    /// What its stream knows.
    pub io: Arc<IoState>,
    /// Its socket.
    pub fd: RawFd,
    /// Whether it speaks HTTP/2.
    pub is_http2: bool,
    /// How long it may be idle or slow.
    pub timeouts: ClientTimeouts,
    /// Counts it against the limits on connections.
    pub admission: Admission,
}

/// All client connections of one core.
pub struct Clients {
    table: RefCell<Slab<Rc<Client>>>,
    is_closing: Cell<bool>,
    /// How long a closing connection has to be idle before it is closed.
    rest: Cell<Duration>,
    /// The same number for the other cores to see.
    open: Arc<AtomicU32>,
    now: Cell<Instant>,
    ticked: Rounds,
    swept: Rounds,
}

impl Clients {
    /// No connections; `open` shows other cores how many there are.
    pub fn new(open: Arc<AtomicU32>, now: Instant) -> Self {
        Self {
            table: RefCell::default(),
            is_closing: Cell::new(false),
            rest: Cell::default(),
            open,
            now: Cell::new(now),
            ticked: Rounds::default(),
            swept: Rounds::default(),
        }
    }

    /// Takes a connection in.
    pub fn admit(self: &Rc<Self>, arrival: Arrival) -> ClientPlace {
        let age = arrival.timeouts.http2_age.filter(|_| arrival.is_http2);
        // Not all at once: connections that came together leave over a tenth of their age.
        let leaves_at = age.map(|age| self.now.get() + age + age.mul_f32(0.1 * fastrand::f32()));
        let client = Rc::new(Client {
            peer: arrival.peer,
            io: arrival.io,
            fd: arrival.fd,
            is_http2: arrival.is_http2,
            timeouts: arrival.timeouts,
            in_flight: Cell::new(0),
            since: Cell::new(self.now.get()),
            was_head_begun: Cell::new(false),
            was_lingering: Cell::new(false),
            is_cut: Cell::new(false),
            ends_answer: Cell::new(false),
            is_closing: Cell::new(self.is_closing.get()),
            rested_at: Cell::default(),
            is_tunnel: Cell::new(false),
            leaves_at,
            outlets: RefCell::default(),
            looked_at: Cell::new(self.now.get()),
            tail: Tail::default(),
            refilled_at: Cell::new(self.now.get()),
            waker: RefCell::default(),
            _admission: arrival.admission,
        });
        ClientPlace::of(self, client)
    }

    /// How many connections are open.
    pub fn count(&self) -> usize {
        self.table.borrow().len()
    }

    /// Whether no new requests are wanted.
    pub fn is_closing(&self) -> bool {
        self.is_closing.get()
    }

    /// Asks every connection to end after its next answer, or when it was idle for `rest`. A connection
    /// of HTTP/1.1 that is closed while a request is on its way fails that request, and who has just been
    /// answered is likely to ask again.
    pub fn close_all(&self, rest: Duration) {
        self.is_closing.set(true);
        self.rest.set(rest);
        for (_, client) in &*self.table.borrow() {
            client.is_closing.set(true);
            client.wake();
        }
    }

    /// Cuts every connection.
    pub fn cut_all(&self) {
        self.is_closing.set(true);
        self.table.borrow().iter().for_each(|(_, client)| client.cut());
    }

    /// Ends connections that were idle or slow for too long: those of a part of a tick. True: the part has
    /// a rest.
    pub fn tick(&self, now: Instant, parts: u32) -> bool {
        let places = self.ticked.next(self.table.borrow().capacity(), 1, parts);
        self.look(now, places)
    }

    /// Goes on with the rest of a part.
    pub fn tick_rest(&self, now: Instant) -> bool {
        self.look(now, self.ticked.rest())
    }

    fn look(&self, now: Instant, places: Range<usize>) -> bool {
        self.now.set(now);
        let (rest, table) = (self.rest.get(), self.table.borrow());
        self.ticked
            .look(places, |place| table.get(*place).is_some_and(|client| client.tick(now, rest)))
    }

    /// Cuts busy connections whose client has gone, and tunnels whose client hears no more. All are seen within
    /// so many ticks, each of so many calls, unless they are thousands.
    pub fn sweep(&self, ticks: usize, parts: u32) {
        let table = self.table.borrow();
        let looked_at = self.swept.next(table.capacity(), ticks, parts);
        let (tunnels, busy): (Vec<_>, Vec<_>) = looked_at
            .filter_map(|place| table.get(place))
            .filter(|client| client.in_flight.get() > 0)
            .partition(|client| client.is_tunnel.get());
        cut_found(&busy, socket::gone);
        cut_found(&tunnels, socket::broken);
    }
}

/// Cuts those of these connections that `find` finds by their sockets.
fn cut_found(clients: &[&Rc<Client>], find: impl FnOnce(&[RawFd]) -> Vec<usize>) {
    if clients.is_empty() {
        return;
    }
    let fds: Vec<RawFd> = clients.iter().map(|client| client.fd).collect();
    find(&fds).into_iter().for_each(|index| clients[index].cut());
}

impl Client {
    /// Reads the rest of a refused request for a moment before the connection closes.
    pub fn linger(&self, now: Instant) {
        self.io.linger();
        self.since.set(now);
    }

    /// Whether it speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.is_http2
    }

    /// Whether its next answer is its last.
    pub fn is_closing(&self) -> bool {
        self.is_closing.get()
    }

    /// Whether it shall end now that it is idle.
    pub fn is_rested(&self) -> bool {
        self.rested_at.get().is_some()
    }

    /// Whether the engine shall be told to end: a connection of HTTP/2 has a way to say so while it is
    /// idle, one of HTTP/1.1 only with an answer.
    fn may_be_asked(&self) -> bool {
        let is_heard = self.is_http2 || self.in_flight.get() > 0 || self.is_rested();
        self.is_closing.get() && is_heard
    }

    /// A way out for an answer that may stand still for `limit`.
    pub fn outlet(&self, limit: Duration, now: Instant) -> Rc<Outlet> {
        let outlet = Outlet::new(limit, now);
        self.outlets.borrow_mut().push(Rc::clone(&outlet));
        outlet
    }

    /// How long the end of an answer may stand still, of HTTP/1.
    pub fn limit_tail(&self, limit: Duration) {
        self.tail.limit(limit);
    }

    /// Waits until it has taken what it was given, of HTTP/1: who takes nothing gets no further answers.
    pub async fn has_room(&self) {
        if !self.is_http2 {
            std::future::poll_fn(|cx| self.io.poll_unblocked(cx)).await;
        }
    }

    /// Its answer ends with the connection: a FIN in the middle would be taken for the end of it.
    pub fn ends_answer(&self) {
        self.ends_answer.set(true);
    }

    /// Ends the connection with a reset, for a client that takes a FIN for the end of an answer.
    pub fn reset_on_close(&self) {
        socket::reset_on_close(self.fd);
    }

    /// Looks whether it was idle or slow for too long, and ends it then. True: it was told to end.
    fn tick(&self, now: Instant, rest: Duration) -> bool {
        if self.is_http2 {
            self.tick_http2(now);
        }
        if self.in_flight.get() > 0 && !self.io.is_lingering() && !self.is_tunnel.get() {
            self.tail.forget();
            return false;
        }
        if self.io.is_blocked() && !self.is_http2 {
            return self.tick_blocked(now);
        }
        self.tail.forget();
        if self.is_tunnel.get() {
            return false; // how long it may be idle is its exchange's to say
        }
        // Between two requests HTTP/2 talks of windows and pings, which begin no head.
        let is_head_begun = self.io.is_head_begun() && !self.is_http2;
        if is_head_begun && !self.was_head_begun.replace(true) {
            self.since.set(now);
        }
        let waited = now.saturating_duration_since(self.since.get());
        if self.io.is_lingering() {
            if !self.was_lingering.replace(true) {
                self.since.set(now);
                return false;
            }
            return self.cut_if(waited >= LINGER);
        }
        if is_head_begun {
            return self.cut_if(waited >= self.timeouts.head);
        }
        let is_over = waited >= self.timeouts.idle || self.is_closing_after(rest, waited);
        match self.rested_at.get() {
            None if is_over => {
                self.close(now);
                true
            }
            None => false,
            Some(told_at) => self.cut_if(self.is_deaf(told_at, now)),
        }
    }

    /// Whether it was told to leave, of HTTP/2, and has had the time to.
    fn is_deaf(&self, told_at: Instant, now: Instant) -> bool {
        let is_late = now.saturating_duration_since(told_at.max(self.since.get())) >= FAREWELL;
        // Who takes the end of an answer slowly is no deaf one: pings find those who have gone.
        let takes_slowly =
            || self.io.is_blocked() || !self.outlets.borrow().iter().all(|o| o.is_over());
        self.is_http2 && is_late && !takes_slowly()
    }

    /// The answer is over for its exchange, and the client has not taken the end of it, or does not take what
    /// comes through its tunnel. What comes next has its time once it has.
    fn tick_blocked(&self, now: Instant) -> bool {
        self.since.set(now);
        if now.saturating_duration_since(self.looked_at.get()) < LOOK_AT_OUTLETS {
            return false;
        }
        self.looked_at.set(now);
        // What the socket has taken may lie there: a slow client of a large buffer is no stuck one.
        let taken = self.io.written().saturating_sub(socket::queued(self.fd));
        self.cut_if(self.tail.is_stuck(taken, now))
    }

    fn tick_http2(&self, now: Instant) {
        let before = self.refilled_at.replace(now);
        self.io.credit.refill(now.saturating_duration_since(before));
        let is_old = self.leaves_at.is_some_and(|at| at <= now);
        if (is_old || self.io.credit.is_low()) && !self.is_closing() {
            self.close(now);
        }
        if now.saturating_duration_since(self.looked_at.get()) >= LOOK_AT_OUTLETS {
            self.looked_at.set(now);
            self.look_at_outlets(now);
        }
    }

    /// A client that does not take an answer gets no further ones. Its other streams go on; when only such
    /// are left that stand still, the connection is cut, and what is held for them is freed.
    fn look_at_outlets(&self, now: Instant) {
        let mut outlets = self.outlets.borrow_mut();
        outlets.retain(|outlet| !outlet.is_over());
        let stuck: Vec<_> = outlets.iter().filter(|outlet| outlet.is_stuck(now)).collect();
        if stuck.is_empty() {
            return;
        }
        // A look later, so that the client has heard of it before.
        let was_told = self.is_closing();
        self.close(now);
        let at_work = stuck.iter().filter(|outlet| outlet.is_open()).count();
        if was_told && self.in_flight.get() as usize == at_work {
            self.cut();
        }
    }

    /// Breaks the connection.
    pub fn cut(&self) {
        // What the socket has taken may still arrive, and then the answer has its end.
        let is_answering = self.in_flight.get() > 0 || self.io.is_blocked();
        if self.ends_answer.get() && is_answering {
            self.reset_on_close();
        }
        self.is_cut.set(true);
        self.wake();
    }

    fn cut_if(&self, is_due: bool) -> bool {
        if is_due {
            self.cut();
        }
        is_due
    }

    fn is_closing_after(&self, rest: Duration, waited: Duration) -> bool {
        self.is_closing.get() && waited >= rest
    }

    fn close(&self, now: Instant) {
        self.is_closing.set(true);
        self.rested_at.set(self.rested_at.get().or(Some(now)));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
