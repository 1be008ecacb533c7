//! A rollout: from a new version to all traffic, or back, by itself.
//!
//! Pure: `Rollout::advance(event, now)` returns what is to be done. Whoever does it (the controller)
//! reports back by an event. Time is what a rollout was observed for: neither downtime nor a clock
//! that jumps bakes a step.

pub mod gate;
pub mod notice;
