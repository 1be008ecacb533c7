//! Listening sockets that a service manager made before Cyan (`sd_listen_fds(3)`).
//!
//! Clients that connect while no Cyan runs wait in them, so that an upgrade refuses nobody. A socket is
//! taken for the listener whose address it has; the manager keeps it open when Cyan ends, and so do we.

use std::env;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use super::Bound;
use crate::model::listener::ListenAddress;

/// Where they begin, after standard input, output and error.
const FIRST: RawFd = 3;
/// Far more than listeners; a larger number is a mistake.
const MOST: RawFd = 256;

/// One that was handed over.
struct HandedOver {
    address: ListenAddress,
    socket: Bound,
}

/// The socket with this address; `None` when there is none. The manager's stays open as long as the
/// process, so that who asks again finds it.
pub(super) fn take(address: &ListenAddress) -> Option<io::Result<Bound>> {
    /// They belong to the process and are there once: who asks second must find the same.
    static ALL: OnceLock<Vec<HandedOver>> = OnceLock::new();
    let all = ALL.get_or_init(|| (FIRST..FIRST + count()).filter_map(adopt).collect());
    let found = all.iter().find(|one| one.address == *address)?;
    Some(found.socket.try_clone())
}

/// How many are for this process, and not for one that has started it.
fn count() -> RawFd {
    let number = |name| env::var(name).ok()?.parse::<RawFd>().ok();
    let is_for_us = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if is_for_us { number("LISTEN_FDS").unwrap_or(0).clamp(0, MOST) } else { 0 }
}

fn adopt(descriptor: RawFd) -> Option<HandedOver> {
    // SAFETY: the manager has opened it for this process alone, and `take` comes here once for each.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let told =
        |error: &io::Error| tracing::warn!(%error, descriptor, "no use of a socket handed over");
    let socket = Bound::adopt(owned).inspect_err(told).ok()?;
    Some(HandedOver { address: socket.listen_address()?, socket })
}
