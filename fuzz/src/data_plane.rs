//! What decides about requests, and what the lean engine reads them with.

#[path = "../../src/data_plane/client_rates.rs"]
pub mod client_rates;
#[path = "../../src/data_plane/conversations.rs"]
pub mod conversations;
#[path = "../../src/data_plane/exchange/mod.rs"]
pub mod exchange;
pub mod lean;
#[path = "../../src/data_plane/observed.rs"]
pub mod observed;
#[path = "../../src/data_plane/panics.rs"]
pub mod panics;
#[path = "../../src/data_plane/proxy_protocol.rs"]
pub mod proxy_protocol;
#[path = "../../src/data_plane/recorder.rs"]
pub mod recorder;
#[path = "../../src/data_plane/retries.rs"]
pub mod retries;
