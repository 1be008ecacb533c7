//! One element of a config per file: how its table is read, and its tests below it.

pub(super) mod process;

mod access_log;
pub(super) mod address;
mod admin;
pub(super) mod admin_token;
mod certificate;
mod ejection;
mod endpoint;
mod environment;
mod force;
mod header;
mod health;
mod hooks;
mod listen;
mod listen_tls;
mod mirror;
mod otlp;
mod overlap;
mod probes;
mod quality;
mod range;
mod receiver;
mod requests_per_client;
mod rewrite;
pub(super) mod rollout;
mod service;
mod smoke;
mod smoke_request;
mod split;
mod sticky;
mod timeouts;
mod upstreams;
mod warm_up;

#[cfg(test)]
pub(super) mod testing;
