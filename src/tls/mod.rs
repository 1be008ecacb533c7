//! TLS settings that both planes build the same way, so that a probe trusts exactly what a request
//! does; and the certificates that clients see, which are renewed while Cyan serves.

pub mod certificate;
mod choice;
pub mod client;
mod pem;
pub mod server;
mod validity;
