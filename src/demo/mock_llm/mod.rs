//! An LLM server without a model: real HTTP, real streams, made-up words, faults on demand.
//!
//! For tests, benches and the demo. It speaks Chat Completions, Completions, Responses and Messages in
//! the bytes of real servers, keeps a schedule drawn from distributions, repeats a run with the same
//! seed, and says what arrived (`/mock/stats`). Nothing in Cyan's planes depends on it.

mod answer;
mod args;
mod ask;
mod body;
mod connection;
mod dialect;
mod distribution;
mod faults;
mod generate;
mod options;
mod plan;
mod route;
mod server;
mod shared;
mod stats;
mod token_stream;
mod words;

#[cfg(test)]
mod tests;

pub use args::{MockLlmArgs, run};
pub use distribution::{Delay, DistributionError, TokenCount};
pub use faults::{Connections, Faults, FaultsError, Health};
pub use options::MockOptions;
pub use server::{MockLlm, StartMockError};
pub use stats::{Arrival, Stats};
