//! The query of a call. What is no parameter of it is refused, like an unknown field of a body:
//! `?dry-run=true`, passed over in silence, would change what it should only look at.

use std::fmt::Display;
use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Problem, ProblemKind};

/// The query, or a problem that says what is wrong with it.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let Query(query) =
            query.map_err(|error| Problem::new(ProblemKind::Invalid, error.body_text()))?;
        Ok(Self(query))
    }
}

/// A number of the query within its range, where one is given.
pub(super) fn within<N: PartialOrd + Display>(
    name: &str,
    asked: Option<N>,
    range: &RangeInclusive<N>,
) -> Result<Option<N>, Problem> {
    match asked {
        Some(number) if !range.contains(&number) => {
            let (least, most) = (range.start(), range.end());
            let detail = format!("{name}: {number} is out of range; ask for {least} to {most}");
            Err(Problem::new(ProblemKind::Invalid, detail))
        }
        asked => Ok(asked),
    }
}
