//! A rollout: from a new version to all traffic, or back, by itself.
//!
//! Pure: `Rollout::advance(event, scene)` says what becomes of it and what is to be done. Whoever does it
//! (the controller) reports back by an event. Time is what a rollout was observed for: neither downtime
//! nor a clock that jumps bakes a step.

mod advance;
pub mod attempts;
mod estimate;
pub mod evaluation;
pub mod event;
pub mod gate;
mod going_back;
mod judging;
pub mod notice;
mod operator;
pub mod progress;
pub mod quality;
mod ramp;
pub mod release;
pub mod rollback_time;
pub mod sentence;
pub mod stage;
pub mod start;
pub mod start_key;
pub mod value;
pub mod warm_up;

pub use going_back::{RETURNING, ROLLED_BACK};

#[cfg(test)]
mod tests;
