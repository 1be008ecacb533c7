//! From a request to its answer: everything but the generation of text.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use super::body::{Exchange, MockBody};
use super::connection::{Broken, Link};
use super::dialect::Dialect;
use super::faults::{Faults, Health};
use super::generate::{embeddings, generate};
use super::route::{NoRoute, Route};
use super::shared::Shared;
use super::words::json_escaped;

/// Most bytes of a request. Prompts with pictures are large; nothing needs more than this.
const BODY_BYTES_MAX: usize = 64 << 20;

pub(super) const JSON: &str = "application/json";

/// Answers one request.
///
/// # Errors
/// When the fault drawn for it breaks the connection before any answer.
pub(super) async fn answer(
    shared: Arc<Shared>,
    link: Rc<Link>,
    request: Request<Incoming>,
) -> Result<Response<MockBody>, Broken> {
    let received = Received::new(&shared, &link, &request);
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let mut response = match Route::find(&head.method, path) {
        Err(problem) => no_route(problem, path, received.exchange),
        Ok(Route::Health) => health(&shared, received.exchange).await,
        Ok(Route::Models) => json(StatusCode::OK, models(&shared), received.exchange),
        Ok(Route::Stats) => {
            let stats = serde_json::to_string(&shared.counters.report());
            json(StatusCode::OK, stats.unwrap_or_default(), received.exchange)
        }
        Ok(Route::Faults) => faults(&shared, &head.method, body, received.exchange).await,
        Ok(Route::Echo) => echo(&head, body, received.exchange).await,
        Ok(Route::Embeddings) => embeddings(&shared, &head.headers, body, received).await?,
        Ok(Route::Generate(dialect)) => {
            generate(&shared, dialect, &head.headers, body, received).await?
        }
    };
    let headers = response.headers_mut();
    headers.insert("server", HeaderValue::from_static("cyan-mock-llm"));
    if let Ok(name) = HeaderValue::from_str(&shared.options.name) {
        headers.insert("x-mock-upstream", name);
    }
    Ok(response)
}

/// A request that has been counted.
pub(super) struct Received {
    pub(super) at: Instant,
    pub(super) exchange: Exchange,
    /// Whether its user asks for the first time.
    pub(super) is_cold: bool,
}

impl Received {
    fn new(shared: &Shared, link: &Rc<Link>, request: &Request<Incoming>) -> Self {
        let first_byte = link.take_first_byte();
        let path = request.uri().path();
        let mut sticky = shared.options.sticky_headers.iter();
        let user = sticky.find_map(|name| request.headers().get(name)?.to_str().ok());
        let is_cold = Route::counted_as(path)
            .is_some_and(|path| shared.counters.request(path, first_byte, user));
        let route = Route::find(request.method(), path);
        let is_work = matches!(route, Ok(Route::Generate(_) | Route::Embeddings));
        let counters = is_work.then(|| Arc::clone(&shared.counters));
        Self { at: Instant::now(), exchange: Exchange::begin(Rc::clone(link), counters), is_cold }
    }
}

async fn health(shared: &Shared, exchange: Exchange) -> Response<MockBody> {
    let mut faults = shared.faults.subscribe();
    // The sender lives in `shared`; waiting ends when the probe is given up or health is changed.
    let _ = faults.wait_for(|faults| faults.health != Health::Hang).await;
    if shared.faults().health == Health::Loading {
        let text = r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#;
        return json(StatusCode::SERVICE_UNAVAILABLE, text, exchange);
    }
    json(StatusCode::OK, r#"{"status":"ok"}"#, exchange)
}

fn models(shared: &Shared) -> String {
    let model = json_escaped(&shared.options.model);
    format!(
        r#"{{"object":"list","data":[{{"id":"{model}","object":"model","created":0,"owned_by":"mock-llm","root":"{model}","parent":null,"max_model_len":131072}}]}}"#
    )
}

/// Shows the faults in force, or replaces all of them by those in the body.
async fn faults(
    shared: &Shared,
    method: &Method,
    body: Incoming,
    exchange: Exchange,
) -> Response<MockBody> {
    if method == Method::POST {
        let body = match read(body, Dialect::Chat).await {
            Ok(body) => body,
            Err((status, text)) => return json(status, text, exchange),
        };
        let parsed = serde_json::from_slice(&body)
            .map_err(|e| e.to_string())
            .and_then(|value| Faults::from_json(value).map_err(|e| e.to_string()));
        match parsed {
            Ok(faults) => shared.set_faults(faults).await,
            Err(problem) => {
                let text = Dialect::Chat.error_body(422, "BadFaults", &problem, None);
                return json(StatusCode::UNPROCESSABLE_ENTITY, text, exchange);
            }
        }
    }
    let text = serde_json::to_string(&*shared.faults()).unwrap_or_default();
    json(StatusCode::OK, text, exchange)
}

/// What arrived: for tests of what a proxy does to a request.
async fn echo(
    head: &hyper::http::request::Parts,
    body: Incoming,
    exchange: Exchange,
) -> Response<MockBody> {
    let body = match read(body, Dialect::Chat).await {
        Ok(body) => body,
        Err((status, text)) => return json(status, text, exchange),
    };
    let pairs = head.headers.iter();
    let headers: Vec<_> = pairs
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let text = serde_json::json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "version": format!("{:?}", head.version),
        "headers": headers,
        "body_bytes": body.len(),
        "body_xxh3": format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&body)),
    });
    json(StatusCode::OK, text.to_string(), exchange)
}

/// The whole body, or the answer that refuses it.
pub(super) async fn read(body: Incoming, dialect: Dialect) -> Result<Bytes, (StatusCode, String)> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(problem) => {
            let text = dialect.error_body(413, "RequestTooLarge", &problem.to_string(), None);
            Err((StatusCode::PAYLOAD_TOO_LARGE, text))
        }
    }
}

fn no_route(problem: NoRoute, path: &str, exchange: Exchange) -> Response<MockBody> {
    let dialect = Route::dialect_of(path);
    match problem {
        NoRoute::NotFound => {
            let text = dialect.error_body(404, "NotFoundError", "Not Found", None);
            json(StatusCode::NOT_FOUND, text, exchange)
        }
        NoRoute::Method(methods) => {
            let text = dialect.error_body(405, "MethodNotAllowed", "Method Not Allowed", None);
            let mut response = json(StatusCode::METHOD_NOT_ALLOWED, text, exchange);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
            response
        }
    }
}

pub(super) fn json(
    status: StatusCode,
    body: impl Into<Bytes>,
    exchange: Exchange,
) -> Response<MockBody> {
    respond(status, JSON, MockBody::whole(body, exchange))
}

pub(super) fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: MockBody,
) -> Response<MockBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
