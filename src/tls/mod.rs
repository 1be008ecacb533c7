//! TLS settings that both planes build the same way, so that a probe trusts exactly what a request
//! does.

pub mod client;
pub mod server;
