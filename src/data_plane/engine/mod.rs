//! The first engine: hyper on both sides.
//!
//! It parses, frames, flushes and carries bytes; what to do is asked of the exchange. Nothing outside
//! of this folder knows hyper's types, so that a leaner engine can take its place.

pub mod answer;
mod attempt;
pub mod connection;
pub mod dial;
pub mod dialing;
pub mod heads;
mod holding;
mod interim;
mod kept;
mod mirror;
pub mod sending;
pub mod serve;
mod stream_end;
mod target;
pub mod tunnel;
pub mod upload;
