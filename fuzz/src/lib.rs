//! The parts of the program that are fuzzed, taken in by their files.
//!
//! What reads foreign bytes is pure: it needs no event loop, no database and no HTTP library, and is
//! built in a minute without them. As a dependency, the whole program and all that it stands on would be
//! instrumented: a build of many minutes, and a fuzzer that follows branches nobody asked about.

pub mod admin;
pub mod control_plane;
pub mod data_plane;
pub mod head;
pub mod pieces;

#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/inspect/mod.rs"]
pub mod inspect;
#[path = "../../src/judge/mod.rs"]
pub mod judge;
#[path = "../../src/link/mod.rs"]
pub mod link;
#[path = "../../src/metrics/mod.rs"]
pub mod metrics;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/rollout/mod.rs"]
pub mod rollout;
