//! `POST /v1/services/{service}/rollout`: from what a caller writes to the wish to start.
//!
//! Values are checked here, with the field at fault; whether the state allows it is the controller's to say.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::api::rollout::StartRollout;
use super::body::Body;
use super::caller::{Actor, IfMatch};
use super::params::Params;
use super::path::OfService;
use super::preview::DryRun;
use super::problem::{FieldError, Problem, ProblemKind};
use super::state::{Admin, Change};
use crate::config::overrides::{OverrideError, laid_over};
use crate::control_plane::command::{Command, ServiceView};
use crate::model::name::Name;
use crate::model::plan::{self, Plan, Plans};
use crate::rollout::start::Start;
use crate::rollout::start_key::StartKey;

/// Starts a rollout.
pub(super) async fn start(
    State(admin): State<Admin>,
    OfService(service): OfService,
    Actor(actor): Actor,
    if_match: IfMatch,
    Params(query): Params<DryRun>,
    key: Option<Extension<StartKey>>,
    Body(body): Body<StartRollout>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(body.generation)?;
    let view = admin.controller.service(service.as_str()).ok_or_else(|| admin.unknown(&service))?;
    let snapshot = admin.controller.snapshot();
    let table = snapshot.table(service.as_str()).ok_or_else(|| admin.unknown(&service))?;
    let plans = &table.service.plans;
    let plan_name = body.plan.as_deref().unwrap_or(plan::DEFAULT).to_owned();
    let plan = plan(plans, &plan_name, &body)?;
    let candidate = match body.candidate {
        Some(candidate) => candidate,
        None => partner(&service, &view)?,
    };
    let version = view.environments.iter().find(|environment| environment.name == candidate);
    let version = version.and_then(|environment| environment.version.as_deref());
    let active = table.environment(view.assignment.active.as_str());
    let base = active.map(|active| admin.controller.base_measured(active, &plan));
    let start = Start {
        candidate,
        version: version.map(ToOwned::to_owned),
        plan,
        plan_name,
        gates: vec![],
        without_broken_limits: body.without_broken_limits,
        again: body.again,
        actor: actor.clone(),
        key: key.map(|Extension(key)| key),
    };
    let command = Command::StartRollout {
        service: service.clone(),
        start: Box::new(start),
        base: base.unwrap_or_default(),
        if_generation: seen.generation,
    };
    let change = Change { actor, reason: body.reason, service: Some(service), seen, command };
    admin.submit_unless(query, change).await
}

/// The plan of this name, with what the call says otherwise.
fn plan(plans: &Plans, name: &str, body: &StartRollout) -> Result<Plan, Problem> {
    let plan = plans.find(name).ok_or_else(|| {
        let known = plans.names().collect::<Vec<_>>().join(", ");
        let detail = format!("unknown plan `{name}`; configured: {known}");
        Problem::new(ProblemKind::Invalid, detail).at("plan")
    })?;
    let mut overrides = body.overrides.clone();
    if !body.steps.is_empty() {
        let twice = overrides.insert("steps".to_owned(), body.steps.clone().into());
        if twice.is_some() {
            let detail = "steps: stand beside `overrides` and in it; write them once";
            return Err(Problem::new(ProblemKind::Invalid, detail).at("steps"));
        }
    }
    laid_over(plan, plans, &overrides).map_err(|errors| refused(&errors))
}

/// Every field at fault; the first one in words.
fn refused(errors: &[OverrideError]) -> Problem {
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    let field = |error: &OverrideError| FieldError {
        pointer: format!("#/overrides/{}", error.field.replace('.', "/")),
        detail: error.to_string(),
    };
    let errors = errors.iter().map(field).collect();
    Problem { errors, ..Problem::new(ProblemKind::Invalid, first) }
}

fn partner(service: &Name, view: &ServiceView) -> Result<Name, Problem> {
    let partner = view.assignment.partner.as_ref().map(|partner| partner.environment.clone());
    partner.ok_or_else(|| {
        let detail = format!("`{service}` has no candidate; name the environment to release");
        Problem::new(ProblemKind::Invalid, detail).at("candidate")
    })
}
