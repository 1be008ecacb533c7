//! Decides who gets what: one task owns every change, a thread of its own owns the disk.

mod clock;
pub mod command;
pub mod event;
pub mod handle;
pub mod journal;
mod probe_log;
mod published;
pub mod readiness;
pub mod record;
pub mod store;
pub mod totals;
