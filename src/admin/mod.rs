//! The control plane's HTTP face: one file per resource.

pub mod api;
pub mod problem;
