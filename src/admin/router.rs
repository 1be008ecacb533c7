//! Which call goes where, and what every call goes through: an id, the guards, a limit on time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::time::timeout;

use super::access::Access;
use super::dashboard::EvidenceLog;
use super::operation::{Header, Operation};
use super::permitted::Permit;
use super::problem::{Problem, ProblemKind};
use super::state::{Admin, no_such_page};
use super::undeclared::{self, Takes};
use super::{dashboard, idempotency, operations};

/// Time a call may take that is not meant to take long. The controller answers after a second at most.
const CALL_LIMIT: Duration = Duration::from_secs(12);
/// Most characters of a request id that is taken over from a caller.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// All calls of the admin API, and the dashboard that makes them.
pub(super) fn router(admin: Admin, access: Access, evidence: Arc<EvidenceLog>) -> Router {
    let access = Arc::new(access);
    let (open, guarded): (Vec<_>, Vec<_>) =
        operations::all().into_iter().partition(|operation| operation.is_open);
    let page = Router::new()
        .route("/", get(dashboard::page))
        .route("/dashboard/session", post(dashboard::enter))
        .route("/dashboard/{part}", get(dashboard::part))
        .layer(Extension(Arc::clone(&access)));
    let news = Router::new()
        .route("/dashboard/now", get(dashboard::now).layer(from_fn(limit)))
        .route("/dashboard/question", get(dashboard::ask).layer(from_fn(limit)))
        .route("/dashboard/live", get(dashboard::follow))
        .layer(Extension(evidence));
    routed(guarded, &admin)
        .merge(news)
        .layer(from_fn_with_state(access, guard))
        .merge(routed(open, &admin))
        .merge(page)
        .fallback(no_such_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(identify))
        .with_state(admin)
}

/// Each operation at its path: with what it takes and nothing else, none but the long ones without a limit
/// on its time, and those once that are not to be done twice.
fn routed(operations: Vec<Operation>, admin: &Admin) -> Router<Admin> {
    operations.into_iter().fold(Router::new(), |router, operation| {
        let takes = Takes::of(&operation);
        let Operation { path, mut handler, is_long, headers, .. } = operation;
        if headers.contains(&Header::IdempotencyKey) {
            let once = from_fn_with_state(admin.answered.clone(), idempotency::once);
            handler = handler.route_layer(once);
        }
        if !is_long {
            handler = handler.route_layer(from_fn(limit));
        }
        if let Some(takes) = takes {
            handler = handler.route_layer(from_fn_with_state(takes, undeclared::refuse));
        }
        router.route(path, handler)
    })
}

async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} is not for `{}`", request.method(), request.uri().path());
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}

/// Refuses who may not call, and leaves with the others who they are.
async fn guard(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    match access.permit(request.method(), request.headers()) {
        Ok(caller) => {
            let (method, headers) = (request.method().clone(), request.headers().clone());
            request.extensions_mut().insert(caller);
            Permit::new(access, method, headers).hold(next.run(request).await)
        }
        Err(problem) => problem.into_response(),
    }
}

/// Ends a call that takes too long. A change that was asked for goes on.
async fn limit(request: Request, next: Next) -> Response {
    timeout(CALL_LIMIT, next.run(request)).await.unwrap_or_else(|_| {
        let detail = "no answer within 12 s; the change may still happen";
        Problem::new(ProblemKind::Timeout, detail).hint("look at the state").into_response()
    })
}

/// Gives the call an id, and an error its `instance`.
async fn identify(request: Request, next: Next) -> Response {
    let said = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let said = said.filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_CHARS_MAX);
    let id = said.map_or_else(|| format!("{:016x}", fastrand::u64(..)), str::to_owned);
    let mut response = next.run(request).await;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.instance = Some(id.as_str().into());
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.render();
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
