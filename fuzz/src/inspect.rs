//! What is fuzzed.

#[path = "../../src/inspect/answer/mod.rs"]
pub mod answer;
