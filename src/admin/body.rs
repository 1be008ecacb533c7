//! Reads the JSON body of a call: bounded in size and time, and strict about its fields.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::problem::{Problem, ProblemKind};

/// Most bytes of a body.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// Time a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// The body of a call. An empty one counts as `{}`.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let reading = to_bytes(request.into_body(), BODY_BYTES_MAX);
        let bytes = match timeout(BODY_LIMIT, reading).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(unread(&error)),
            Err(_) => {
                let detail = "the body did not arrive within 10 s; send it in one go";
                return Err(Problem::new(ProblemKind::BadRequest, detail));
            }
        };
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| malformed(&error))
    }
}

fn unread(error: &axum::Error) -> Problem {
    let source = std::error::Error::source(error);
    if source.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>) {
        let detail = "the body is longer than 1 MiB; send only what changes";
        return Problem::new(ProblemKind::TooLarge, detail);
    }
    Problem::new(ProblemKind::BadRequest, format!("the body broke off: {error}"))
}

/// Broken JSON cannot be read; JSON of another form breaks a rule, which the message names.
fn malformed(error: &serde_json::Error) -> Problem {
    let kind = if error.is_data() { ProblemKind::Invalid } else { ProblemKind::BadRequest };
    Problem::new(kind, format!("body: {error}"))
}
