//! Behaviour of the whole proxy, over real sockets. One binary, so that it links once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod admin_access;
mod admin_changes;
mod admin_events;
mod admin_slow_clients;
mod cli_changes;
mod cli_errors;
mod crash;
mod ends;
mod forwarding;
mod refusals;
mod seam;
mod slow_readers;
mod split;
mod state_files;
mod sticky;
mod streams;
mod switch;
