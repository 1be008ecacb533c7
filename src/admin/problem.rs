//! Every error of the admin API: RFC 9457, `application/problem+json`.
//!
//! `detail` is the sentence the command line prints, `type` a page of this listener that explains the
//! kind. What a refusal means in HTTP is decided here and nowhere else.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::Service;
pub use super::problem_kind::ProblemKind;
use crate::control_plane::command::Refused;
use crate::model::assignment::AssignmentError;
use crate::rollout::start::StartRefused;

/// An error as clients get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A path on the admin listener that explains this kind of error.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The kind in words; the same for every error of a kind.
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time, with the value, the rule and the remedy.
    pub detail: Box<str>,
    /// The request's id, as in the answer's `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Box<str>>,
    /// The fields at fault, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Box<str>>,
    /// The service as it is, where the caller had an older generation in mind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Box<Service>>,
    /// When trying again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u16>,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// A JSON pointer into the request body, as a URI fragment: `#/weights`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/problems/{}", kind.slug()).into(),
            title: kind.title().into(),
            status: kind.status(),
            detail: detail.into().into(),
            instance: None,
            errors: Vec::new(),
            hint: None,
            current: None,
            retry_after_s: None,
        }
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into());
        self
    }

    /// The same, pointing at a field of the body.
    #[must_use]
    pub fn at(mut self, field: &str) -> Self {
        let error = FieldError { pointer: format!("#/{field}"), detail: self.detail.to_string() };
        self.errors.push(error);
        self
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::UnknownService { .. } => Self::new(ProblemKind::NotFound, detail),
            Refused::Assignment(error) => assignment(&error, detail),
            Refused::Generation { .. } => Self::new(ProblemKind::GenerationMismatch, detail),
            Refused::Invalid { field, .. } => Self::new(ProblemKind::Invalid, detail).at(field),
            Refused::Start(refused) => match *refused {
                StartRefused::Assignment(error) => assignment(&error, detail),
                StartRefused::KeyReused(_) => Self::new(ProblemKind::KeyReused, detail),
                StartRefused::Plan(_) => Self::new(ProblemKind::Invalid, detail).at("steps"),
                StartRefused::Settings(_) => Self::new(ProblemKind::Invalid, detail).at("plan"),
                _ => Self::new(ProblemKind::Conflict, detail),
            },
            Refused::State { .. } | Refused::NotNow(_) => Self::new(ProblemKind::Conflict, detail),
            Refused::Store(_) => Self::new(ProblemKind::StoreUnavailable, detail)
                .hint("free or unlock the disk of state_dir, then repeat; see `cyan status`"),
            Refused::ShuttingDown => {
                Self { retry_after_s: Some(1), ..Self::new(ProblemKind::ShuttingDown, detail) }
            }
        }
    }
}

fn assignment(error: &AssignmentError, detail: String) -> Problem {
    match error {
        AssignmentError::Unknown { .. } => Problem::new(ProblemKind::NotFound, detail),
        AssignmentError::Sum { .. } | AssignmentError::Twice(_) => {
            Problem::new(ProblemKind::Invalid, detail).at("weights")
        }
        AssignmentError::Exists(_)
        | AssignmentError::HasTraffic { .. }
        | AssignmentError::IsActive(_)
        | AssignmentError::InUse { .. }
        | AssignmentError::NothingToRollBack(_) => Problem::new(ProblemKind::Conflict, detail),
    }
}

/// The problem travels beside an empty body, because the request's id is known further out.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Problem {
    /// The answer as it goes out.
    pub(super) fn render(self) -> Response {
        let status = self.code();
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: ProblemKind) -> bool {
        self.kind.strip_prefix("/problems/") == Some(kind.slug())
    }

    fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).expect("every kind has a status of its own above")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Name;

    #[test]
    fn each_refusal_has_its_status() {
        let name = || Name::new("green").unwrap();
        for (refused, status) in [
            (Refused::UnknownService { name: name(), known: "chat".into() }, 404),
            (AssignmentError::Unknown { name: name(), known: "blue".into() }.into(), 404),
            (AssignmentError::Sum { sum: "110".into(), kept: "none".into() }.into(), 422),
            (AssignmentError::Twice(name()).into(), 422),
            (AssignmentError::IsActive(name()).into(), 409),
            (AssignmentError::NothingToRollBack(name()).into(), 409),
            (Refused::Generation { asked: 1, current: 2 }, 409),
            (Refused::Invalid { field: "upstreams", problem: "none".into() }, 422),
            (Refused::State { problem: "it drains".into(), remedy: "wait".into() }, 409),
            (Refused::Store("disk full".into()), 503),
            (Refused::ShuttingDown, 503),
        ] {
            let detail = refused.to_string();
            let problem = Problem::from(refused);
            assert_eq!((problem.status, &*problem.detail), (status, &*detail));
        }
    }

    #[test]
    fn a_problem_has_the_form_of_rfc_9457() {
        let refused = AssignmentError::Sum { sum: "110".into(), kept: "none".into() };
        let json = serde_json::to_value(Problem::from(Refused::from(refused))).unwrap();
        let detail =
            "weights sum to 110 %, expected 100 %; environments left out keep theirs: none";
        let expected = serde_json::json!({
            "type": "/problems/invalid", "title": "The values break a rule", "status": 422,
            "detail": detail, "errors": [{"pointer": "#/weights", "detail": detail}],
        });
        assert_eq!(json, expected);
    }
}
