//! Which requests say something about an environment, when it is compared with another.

use super::head::RequestHead;
use crate::model::header_id::HeaderId;

/// Paths that every client, probe and monitor asks for all the time, and no model answers.
const HOUSEKEEPING: [&str; 12] = [
    "/models", "/health", "/healthz", "/ready", "/readyz", "/livez", "/ping", "/metrics",
    "/version", "/load", "/props", "/slots",
];

/// Whether the request counts when environments are compared. A client's own retry does not: it comes
/// more often from the side that fails, and would be counted as news each time.
pub(super) fn is_compared(head: &impl RequestHead) -> bool {
    let path = head.path();
    let is_housekeeping = matches!(head.method(), "GET" | "HEAD")
        && HOUSEKEEPING.iter().any(|suffix| path.ends_with(suffix));
    head.method() != "OPTIONS" && !is_housekeeping && !is_client_retry(head)
}

/// Whether the client says that it has tried before, as the SDKs of `OpenAI` and Anthropic do.
pub(super) fn is_client_retry(head: &impl RequestHead) -> bool {
    head.first(HeaderId::RETRY_COUNT).is_some_and(|count| count.trim_ascii() != b"0")
}
