//! Answers without an end, of those who may see them: a token that a reload takes away ends them, too.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use http_body::{Body as _, Frame};

use super::access::Access;

/// By what a call was let in.
pub(super) struct Permit {
    access: Arc<Access>,
    method: Method,
    headers: HeaderMap,
}

impl Permit {
    /// These headers were found to be enough for this method.
    pub(super) fn new(access: Arc<Access>, method: Method, headers: HeaderMap) -> Self {
        Self { access, method, headers }
    }

    /// The answer, for as long as they still are: an answer that is over by itself stays as it is.
    pub(super) fn hold(self, response: Response) -> Response {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        response.map(|body| Body::new(Permitted { body, permit: self }))
    }
}

struct Permitted {
    body: Body,
    permit: Permit,
}

impl http_body::Body for Permitted {
    type Data = Bytes;
    type Error = axum::Error;

    /// Looked at with each piece: an open stream has one every 15 s at least.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Permit { access, method, headers } = &self.permit;
        if access.permit(method, headers).is_err() {
            let gone = axum::Error::new("the token opens nothing any more");
            return Poll::Ready(Some(Err(gone))); // a clean end would say that this was all
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }
}
