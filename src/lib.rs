//! Cyan: a reverse proxy that releases new models and prompts by canary, and lets their answers decide.
//!
//! Two planes meet in `model` (values that are swapped), `metrics` (counts that are read) and `link`
//! (the post between them): `data_plane` serves requests, one thread per core; `control_plane` decides
//! who gets what. `docs/architecture.md` draws it; `tests/architecture.rs` holds the arrows.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
mod connect;
pub mod control_plane;
pub mod data_plane;
pub mod demo;
pub mod inspect;
pub mod judge;
pub mod link;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod model;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod rollout;
pub mod tls;
