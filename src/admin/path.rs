//! The services and environments that a call names in its path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::problem::{Problem, ProblemKind};
use crate::model::name::Name;

/// `/v1/services/{service}`
#[derive(Debug)]
pub(super) struct OfService(pub(super) Name);

/// The one word that a path names, whatever it is.
#[derive(Debug)]
pub(super) struct Word(pub(super) String);

/// `/v1/services/{service}/environments/{environment}`
#[derive(Debug)]
pub(super) struct OfEnvironment(pub(super) Name, pub(super) Name);

/// `/v1/services/{service}/rollout/{action}`
#[derive(Debug)]
pub(super) struct OfAction(pub(super) Name, pub(super) String);

/// `/v1/services/{service}/rollouts/{rollout}`
#[derive(Debug)]
pub(super) struct OfRollout(pub(super) Name, pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for OfRollout {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let OfAction(service, id) = OfAction::from_request_parts(parts, state).await?;
        let id = id.parse().map_err(|_| {
            let detail = format!("`{id}` is no number of a rollout; send one, as 3");
            Problem::new(ProblemKind::Invalid, detail)
        })?;
        Ok(Self(service, id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfAction {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((service, action)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|error| unreadable(&error))?;
        Ok(Self(name(&service)?, action))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Word {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(word) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| unreadable(&error))?;
        Ok(Self(word))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfService {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Word(service) = Word::from_request_parts(parts, state).await?;
        Ok(Self(name(&service)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfEnvironment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((service, environment)) =
            Path::<(String, String)>::from_request_parts(parts, state)
                .await
                .map_err(|error| unreadable(&error))?;
        Ok(Self(name(&service)?, name(&environment)?))
    }
}

/// What is no name cannot be the name of anything; a name to be given breaks the rule for names.
fn name(text: &str) -> Result<Name, Problem> {
    Name::new(text).map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()))
}

fn unreadable(error: &axum::extract::rejection::PathRejection) -> Problem {
    Problem::new(ProblemKind::BadRequest, format!("the path cannot be read: {error}"))
}
