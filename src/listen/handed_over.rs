//! Listening sockets that a service manager made before Cyan (`sd_listen_fds(3)`).
//!
//! Clients that connect while no Cyan runs wait in them, so that an upgrade refuses nobody. A socket is
//! taken for the listener whose address it has; the manager keeps it open when Cyan ends, and so do we.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::OnceLock;

use socket2::{Socket, Type};

use super::Bound;
use crate::model::listener::ListenAddress;

/// Where they begin, after standard input, output and error.
const FIRST: RawFd = 3;
/// Far more than listeners; a larger number is a mistake.
const MOST: RawFd = 256;

/// One that was handed over.
pub(super) struct HandedOver {
    address: ListenAddress,
    socket: Bound,
}

/// The socket with this address for each core, all of them the same one; `None` when there is none.
pub(super) fn take(address: &ListenAddress, cores: usize) -> Option<io::Result<Vec<Bound>>> {
    let found = find(address)?;
    Some((0..cores).map(|_| found.socket.try_clone()).collect())
}

/// The socket with this address. It stays open as long as the process.
pub(super) fn find(address: &ListenAddress) -> Option<&'static HandedOver> {
    /// They belong to the process and are there once: who asks second must find the same.
    static ALL: OnceLock<Vec<HandedOver>> = OnceLock::new();
    let all = ALL.get_or_init(|| (FIRST..FIRST + count()).filter_map(adopt).collect());
    all.iter().find(|one| one.address == *address)
}

/// How many are for this process, and not for one that has started it.
fn count() -> RawFd {
    let number = |name| env::var(name).ok()?.parse::<RawFd>().ok();
    let is_for_us = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if is_for_us { number("LISTEN_FDS").unwrap_or(0).clamp(0, MOST) } else { 0 }
}

fn adopt(descriptor: RawFd) -> Option<HandedOver> {
    // SAFETY: the manager has opened it for this process alone, and `find` comes here once for each.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    let told =
        |error: &io::Error| tracing::warn!(%error, descriptor, "no use of a socket handed over");
    ready(socket).inspect_err(told).ok()
}

fn ready(socket: Socket) -> io::Result<HandedOver> {
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no listening stream socket",
        ));
    }
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?; // hooks and evaluations are no heirs
    let address = socket.local_addr()?;
    if let Some(path) = address.as_pathname() {
        let address = ListenAddress::Unix(path.to_owned());
        let socket = Bound::Unix(UnixListener::from(OwnedFd::from(socket)));
        return Ok(HandedOver { address, socket });
    }
    let address = address.as_socket().map(ListenAddress::Tcp).ok_or(io::ErrorKind::Unsupported)?;
    Ok(HandedOver { address, socket: Bound::Tcp(TcpListener::from(socket)) })
}
