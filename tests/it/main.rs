//! Behaviour of the whole proxy, over real sockets. One binary, so that it links once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod access_log;
mod admin_access;
mod admin_changes;
mod admin_events;
mod admin_slow_clients;
mod admin_stats;
mod blame;
mod cli_changes;
mod cli_errors;
mod comparison;
mod crash;
mod dashboard;
mod demo;
mod deploy;
mod drain;
mod ends;
mod evaluate;
mod fallback;
mod forwarding;
mod grpc;
mod hooks;
mod hostile_answers;
mod http2;
mod http2_upstreams;
mod lean;
mod measured;
mod mirror;
mod model_names;
mod no_progress;
mod notes;
mod observation;
#[cfg(feature = "otlp")]
mod otlp;
mod process;
mod refusals;
mod replay;
mod requests;
mod rewriting;
mod rollback;
mod rollout_calls;
mod rollout_crash;
mod rollout_disk;
mod rollout_live;
mod rollout_refusals;
mod scores;
mod seam;
mod slow_readers;
mod smoke;
mod split;
mod state_files;
mod sticky;
mod streams;
mod switch;
mod tls;
mod trace_context;
mod unix_sockets;
mod uploads;
mod upstreams;
mod verdicts;
mod warm_up;
mod warm_up_by_mirror;
mod websocket;
