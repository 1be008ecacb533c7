//! Decides who gets what: one task owns every change, a thread of its own owns the disk.

pub mod command;
