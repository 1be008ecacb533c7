//! Serves requests: one thread per core, each with its own listeners, connections and counts.

mod accept;
mod access_log;
mod admission;
mod arrivals;
pub mod budget;
mod client_io;
pub mod client_rates;
mod clients;
pub mod conversations;
mod core;
mod descriptors;
pub mod engine;
pub mod exchange;
mod flight;
mod frame_watch;
mod greeting;
mod handshake;
mod lean;
mod log_file;
pub mod observed;
mod outlet;
mod panics;
mod pool;
mod proxy_protocol;
mod quantum;
pub mod recorder;
pub mod retries;
mod rounds;
mod socket;
mod start;
mod tail;
mod turns;
mod upgrade;

pub use start::{DataPlane, Prepared, ReopenLog, StartError};
