//! Every call of the admin API, once: the router answers them, the `OpenAPI` document describes them.

mod environments;
mod measurements;
mod process;
mod rollouts;
mod services;

use axum::handler::Handler;
use axum::http::Method;

use super::api::{Applied, Preview};
use super::operation::Operation;
use super::state::Admin;

const DRY: &str = "With `dry_run=true` nothing is changed, and the answer says what would be.";

/// The answer to a change, or what it would do.
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is wanted")]
enum WhatWouldBe {
    Applied(Applied),
    Preview(Preview),
}

/// All of them, in the order of the document.
pub(super) fn all() -> Vec<Operation> {
    [
        process::operations(),
        services::operations(),
        environments::operations(),
        rollouts::operations(),
        measurements::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn get<H, T>(path: &'static str, handler: H, id: &'static str, summary: &'static str) -> Operation
where
    H: Handler<T, Admin>,
    T: 'static,
{
    Operation::new(Method::GET, path, handler, id, summary)
}

fn put<H, T>(path: &'static str, handler: H, id: &'static str, summary: &'static str) -> Operation
where
    H: Handler<T, Admin>,
    T: 'static,
{
    Operation::new(Method::PUT, path, handler, id, summary)
}

fn post<H, T>(path: &'static str, handler: H, id: &'static str, summary: &'static str) -> Operation
where
    H: Handler<T, Admin>,
    T: 'static,
{
    Operation::new(Method::POST, path, handler, id, summary)
}

fn delete<H, T>(
    path: &'static str,
    handler: H,
    id: &'static str,
    summary: &'static str,
) -> Operation
where
    H: Handler<T, Admin>,
    T: 'static,
{
    Operation::new(Method::DELETE, path, handler, id, summary)
}
