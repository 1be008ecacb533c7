//! The program's own log, on standard error: for people on a terminal, JSON lines otherwise.
//!
//! Requests are not logged here; they have the access log.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::failure::Failure;

/// Starts the log. `RUST_LOG` chooses what it holds, e.g. `debug` or `cyan::control_plane=debug`.
pub(super) fn start() -> Result<(), Failure> {
    let level = match std::env::var("RUST_LOG") {
        Ok(wanted) => EnvFilter::try_new(&wanted).map_err(|error| {
            Failure::usage(format!("RUST_LOG: `{wanted}`: {error}")).hint("write for example info")
        })?,
        Err(_) => EnvFilter::new("info"),
    };
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(level);
    let started = if terminal {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        log.with_target(false).with_ansi(colour).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    started.map_err(|error| Failure::unexpected(format!("cannot start the log: {error}")))
}
