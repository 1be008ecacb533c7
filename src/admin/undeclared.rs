//! A query, or a precondition, that a call does not take is refused: passed over in silence,
//! `?dry_run=true` would change what it should only look at, and `If-Match` what somebody else has changed.
//!
//! Holds for the calls below `/v1`. What checks and scrapers ask for may carry what they like.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::operation::{Header, Operation};
use super::problem::{Problem, ProblemKind};

/// What a call takes, or passes over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    query: bool,
    if_match: bool,
}

impl Takes {
    /// What this operation declares; `None` for one outside of `/v1`.
    pub(super) fn of(operation: &Operation) -> Option<Self> {
        operation.path.starts_with("/v1/").then(|| Self {
            query: operation.query.is_some(),
            if_match: operation.headers.contains(&Header::IfMatch) || operation.is_unconditional,
        })
    }

    /// Whether this call is to be refused.
    fn check(self, request: &Request) -> Result<(), Problem> {
        if let (false, Some(query)) = (self.query, request.uri().query().filter(|q| !q.is_empty()))
        {
            let name = query.split(['&', '=']).next().unwrap_or_default();
            let detail = format!("unknown parameter `{name}`; this call takes none");
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        // RFC 9110, section 13.1.1: what cannot be compared must not be taken for equal.
        if !self.if_match && request.headers().contains_key(header::IF_MATCH) {
            let detail =
                "If-Match is not for this call, which asks for no generation; leave it out";
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        }
        Ok(())
    }
}

/// Refuses what a call does not take.
pub(super) async fn refuse(State(takes): State<Takes>, request: Request, next: Next) -> Response {
    match takes.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::admin::operations;

    /// Some SDKs send the entity tag that they know with every change: their rollback was refused.
    #[test]
    fn a_precondition_is_refused_where_nobody_compares_but_not_on_the_way_back() {
        let operations = operations::all();
        for (id, is_taken) in [
            ("setWeights", true),
            ("rollBack", true),
            ("drain", true),
            ("getService", false),
            ("smoke", false),
        ] {
            let operation = operations.iter().find(|operation| operation.id == id).unwrap();
            let takes = Takes::of(operation).unwrap();
            let call = Request::builder().header(header::IF_MATCH, "\"17\"");
            assert_eq!(takes.check(&call.body(Body::empty()).unwrap()).is_ok(), is_taken, "{id}");
        }
    }
}
