//! From an accepted socket to a client: who it is, whether it may come in, TLS, and its first bytes.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::accept::Entrance;
use super::admission::{Admission, TOO_MANY};
use super::arrivals::Arriving;
use super::client_io::{Carrier, ClientIo, IoState};
use super::core::Core;
use super::exchange::head::Peer;
use super::handshake;
use super::proxy_protocol::{self, Sender};

/// Clients of one core that are turned away at the same time and read for a moment; of more of them, some
/// do not see their answer.
const TURNED_AWAY_MAX: usize = 256;
/// How long such a client is read.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that has come in.
pub struct Greeted {
    /// It.
    pub carrier: Carrier,
    /// What was read of it.
    pub ahead: Vec<u8>,
    /// Whether it speaks HTTP/2.
    pub is_http2: bool,
    /// Who it is.
    pub peer: Peer,
    /// Counts it against the limits on connections.
    pub admission: Admission,
}

/// Who the other end is.
struct Named {
    address: Option<IpAddr>,
    /// Whether its `X-Forwarded-*` headers are believed.
    is_trusted: bool,
}

/// Places for clients that are turned away.
pub struct TurnedAway(Semaphore);

impl Default for TurnedAway {
    fn default() -> Self {
        Self(Semaphore::new(TURNED_AWAY_MAX))
    }
}

/// Takes a connection in; `None` when it ends before.
pub async fn greet(
    core: &Core,
    entrance: &Entrance,
    arriving: &Arriving,
    mut carrier: Carrier,
    address: Option<IpAddr>,
    permit: OwnedSemaphorePermit,
) -> Option<Greeted> {
    let timeouts = &entrance.spec.timeouts;
    let named = name(entrance, &mut carrier, address);
    let named = tokio::time::timeout(timeouts.handshake, named).await.ok()?.ok()?;
    let Some(admission) = admit(entrance, named.address, permit) else {
        turn_away(core, entrance, carrier).await;
        return None;
    };
    let (tls, speaks_tls) = (entrance.tls.as_deref(), entrance.speaks_tls());
    let shaken = handshake::shake(carrier, tls, speaks_tls, &core.handshakes);
    let Ok(Ok(shaken)) = tokio::time::timeout(timeouts.handshake, shaken).await else {
        core.recorder.handshake_failed();
        return None;
    };
    let mut carrier = shaken.carrier;
    let peer = Peer {
        is_trusted: named.is_trusted,
        is_tls: speaks_tls,
        hosts: shaken.hosts,
        certificate: shaken.certificate,
        trusted: Rc::clone(&entrance.trusted),
        body_idle: timeouts.body_idle,
        ..Peer::new(named.address)
    };
    let first = handshake::read_preface(&mut carrier, shaken.alpn);
    let (is_http2, ahead) = arriving.first_byte(timeouts.idle, first).await?.ok()?;
    Some(Greeted { carrier, ahead, is_http2, peer, admission })
}

/// The client's address: the socket's, or what a trusted peer says before the first byte. A unix socket has no
/// address; who may open it is trusted to say one.
async fn name(
    entrance: &Entrance,
    carrier: &mut Carrier,
    address: Option<IpAddr>,
) -> io::Result<Named> {
    let named = |address| Named { address, is_trusted: entrance.trusts(address) };
    if !entrance.spec.expects_proxy_header {
        return Ok(named(address));
    }
    if address.is_some() && !entrance.trusts(address) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(match proxy_protocol::read(carrier).await? {
        Sender::Client(client) => named(Some(client)),
        Sender::Balancer => named(address),
        // A client like any other: what it says of itself is not the balancer's word.
        Sender::Unknown => Named { address, is_trusted: false },
    })
}

/// Counts a connection against the limits; `None` when its address has as many as it may.
fn admit(
    entrance: &Entrance,
    address: Option<IpAddr>,
    permit: OwnedSemaphorePermit,
) -> Option<Admission> {
    // A trusted proxy brings many clients on its own address.
    let is_counted = |a: &IpAddr| !entrance.trusted.iter().any(|net| net.contains(a));
    let counted = address.filter(is_counted).zip(entrance.addresses.as_ref());
    let place = counted.map(|(address, counts)| counts.enter(address));
    match place {
        Some(None) => None,
        place => Some(Admission { permit, address: place.flatten() }),
    }
}

/// Lets a client go that has as many connections as it may. What it still says is read for a moment: a
/// closed socket answers it by a reset, and the client loses the answer.
async fn turn_away(core: &Core, entrance: &Entrance, carrier: Carrier) {
    core.recorder.connection_refused();
    let Carrier::Tcp(stream) = &carrier else { return };
    if entrance.speaks_tls() {
        return;
    }
    // Past the event loop, which knows nothing of the socket yet. A fresh one has room.
    let _ = SockRef::from(stream).send(TOO_MANY);
    if let Ok(_place) = core.turned_away.0.try_acquire() {
        let state = Arc::new(IoState::default());
        state.linger();
        let mut io = ClientIo::new(carrier, Vec::new(), state);
        let _ = tokio::time::timeout(LINGER, io.shutdown()).await;
    }
}
