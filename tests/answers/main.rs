//! What the scan makes of answers: of captured ones, of what is known of servers, and of bad ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod chat;
mod framing;
mod messages;
mod others;
mod read;
mod responses;
mod transcripts;
