//! Which call goes where, and what every call goes through: an id, the guards, a limit on time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use tokio::time::timeout;

use super::access::Access;
use super::problem::{Problem, ProblemKind};
use super::state::{Admin, no_such_page};
use super::{
    cohorts, comparison, dashboard, drain, environments, evaluate, events, freeze, histogram,
    journal, metrics, probes, problem_page, reload, requests, rollout, rollout_start, rollouts,
    scores, services, smoke, stats, status, switch, weights,
};

/// Time a call may take that is not meant to take long. The controller answers after a second at most.
const CALL_LIMIT: Duration = Duration::from_secs(12);
/// Most characters of a request id that is taken over from a caller.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// All calls of the admin API.
pub(super) fn router(admin: Admin, access: Access) -> Router {
    let short = Router::new()
        .route("/v1/status", get(status::show))
        .route("/v1/services", get(services::list))
        .route("/v1/services/{service}", get(services::show))
        .route("/v1/services/{service}/weights", put(weights::set))
        .route("/v1/services/{service}/switch", post(switch::switch))
        .route("/v1/services/{service}/rollback", post(switch::roll_back))
        .route("/v1/services/{service}/rollout", get(rollout::show).post(rollout_start::start))
        .route("/v1/services/{service}/rollout/{action}", post(rollout::act))
        .route("/v1/services/{service}/rollouts", get(rollouts::list))
        .route("/v1/services/{service}/comparison", get(comparison::show))
        .route("/v1/services/{service}/freeze", put(freeze::set).delete(freeze::lift))
        .route(
            "/v1/services/{service}/environments/{environment}",
            get(environments::show).put(environments::put).delete(environments::remove),
        )
        .route("/v1/services/{service}/environments/{environment}/reset", post(environments::reset))
        .route("/v1/services/{service}/environments/{environment}/ready", get(environments::ready))
        .route("/v1/services/{service}/environments/{environment}/stats", get(stats::show))
        .route("/v1/services/{service}/environments/{environment}/histogram", get(histogram::show))
        .route("/v1/services/{service}/environments/{environment}/cohorts", get(cohorts::show))
        .route("/v1/scores", post(scores::take))
        .route("/v1/journal", get(journal::page))
        .route("/v1/reload", post(reload::reload))
        .route("/metrics", get(metrics::show))
        .layer(from_fn(limit));
    let long = Router::new()
        .route("/v1/events", get(events::follow))
        .route("/v1/requests", get(requests::watch))
        .route("/v1/services/{service}/rollouts/{rollout}/records", get(rollouts::records))
        .route("/v1/services/{service}/environments/{environment}/drain", post(drain::start))
        .route("/v1/services/{service}/environments/{environment}/evaluate", post(evaluate::run))
        .route("/v1/services/{service}/environments/{environment}/smoke", post(smoke::run));
    let access = Arc::new(access);
    let open = Router::new()
        .route("/", get(dashboard::page))
        .route("/dashboard/session", post(dashboard::enter))
        .route("/dashboard/{part}", get(dashboard::part))
        .layer(Extension(Arc::clone(&access)))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/problems/{kind}", get(problem_page::show));
    short
        .merge(long)
        .layer(from_fn_with_state(access, guard))
        .merge(open)
        .fallback(no_such_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(identify))
        .with_state(admin)
}

async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} is not for `{}`", request.method(), request.uri().path());
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}

/// Refuses who may not call, and leaves with the others who they are.
async fn guard(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    match access.permit(request.method(), request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
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
