//! Serves requests: one thread per core, each with its own listener, connection pool and counts.

pub mod budget;
pub mod exchange;
pub mod recorder;
