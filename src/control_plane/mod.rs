//! Decides who gets what: one task owns every change, a thread of its own owns the disk.

pub mod boot;
mod call;
pub mod certificates;
mod change;
pub mod clock;
mod collector;
pub mod command;
pub mod comparison;
mod controller;
pub mod drain;
mod drain_watch;
pub mod event;
mod first_look;
mod generating;
pub mod handle;
mod health;
mod hooks;
pub mod journal;
pub mod key_watch;
mod measurements;
pub mod observation;
mod observers;
mod post;
pub mod program;
mod published;
pub mod quality;
mod quote;
pub mod readiness;
pub mod ready;
pub mod record;
mod remarks;
mod resolve;
mod score_keeping;
pub mod scores;
mod services;
pub mod smoke;
pub mod store;
#[cfg(test)]
mod test_rig;
pub mod totals;
mod trial;
mod warm_up;
mod watchers;
pub mod windows;

pub use boot::{Boot, StartError};
pub use handle::ControllerHandle;
