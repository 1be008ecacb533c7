//! Who asks, and which state they had in mind.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::api::ACTOR_HEADER;
use super::problem::{Problem, ProblemKind};
use crate::model::one_line::fitted;
use crate::model::role::Role;

/// Most characters of a name in the journal.
const ACTOR_CHARS_MAX: usize = 80;

/// Who calls, as far as a token tells. The guard leaves it with every call that it lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// What it may do.
    pub(super) role: Role,
    /// The name of its token, if that has one.
    pub(super) token: Option<Arc<str>>,
}

impl Caller {
    /// As the subject of a sentence.
    pub(super) fn described(&self) -> String {
        self.token
            .as_ref()
            .map_or_else(|| "the caller".to_owned(), |name| format!("the token `{name}`"))
    }
}

/// On whose behalf the call is made. What a caller says of itself is believed; the name of its token,
/// which it cannot choose, stands beside it. `api` when neither is known.
#[derive(Debug)]
pub(super) struct Actor(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let said = parts.headers.get(ACTOR_HEADER).and_then(|value| value.to_str().ok());
        let said = said.map(|text| fitted(text, ACTOR_CHARS_MAX));
        let said = said.filter(|text| !text.is_empty());
        let token = parts.extensions.get::<Caller>().and_then(|caller| caller.token.as_deref());
        Ok(Self(match (said, token) {
            (Some(said), Some(token)) => format!("{said} (token {token})"),
            (Some(said), None) => said,
            (None, Some(token)) => format!("token {token}"),
            (None, None) => "api".to_owned(),
        }))
    }
}

/// `If-Match`: the generation that the caller saw as entity tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct IfMatch(Option<u64>);

/// The generation that the caller had in mind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Which one; `None` for any.
    pub(super) generation: Option<u64>,
    /// It stood in `If-Match`, so a mismatch is 412 (RFC 9110, section 13.1.1) instead of 409.
    pub(super) by_header: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        if value.as_bytes() == b"*" {
            return Ok(Self(None)); // any state will do
        }
        let text = value.to_str().unwrap_or_default();
        let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let generation = tag.and_then(|tag| tag.parse().ok()).ok_or_else(|| {
            let detail =
                format!("If-Match: `{text}` is no entity tag of a service; send \"GENERATION\"");
            Problem::new(ProblemKind::BadRequest, detail)
        })?;
        Ok(Self(Some(generation)))
    }
}

impl IfMatch {
    /// What header and body agree on.
    pub(super) fn or_body(self, body: Option<u64>) -> Result<Seen, Problem> {
        match (self.0, body) {
            (Some(header), Some(body)) if header != body => {
                let detail =
                    format!("If-Match says generation {header}, the body {body}; send one of them");
                Err(Problem::new(ProblemKind::BadRequest, detail))
            }
            (header, body) => Ok(Seen { generation: header.or(body), by_header: header.is_some() }),
        }
    }
}
