//! Reads the JSON body of a call: bounded in size and time, and strict about its type and its fields.

use std::error::Error;
use std::iter::successors;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_path_to_error::Segment;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::problem::{Problem, ProblemKind};
use crate::model::media_type::MediaType;
use crate::rollout::start_key::StartKey;

/// Most bytes of a body.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// Time a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// So much of a body is read without a turn: all of nearly every call.
const SMALL_BYTES_MAX: usize = 16 << 10;
/// Time for one that can be no longer.
const SMALL_LIMIT: Duration = Duration::from_secs(1);
/// Longer bodies that are read at once. The others wait for their turn within their time, or as many as there
/// are connections would be held in memory.
const LARGE_MAX: usize = 16;
static LARGE: Semaphore = Semaphore::const_new(LARGE_MAX);

/// The body of a call: an object. An empty one counts as `{}`.
#[derive(Debug)]
pub(super) struct Body<T, const MOST: usize = BODY_BYTES_MAX>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync, const MOST: usize> FromRequest<S> for Body<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let text = json(request, MOST).await?;
        // A list would be taken for the fields in their order, and an empty one for consent.
        if !text.trim_ascii_start().starts_with(b"{") {
            read::<IgnoredAny>(&text)?;
            let detail = "body: must be a JSON object";
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        read(&text).map(Self)
    }
}

/// The body of a call that takes objects and lists.
#[derive(Debug)]
pub(super) struct AnyBody(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for AnyBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(&json(request, BODY_BYTES_MAX).await?).map(Self)
    }
}

async fn json(request: Request, most: usize) -> Result<Bytes, Problem> {
    let (head, body) = request.into_parts();
    // Of a call that is done once, the body was read for its key, and lies in memory.
    let is_read = head.extensions.get::<StartKey>().is_some();
    let bytes = if is_read {
        to_bytes(body, most).await.map_err(|error| unread(&error, most))?
    } else {
        whole(body, most).await?
    };
    if bytes.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    is_json(&head.headers)?;
    Ok(bytes)
}

/// All of a body that may have so many bytes.
pub(super) async fn whole(body: axum::body::Body, most: usize) -> Result<Bytes, Problem> {
    let limit = if most <= SMALL_BYTES_MAX { SMALL_LIMIT } else { BODY_LIMIT };
    let deadline = Instant::now() + limit;
    let mut body = pin!(Limited::new(body, most));
    let (mut whole, mut turn) = (Vec::new(), None);
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| late(limit))?;
        let Some(frame) = frame else { return Ok(whole.into()) };
        let frame = frame.map_err(|error| unread(&*error, most))?;
        let data = frame.into_data().unwrap_or_default(); // trailers say nothing here
        if turn.is_none() && whole.len() + data.len() > SMALL_BYTES_MAX {
            let acquired = timeout_at(deadline, LARGE.acquire()).await.map_err(|_| busy(limit))?;
            turn = Some(acquired.expect("nobody closes this semaphore"));
            whole.reserve_exact(most - whole.len()); // growing would copy it, and hold both
        }
        whole.extend_from_slice(&data);
    }
}

fn late(limit: Duration) -> Problem {
    let detail = format!("the body did not arrive within {} s; send it in one go", limit.as_secs());
    Problem::new(ProblemKind::BadRequest, detail)
}

fn busy(limit: Duration) -> Problem {
    let detail = format!(
        "{LARGE_MAX} bodies of more than 16 KiB were being read for {} s; nothing has changed, try again",
        limit.as_secs()
    );
    Problem { retry_after_s: Some(1), ..Problem::new(ProblemKind::TooMany, detail) }
}

/// A body without a type is taken for JSON; one that says it is something else is not. A form that a
/// browser was made to send is no change of weights.
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(said) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    if MediaType::of(said.as_bytes()).is_json() {
        return Ok(());
    }
    let said = said.to_str().unwrap_or("what cannot be read");
    let detail = format!("the body is said to be {said}; send application/json");
    Err(Problem::new(ProblemKind::UnsupportedType, detail)
        .hint("with curl, use --json instead of --data"))
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| malformed(&error))?;
    reader.end().map_err(|error| unparsed(&error))?;
    Ok(value)
}

fn unread(error: &(dyn Error + 'static), most: usize) -> Problem {
    let causes = successors(Some(error), |error| (*error).source());
    if causes.into_iter().any(<dyn Error>::is::<LengthLimitError>) {
        let most = if most == BODY_BYTES_MAX { "1 MiB".into() } else { format!("{most} bytes") };
        let detail = format!("the body is longer than {most}; send only what changes");
        return Problem::new(ProblemKind::TooLarge, detail);
    }
    Problem::new(ProblemKind::BadRequest, format!("the body broke off: {error}"))
}

/// Broken JSON cannot be read; JSON of another form breaks a rule, which the message names.
fn malformed(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if !error.inner().is_data() {
        return unparsed(error.inner());
    }
    let problem = Problem::new(ProblemKind::Invalid, format!("body: {}", error.inner()));
    let field: Vec<_> = error.path().iter().filter_map(part).collect();
    if field.is_empty() { problem } else { problem.at(&field.join("/")) }
}

fn unparsed(error: &serde_json::Error) -> Problem {
    Problem::new(ProblemKind::BadRequest, format!("body: {error}"))
}

/// A part of a JSON pointer (RFC 6901).
fn part(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::rollout::StartRollout;
    use super::super::api::{SetWeights, Switch};
    use super::*;

    fn pointers<T: DeserializeOwned>(text: &str) -> (u16, Vec<String>) {
        let problem = read::<T>(text.as_bytes()).err().expect("it is refused");
        (problem.status, problem.errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let at = |status, pointer: &str| (status, vec![pointer.to_owned()]);
        assert_eq!(
            pointers::<SetWeights>(r#"{"weights":{"green":101}}"#),
            at(422, "#/weights/green")
        );
        assert_eq!(pointers::<SetWeights>(r#"{"wieghts":{}}"#), at(422, "#/wieghts"));
        assert_eq!(pointers::<Switch>(r#"{"to":"Green"}"#), at(422, "#/to"));
        assert_eq!(pointers::<StartRollout>(r#"{"steps":["5%",5]}"#), at(422, "#/steps/1"));
        assert_eq!(pointers::<Switch>(r#"{"to":"#), (400, vec![]));
        assert_eq!(pointers::<Switch>("{} {}"), (400, vec![]));
    }
}
