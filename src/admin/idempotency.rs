//! `Idempotency-Key`: a call that may have been made already, because its answer was lost, is not made
//! twice.
//!
//! The call is worked on by a task of its own: who waits in vain and asks again finds the answer there,
//! and not a call that was given up half-way.

use std::time::Instant;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Context, SHA256};

use super::answered::{Answer, Answered, Known, Ticket};
use super::body::{self, BODY_BYTES_MAX};
use super::caller::Caller;
use super::problem::{Problem, ProblemKind};
use crate::rollout::start_key::StartKey;

/// The header.
pub(super) const HEADER: &str = "idempotency-key";
/// Tells an answer that is given again.
const REPLAYED: &str = "idempotency-replayed";
/// Most characters of a key.
pub(super) const KEY_CHARS_MAX: usize = 255;

/// Does a call once, if it has a key.
pub(super) async fn once(
    State(answered): State<Answered>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut head, body) = request.into_parts();
    let body = body::whole(body, BODY_BYTES_MAX).await?;
    let token = head.extensions.get::<Caller>().and_then(|caller| caller.token.as_deref());
    let key = StartKey {
        key: format!("{}:{key}", token.unwrap_or_default()),
        digest: digest(&[head.method.as_str(), &head.uri.to_string()], &body),
    };
    let ticket = match answered.ask(&key, Instant::now()) {
        Known::New(ticket) => ticket,
        Known::Answered(answer) => return Ok(again(answer)),
        Known::UnderWay => return Err(under_way()),
        Known::OtherCall => return Err(reused()),
        Known::Full => return Err(full()),
    };
    head.extensions.insert(key);
    let request = Request::from_parts(head, Body::from(body));
    // Ends with the call, which has its own limits on time.
    let working = tokio::spawn(async move { remember(next.run(request).await, ticket).await });
    working.await.unwrap_or_else(|_| Err(broken_off()))
}

/// Remembers the answer of a call that did something; passes the others on as they are.
async fn remember(response: Response, ticket: Ticket) -> Result<Response, Problem> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| broken_off())?;
    let answer = Answer { status: head.status, headers: head.headers.clone(), body: body.clone() };
    ticket.answered(answer);
    Ok(Response::from_parts(head, Body::from(body)))
}

fn again(answer: Answer) -> Response {
    let Answer { status, mut headers, body } = answer;
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    headers.remove(header::CONTENT_LENGTH); // told anew
    (status, headers, body).into_response()
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !(1..=KEY_CHARS_MAX).contains(&text.len()) || !is_visible {
        let detail = format!(
            "Idempotency-Key: must be 1 to {KEY_CHARS_MAX} visible characters of ASCII; send for example a UUID"
        );
        return Err(Problem::new(ProblemKind::BadRequest, detail));
    }
    Ok(Some(text.to_owned()))
}

fn digest(head: &[&str], body: &Bytes) -> String {
    let mut context = Context::new(&SHA256);
    for part in head {
        context.update(part.as_bytes());
        context.update(b"\0");
    }
    context.update(body);
    URL_SAFE_NO_PAD.encode(context.finish())
}

fn broken_off() -> Problem {
    let detail = "the call broke off; the change may have happened";
    Problem::new(ProblemKind::Timeout, detail).hint("look at the state")
}

fn under_way() -> Problem {
    let detail = "the call with this Idempotency-Key is under way; ask again in a moment";
    Problem { retry_after_s: Some(1), ..Problem::new(ProblemKind::KeyInUse, detail) }
}

fn reused() -> Problem {
    let detail = "this Idempotency-Key came with another call; make a new key for each call";
    Problem::new(ProblemKind::KeyReused, detail)
}

fn full() -> Problem {
    let detail = format!("{} calls with keys are under way", super::answered::CALLS_MAX);
    Problem { retry_after_s: Some(1), ..Problem::new(ProblemKind::TooMany, detail) }
}
