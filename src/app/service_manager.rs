//! Tells a service manager how Cyan is (`sd_notify(3)`), where one asks for it.
//!
//! systemd then knows from when on users are served, and restarts a Cyan whose control plane stands
//! still. Nothing here waits: a manager that does not read must not hold Cyan up, and whoever started
//! Cyan without one (no `NOTIFY_SOCKET`) hears nothing.

use std::env;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use crate::control_plane::handle::ControllerHandle;

/// The way to the service manager, if there is one.
pub(super) struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// How long it may hear nothing before it takes Cyan for dead.
    patience: Option<Duration>,
}

impl ServiceManager {
    /// As the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` have it.
    pub(super) fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|address| {
            let told =
                |error: &io::Error| tracing::warn!(%error, ?address, "no use of NOTIFY_SOCKET");
            connect(address.as_bytes()).inspect_err(told).ok()
        });
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let is_for_us =
            number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let patience = number("WATCHDOG_USEC").filter(|_| is_for_us).map(Duration::from_micros);
        Self { socket, patience }
    }

    /// Says that Cyan serves once it does, and from then on that it is alive as often as it is asked to.
    /// Never ends. Cancel safe.
    pub(super) async fn accompany(&self, controller: ControllerHandle) {
        controller.started().await;
        self.say("READY=1");
        let Some(patience) = self.patience else { return std::future::pending().await };
        let mut seen = controller.totals();
        loop {
            tokio::time::sleep(patience / 3).await;
            let totals = controller.totals();
            // The control plane publishes new ones each second, so it is its own event loop that speaks.
            if !Arc::ptr_eq(&seen, &totals) {
                self.say("WATCHDOG=1");
            }
            seen = totals;
        }
    }

    /// Says that another process serves in place of this one, and is the one to be watched.
    pub(super) fn say_main_process(&self, pid: Option<u32>) {
        if let Some(pid) = pid {
            self.say(&format!("MAINPID={pid}"));
        }
    }

    /// Says that Cyan ends as it was told to; from now on it is not asked whether it is alive.
    pub(super) fn say_stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // Full or gone: the manager's own time limits say the rest.
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// A path, or with `@` in front a name in Linux' abstract namespace.
fn connect(address: &[u8]) -> io::Result<UnixDatagram> {
    let address = match address.strip_prefix(b"@") {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "abstract names are Linux' own"))
}
