//! Listening sockets that a service manager made before Cyan (`sd_listen_fds(3)`).
//!
//! Clients that connect while no Cyan runs wait in them, so that an upgrade refuses nobody. A socket is
//! taken for the listener whose address it has; the manager keeps it open when Cyan ends, and so do we.

use std::env;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Bound;
use crate::model::listener::ListenAddress;

/// Where they begin, after standard input, output and error.
const FIRST: RawFd = 3;
/// Far more than listeners; a larger number is a mistake.
const MOST: RawFd = 256;

/// One that was handed over.
struct HandedOver {
    address: ListenAddress,
    /// What the manager calls it.
    name: String,
    socket: Bound,
    is_taken: bool,
}

/// All of them. They belong to the process and are there once: who asks second must find the same.
fn all() -> &'static Mutex<Vec<HandedOver>> {
    static ALL: OnceLock<Mutex<Vec<HandedOver>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.split(':').map(str::to_owned).chain(std::iter::repeat_with(String::new));
        Mutex::new((FIRST..FIRST + count()).zip(names).filter_map(adopt).collect())
    })
}

/// The sockets with this address. The manager's stay open as long as the process.
pub(super) fn take(address: &ListenAddress) -> io::Result<Vec<Bound>> {
    // Only listeners being bound and the end of that come here, one after the other.
    let mut all = all().lock().unwrap_or_else(PoisonError::into_inner);
    let found = all.iter_mut().filter(|one| one.address == *address).map(|one| {
        one.is_taken = true;
        one.socket.try_clone()
    });
    found.collect()
}

/// Closes those that nobody has taken, and says so: who connects to one would wait for ever.
pub(super) fn close_rest() {
    let mut all = all().lock().unwrap_or_else(PoisonError::into_inner);
    for HandedOver { address, name, .. } in all.extract_if(.., |one| !one.is_taken) {
        tracing::warn!(
            %address,
            name,
            "a socket of the service manager is no listener's and is closed; add its address to \
             `listen.http`, `listen.https` or `admin.address`, or take it out of the socket unit"
        );
    }
}

/// How many are for this process, and not for one that has started it.
fn count() -> RawFd {
    let number = |name| env::var(name).ok()?.parse::<RawFd>().ok();
    let is_for_us = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if is_for_us { number("LISTEN_FDS").unwrap_or(0).clamp(0, MOST) } else { 0 }
}

fn adopt((descriptor, name): (RawFd, String)) -> Option<HandedOver> {
    // SAFETY: the manager has opened it for this process alone, and `all` comes here once for each.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let told =
        |error: &io::Error| tracing::warn!(%error, descriptor, "no use of a socket handed over");
    let socket = Bound::adopt(owned).inspect_err(told).ok()?;
    Some(HandedOver { address: socket.listen_address()?, name, socket, is_taken: false })
}
