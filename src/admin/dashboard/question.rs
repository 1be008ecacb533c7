//! What the page asks before it does something: the sentences and the call, from the state as it is now.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::super::explain::questions::{Question, question};
use super::super::problem::{Problem, ProblemKind};
use super::super::state::Admin;
use crate::model::name::Name;

/// About what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct About {
    service: Name,
    action: String,
    environment: Option<Name>,
}

/// The question.
pub(in crate::admin) async fn ask(
    State(admin): State<Admin>,
    Query(about): Query<About>,
) -> Result<Json<Question>, Problem> {
    let service = admin.service(&about.service)?;
    let asked = question(&service, &about.action, about.environment.as_ref());
    asked.map(Json).ok_or_else(|| {
        let detail = format!("there is nothing to ask before `{}` now", about.action);
        Problem::new(ProblemKind::NotFound, detail).hint("look at the state")
    })
}
