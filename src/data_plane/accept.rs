//! From a new connection to the engine that serves its requests.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::admission::AddressCounts;
use super::arrivals::Arriving;
use super::client_io::{Carrier, ClientIo, IoState};
use super::clients::{Arrival, Graceful};
use super::core::{Core, Handover};
use super::descriptors::is_exhaustion;
use super::engine::dial::{BUFFER_BYTES_MAX, OnThisCore};
use super::engine::serve::serve;
use super::greeting::{Greeted, greet};
use super::lean::converse;
use super::panics::Counted;
use super::socket;
use crate::listen::BACKLOG;
use crate::model::listener::ListenerSpec;
use crate::tls::server::ServerTls;

/// Accepting that has paused because file descriptors are short looks again after this long.
const NO_DESCRIPTORS: Duration = Duration::from_millis(50);
/// Connections that one turn takes in. Many come at once when many were cut, and who is served
/// already should not wait for all of them.
const ACCEPTED_PER_TURN: u32 = 2;
/// Most streams that a client may have open on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Most streams of one connection that the client makes us reset (CVE-2025-8671); then it is cut.
const LOCAL_RESETS_MAX: usize = 256;

/// A listener as one core sees it.
pub struct Entrance {
    /// Its number, the same on every core.
    pub number: usize,
    /// What the operator wants of it.
    pub spec: ListenerSpec,
    /// TLS of the listeners that speak it, of which this may be one.
    pub tls: Option<Arc<ServerTls>>,
    /// Bounds its connections over all cores.
    pub permits: Arc<Semaphore>,
    /// Bounds the connections of one address over all cores; `None` without a limit.
    pub addresses: Option<Arc<AddressCounts>>,
    /// Peers that are believed.
    pub trusted: Rc<[ipnet::IpNet]>,
}

impl Entrance {
    /// Whether every connection begins with TLS.
    pub fn speaks_tls(&self) -> bool {
        self.spec.tls.is_some()
    }

    /// Whether the `X-Forwarded-*` headers of a peer at this address are believed, or of one on a unix socket.
    pub fn trusts(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => self.trusted.iter().any(|net| net.contains(&address)),
            None => self.spec.trusts_unix,
        }
    }
}

/// A listening socket in the event loop.
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// Accepts connections from when the gate is open until the core stops, and closes the socket then. What is
/// waiting in the queue is still taken in, since closing would reset it; who comes later is refused, and
/// goes elsewhere.
pub async fn run(
    core: Rc<Core>,
    entrance: Rc<Entrance>,
    socket: Socket,
    mut gate: watch::Receiver<bool>,
) {
    if let Socket::Tcp(listener) = &socket {
        socket::set_options(&SockRef::from(listener)); // who comes from now on inherits them
    }
    let stop = core.stop.notified();
    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        biased;
        () = stop.as_mut() => return, // nobody was let in, and another process still listens
        _ = gate.wait_for(|is_open| *is_open) => {}
    }
    let mut accepted_count = 0_u32;
    loop {
        let permit = tokio::select! {
            biased;
            () = stop.as_mut() => break,
            permit = has_room(&core, &entrance) => permit,
        };
        let Some(permit) = permit else { break };
        tokio::select! {
            biased;
            () = stop.as_mut() => break,
            accepted = socket.accept() => {
                if accepted_count < BACKLOG.unsigned_abs() {
                    set_options(&accepted); // it may have waited in the queue since before
                }
                take_in(&core, &entrance, accepted, permit);
            }
        }
        accepted_count = accepted_count.wrapping_add(1);
        if accepted_count.is_multiple_of(ACCEPTED_PER_TURN) {
            tokio::task::yield_now().await;
        }
    }
    while let Ok(permit) = Arc::clone(&entrance.permits).try_acquire_owned() {
        let waiting = tokio::time::timeout(Duration::ZERO, socket.accept()).await;
        let Ok(accepted @ Ok(_)) = waiting else { break };
        take_in(&core, &entrance, accepted, permit);
    }
}

/// Waits until one more client may come in. What waits meanwhile waits in the kernel's queue.
async fn has_room(core: &Core, entrance: &Entrance) -> Option<OwnedSemaphorePermit> {
    if core.descriptors.are_short() {
        core.recorder.accepting_paused("descriptors");
        while core.descriptors.are_short() {
            tokio::time::sleep(NO_DESCRIPTORS).await;
            core.descriptors.look_again();
        }
    }
    let permits = Arc::clone(&entrance.permits);
    match permits.try_acquire_owned() {
        Ok(permit) => Some(permit),
        Err(_) => {
            core.recorder.accepting_paused("connections_max");
            Arc::clone(&entrance.permits).acquire_owned().await.ok()
        }
    }
}

fn set_options(accepted: &io::Result<(Carrier, Option<IpAddr>)>) {
    if let Ok((Carrier::Tcp(stream), _)) = accepted {
        socket::set_options(&SockRef::from(stream));
    }
}

fn take_in(
    core: &Rc<Core>,
    entrance: &Rc<Entrance>,
    accepted: io::Result<(Carrier, Option<IpAddr>)>,
    permit: OwnedSemaphorePermit,
) {
    if let Ok((carrier, _)) = &accepted {
        core.descriptors.took(carrier.fd());
    }
    match accepted {
        Ok((Carrier::Tcp(stream), address)) => match less_loaded(core) {
            Some(other) => hand_over(core, entrance, (stream, address), permit, other),
            None => welcome(core, entrance, Carrier::Tcp(stream), address, permit),
        },
        Ok((carrier, address)) => welcome(core, entrance, carrier, address, permit),
        Err(error) if is_exhaustion(&error) => core.descriptors.ran_out(),
        Err(_) => {} // the client was gone before we looked
    }
}

/// Another core that has clearly fewer connections. Few long streams land unevenly on sockets that
/// share a port: the kernel spreads by hash, not by load.
fn less_loaded(core: &Core) -> Option<usize> {
    // Relaxed: a hint.
    let counts = core.open.iter().map(|open| open.load(Ordering::Relaxed));
    let (least, other) = counts.zip(0..).min()?;
    let mine = core.open[core.number].load(Ordering::Relaxed);
    (mine > least + least / 4 + 8).then_some(other)
}

fn hand_over(
    core: &Rc<Core>,
    entrance: &Rc<Entrance>,
    (stream, address): (TcpStream, Option<IpAddr>),
    permit: OwnedSemaphorePermit,
    other: usize,
) {
    let Ok(stream) = stream.into_std() else { return };
    let handover = Handover { stream, address, listener: entrance.number, permit };
    // A core that is too busy to take it sends it back to us.
    if let Err(refused) = core.handovers[other].try_send(handover) {
        let Handover { stream, address, permit, .. } = refused.into_inner();
        if let Ok(stream) = TcpStream::from_std(stream) {
            welcome(core, entrance, Carrier::Tcp(stream), address, permit);
        }
    }
}

/// Takes in a connection.
pub fn welcome(
    core: &Rc<Core>,
    entrance: &Rc<Entrance>,
    carrier: Carrier,
    address: Option<IpAddr>,
    permit: OwnedSemaphorePermit,
) {
    let (core, entrance) = (Rc::clone(core), Rc::clone(entrance));
    let arriving = core.arrivals.begin();
    // One task per connection: a panic in it costs that connection only.
    tokio::task::spawn_local(async move {
        let _counted = Counted;
        let greeting = greet(&core, &entrance, &arriving, carrier, address, permit);
        // Boxed, because it is over soon, and the futures of connections that stay would be as large.
        let greeted = arriving.unless_cut(Box::pin(greeting)).await.flatten();
        if let Some(greeted) = greeted {
            talk(core, entrance, arriving, greeted).await;
        }
    });
}

/// Talks to a client until its connection ends. The admission stays with the client: a tunnel that goes on
/// after the connection was handed over still counts against the listener's limit.
async fn talk(core: Rc<Core>, entrance: Rc<Entrance>, arriving: Arriving, greeted: Greeted) {
    let Greeted { carrier, ahead, is_http2, peer, admission } = greeted;
    let io = Arc::new(IoState::default());
    let place = core.clients.admit(Arrival {
        peer: Rc::new(peer),
        io: Arc::clone(&io),
        fd: carrier.fd(),
        is_http2,
        timeouts: entrance.spec.timeouts.clone(),
        admission,
    });
    drop(arriving); // it is counted there
    let client = Rc::clone(place.client());
    let (carrier, ahead) = if core.is_lean && !is_http2 {
        let head_bytes_max = entrance.spec.head_bytes_max as usize;
        let lean = converse(Rc::clone(&core), Rc::clone(&client), carrier, ahead, head_bytes_max);
        match place.attend(std::pin::pin!(lean)).await.flatten() {
            Some(left) => left,
            None => return,
        }
    } else {
        (carrier, ahead)
    };
    let io = ClientIo::new(carrier, ahead, io);
    let stream = TokioIo::new(if is_http2 { io.watched() } else { io });
    let service_core = Rc::clone(&core);
    let service =
        service_fn(move |request| serve(Rc::clone(&service_core), Rc::clone(&client), request));
    if is_http2 {
        let connection = http2_builder(&entrance.spec).serve_connection(stream, service);
        place.drive(Box::pin(connection).as_mut()).await;
        if place.client().io.credit.is_used_up() {
            core.recorder.flooded();
        }
    } else {
        let connection = http1_builder(&entrance.spec).serve_connection(stream, service);
        // Boxed, because most connections never come here, and their futures would be as large.
        place.drive(Box::pin(connection.with_upgrades()).as_mut()).await;
    }
}

fn http1_builder(spec: &ListenerSpec) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A head has to fit into it.
        .max_buf_size(BUFFER_BYTES_MAX.max(spec.head_bytes_max as usize))
        .max_header_size(spec.head_bytes_max as usize)
        // Slow heads and idle connections are ours to time: hyper's one limit covers both.
        .header_read_timeout(None);
    builder
}

fn http2_builder(spec: &ListenerSpec) -> http2::Builder<OnThisCore> {
    let mut builder = http2::Builder::new(OnThisCore);
    builder
        .timer(TokioTimer::new())
        // Never equal to each other: one stream that nobody reads must not stop the others.
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .max_header_list_size(spec.head_bytes_max)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

impl Socket {
    /// The next connection, and its address.
    async fn accept(&self) -> io::Result<(Carrier, Option<IpAddr>)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                (Carrier::Tcp(stream), Some(address.ip().to_canonical()))
            }
            Self::Unix(listener) => (Carrier::Unix(listener.accept().await?.0), None),
        })
    }
}

impl<I, S, B> Graceful for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<I, S, B> Graceful for http2::Connection<I, S, OnThisCore>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
