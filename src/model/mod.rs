//! The shared vocabulary: plain values that every other part of Cyan speaks about.
//!
//! Nothing here does I/O, reads a clock or knows an HTTP library, so that the routing decision can be
//! tested as arithmetic and the engine under the data plane can be replaced. Two kinds of value live
//! here: *specs*, which say what an operator wants and never change once made, and *live* values
//! (`InFlight`, `UpstreamLive`), a few atomics that both planes may touch without waiting.

pub mod addresses;
pub mod answer;
pub mod api;
pub mod argv;
pub mod assignment;
pub mod body_end;
pub mod certificate_hosts;
pub mod client_network;
pub mod client_rate;
pub mod duration;
pub mod entrance;
pub mod environment;
pub mod exchange_id;
pub mod force_token;
pub mod header_id;
pub mod hook;
pub mod in_flight;
pub mod listener;
pub mod media_type;
pub mod mirror;
pub mod model_names;
pub mod name;
pub mod note;
pub mod occasion;
pub mod one_line;
pub mod pem_file;
pub mod plan;
pub mod printable;
pub mod progress;
pub mod reading;
pub mod response_id;
pub mod rfc3339;
pub mod role;
pub mod routing_table;
pub mod salt;
pub mod score;
pub mod service;
pub mod snapshot;
pub mod standing;
pub mod sticky;
pub mod timeouts;
pub mod trace_context;
pub mod upstream;
mod upstream_spec;
pub mod verdict;
pub mod weight;
