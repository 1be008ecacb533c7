//! Answers that take an engine: text, streamed or whole, and embeddings.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::time::{Instant, sleep_until};

use super::answer::{JSON, Received, json, read, respond};
use super::ask::Ask;
use super::body::{Exchange, MockBody};
use super::connection::Broken;
use super::dialect::{Dialect, ENGINE_FAILED, Identity, Outcome};
use super::faults::FaultKind;
use super::plan::Plan;
use super::shared::Shared;
use super::stats::unix_ns;
use super::token_stream::TokenStream;
use super::words::json_escaped;

const EVENTS: &str = "text/event-stream; charset=utf-8";

/// Answers a request for text.
///
/// # Errors
/// When the fault drawn for it breaks the connection before any answer.
pub(super) async fn generate(
    shared: &Arc<Shared>,
    dialect: Dialect,
    headers: &HeaderMap,
    body: Incoming,
    Received { at, exchange, is_cold }: Received,
) -> Result<Response<MockBody>, Broken> {
    let Accepted { ask, plan, .. } = match accept(shared, dialect, headers, body, is_cold).await {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal.into_response(exchange),
    };
    let identity = Identity {
        id: format!("{:016x}", plan.seed),
        created: unix_ns() / 1_000_000_000,
        model: json_escaped(ask.model.as_deref().unwrap_or(&shared.options.model)),
        prompt_tokens: ask.prompt_tokens,
        include_usage: ask.include_usage,
    };
    if ask.stream {
        let stream = TokenStream::new(Arc::clone(shared), dialect, identity, plan, at);
        return Ok(respond(StatusCode::OK, EVENTS, MockBody::tokens(stream, exchange)));
    }
    Ok(whole(shared, dialect, &identity, plan, at, exchange).await)
}

/// Answers with one short vector that depends on nothing but the request's body.
///
/// # Errors
/// As [`generate`].
pub(super) async fn embeddings(
    shared: &Shared,
    headers: &HeaderMap,
    body: Incoming,
    Received { at, exchange, is_cold }: Received,
) -> Result<Response<MockBody>, Broken> {
    // Responses is the API whose input has the same name, and the same form of errors.
    let Accepted { ask, plan, body } =
        match accept(shared, Dialect::Responses, headers, body, is_cold).await {
            Ok(accepted) => accepted,
            Err(refusal) => return refusal.into_response(exchange),
        };
    sleep_until(at + plan.first_token).await;
    let mut rng = fastrand::Rng::with_seed(xxhash_rust::xxh3::xxh3_64(&body));
    let vector: Vec<f64> = (0..8).map(|_| (rng.f64() * 2e6).round() / 1e6 - 1.0).collect();
    let tokens = ask.prompt_tokens;
    let text = serde_json::json!({
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": ask.model.as_deref().unwrap_or(&shared.options.model),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    });
    Ok(json(StatusCode::OK, text.to_string(), exchange))
}

/// A request that gets content, perhaps spoilt midway.
struct Accepted {
    ask: Ask,
    plan: Plan,
    body: Bytes,
}

/// Why a request gets no content at all.
enum Refusal {
    Answer(StatusCode, String),
    Break,
}

impl Refusal {
    fn into_response(self, exchange: Exchange) -> Result<Response<MockBody>, Broken> {
        match self {
            Self::Answer(status, text) => Ok(json(status, text, exchange)),
            Self::Break => {
                exchange.give_up();
                Err(Broken)
            }
        }
    }
}

async fn accept(
    shared: &Shared,
    dialect: Dialect,
    headers: &HeaderMap,
    body: Incoming,
    is_cold: bool,
) -> Result<Accepted, Refusal> {
    let refused = |(status, text)| Refusal::Answer(status, text);
    let body = read(body, dialect).await.map_err(refused)?;
    let ask = Ask::parse(dialect, &body).map_err(|e| {
        let text = dialect.error_body(400, "BadRequestError", &e.message, e.param);
        Refusal::Answer(StatusCode::BAD_REQUEST, text)
    })?;
    let seed = shared.seed_of(headers.get("x-request-id").map(HeaderValue::as_bytes));
    let mut plan = Plan::draw(&shared.options, &shared.faults(), &ask, seed);
    if is_cold {
        plan.first_token = plan.first_token.mul_f64(shared.options.cold_factor);
    }
    match plan.fault.map(|fault| fault.kind) {
        Some(FaultKind::NoAnswer) => Err(Refusal::Break),
        Some(FaultKind::Status(code)) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let text = dialect.error_body(code, "InternalServerError", ENGINE_FAILED, None);
            Err(Refusal::Answer(status, text))
        }
        _ => Ok(Accepted { ask, plan, body }),
    }
}

/// An answer in one piece, sent when its last token would have been.
async fn whole(
    shared: &Shared,
    dialect: Dialect,
    identity: &Identity,
    mut plan: Plan,
    started: Instant,
    exchange: Exchange,
) -> Response<MockBody> {
    sleep_until(started + plan.first_token + plan.gaps()).await;
    shared.thawed().await;
    let fault = plan.fault.map(|fault| fault.kind);
    if matches!(fault, Some(FaultKind::ErrorFirst | FaultKind::ErrorMidway)) {
        let text = dialect.error_body(500, "InternalServerError", ENGINE_FAILED, None);
        return json(StatusCode::OK, text, exchange);
    }
    let tokens = if fault == Some(FaultKind::Empty) { 0 } else { plan.tokens };
    let text = shared.speaker.text(plan.wording(), tokens);
    let outcome = Outcome { text, tokens, cut_by_length: plan.cut_by_length };
    let body = dialect.whole(identity, &outcome);
    match fault.filter(|kind| *kind != FaultKind::Empty) {
        Some(fault) => respond(StatusCode::OK, JSON, MockBody::faulty(body, fault, exchange)),
        None => json(StatusCode::OK, body, exchange),
    }
}
