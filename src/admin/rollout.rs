//! `/v1/services/{service}/rollout`: shows a release, and takes what people ask of it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use super::api::SCHEMA;
use super::api::rollout::{ActOnRollout, Cause, Judge, Muted, Paused, Rollback, Rollout};
use super::body::Body;
use super::caller::{Actor, IfMatch};
use super::params::Params;
use super::path::{OfAction, OfService};
use super::preview::DryRun;
use super::problem::{Problem, ProblemKind};
use super::state::{Admin, Change};
use crate::control_plane::command::{Command, ServiceView};
use crate::judge::decision::Decision;
use crate::model::rfc3339;
use crate::rollout::event::{Event, Judged, Operator};
use crate::rollout::progress::{Known, Progress};
use crate::rollout::rollback_time::RollbackTime;
use crate::rollout::value::{Holder, Mute};

/// The last rollout of the service.
pub(super) async fn show(
    State(admin): State<Admin>,
    OfService(service): OfService,
) -> Result<Json<Rollout>, Problem> {
    let view = admin.controller.service(service.as_str()).ok_or_else(|| admin.unknown(&service))?;
    admin.rollout(&view).map(Json).ok_or_else(|| {
        let detail = format!("`{service}` has had no rollout; start one with POST");
        Problem::new(ProblemKind::NotFound, detail)
    })
}

impl Admin {
    /// The last rollout of a service.
    pub(super) fn rollout(&self, view: &ServiceView) -> Option<Rollout> {
        let release = self.controller.release(view.name.as_str())?;
        let (rollout, frozen, now) = (release.release.rollout?, release.frozen, release.observed);
        let judged = self.controller.judged(view.name.as_str());
        let gate = self.controller.warm_up(view.name.as_str());
        let objection = self.controller.objection(&view.name, &rollout);
        let known = Known {
            judged: judged.as_ref(),
            gate: gate.as_deref(),
            objection: objection.as_deref(),
            frozen: frozen.as_deref(),
            left_on_base: view.assignment.share_beside(&rollout.base, &rollout.candidate),
        };
        let mut progress = Progress::of(&rollout, known, now);
        if let Some(problem) =
            self.controller.store_state().problem.as_ref().filter(|_| !rollout.stage.is_over())
        {
            progress.waits_for.push(format!("the disk, to take a step: {problem}"));
        }
        Some(Rollout {
            needs_somebody: rollout.needs_somebody(judged.as_ref(), now),
            muted: rollout.muted_for(now).map(muted),
            schema: SCHEMA,
            id: rollout.id,
            service: view.name.clone(),
            generation: view.generation,
            share_percent: view.assignment.share_beside(&rollout.candidate, &rollout.base),
            place: progress.place,
            next_percent: progress.next_percent,
            waits_for: progress.waits_for,
            stage: rollout.stage.code().to_owned(),
            in_stage_s: rollout.in_stage(now).as_secs(),
            observed_s: now.as_secs(),
            started_at: rfc3339::format(rollout.started_at),
            stands_since: (rollout.stands_since > 0).then(|| rfc3339::format(rollout.stands_since)),
            held_by: rollout.held.as_ref().map(|hold| holder(hold.by, judged.as_ref()).to_owned()),
            steps: rollout.plan.steps.iter().map(ToString::to_string).collect(),
            paused: rollout.paused.map(|pause| Paused { by: pause.by, reason: pause.reason }),
            held: rollout.held.map(|hold| hold.text),
            frozen,
            cause: rollout.stage.cause().cloned().map(|cause| Cause {
                code: cause.code,
                text: cause.text,
                details: cause.details,
            }),
            rollback: rollout.rollback_time.map(rollback),
            candidate: rollout.candidate,
            base: rollout.base,
            version: rollout.version,
            plan: rollout.plan_name,
            started_by: rollout.started_by,
            unarmed: rollout.unarmed,
            judge: judged.map(|judged| Judge {
                text: judged.text,
                requests: judged.requests,
                details: judged.details,
            }),
        })
    }
}

fn muted((mute, left): (&Mute, Duration)) -> Muted {
    let left_min = left.as_secs().div_ceil(60);
    Muted { by: mute.by.clone(), reason: mute.reason.clone(), left_min }
}

fn rollback(time: RollbackTime) -> Rollback {
    Rollback {
        text: time.to_string(),
        seconds: time.total().as_secs_f64(),
        apply_seconds: time.until_acked.as_secs_f64(),
        cores: time.cores,
    }
}

/// What holds it, as a code: the judge's reason where it is the judge.
fn holder(by: Holder, judged: Option<&Judged>) -> &'static str {
    match (by, judged.map(|judged| judged.decision)) {
        (Holder::Judge, Some(Decision::Hold(reason))) => reason.code(),
        (Holder::Judge, Some(Decision::StepBack(_))) => "shared_incident",
        _ => by.code(),
    }
}

/// What can be asked of a rollout.
pub(super) const ACTIONS: [&str; 6] = ["pause", "resume", "mute", "promote", "rollback", "release"];

/// Does one of `ACTIONS`.
pub(super) async fn act(
    State(admin): State<Admin>,
    OfAction(service, action): OfAction,
    Actor(actor): Actor,
    if_match: IfMatch,
    Params(query): Params<DryRun>,
    Body(body): Body<ActOnRollout>,
) -> Result<Response, Problem> {
    let seen = if_match.or_body(body.generation)?;
    let operator = operator(&action, &body)?;
    let command = Command::Rollout {
        service: service.clone(),
        event: Box::new(Event::Asked(operator)),
        rollout: body.rollout,
        if_generation: seen.generation,
    };
    let change = Change { actor, reason: body.reason, service: Some(service), seen, command };
    admin.submit_unless(query, change).await
}

fn operator(action: &str, body: &ActOnRollout) -> Result<Operator, Problem> {
    if body.instant && action != "rollback" {
        let detail = format!("`instant` is for rollback, not for {action}; leave it out");
        return Err(Problem::new(ProblemKind::Invalid, detail).at("instant"));
    }
    let only_promote = [("full", body.full), ("to_percent", body.to_percent.is_some())];
    if let Some((field, _)) = only_promote.iter().find(|(_, given)| *given && action != "promote") {
        let detail = format!("`{field}` is for promote, not for {action}; leave it out");
        return Err(Problem::new(ProblemKind::Invalid, detail).at(field));
    }
    if let (true, Some(to)) = (body.full, body.to_percent) {
        let detail = format!("`full` and `to_percent` {to} at once; send one of them");
        return Err(Problem::new(ProblemKind::Invalid, detail).at("to_percent"));
    }
    Ok(match action {
        "pause" => Operator::Pause { reason: body.reason.clone() },
        "resume" => Operator::Resume,
        "mute" => Operator::Mute { reason: body.reason.clone() },
        "promote" => match body.to_percent {
            Some(share) => Operator::PromoteTo { share },
            None => Operator::Promote { full: body.full },
        },
        "rollback" => Operator::RollBack { reason: body.reason.clone(), instant: body.instant },
        "release" => Operator::Release,
        other => {
            let detail = format!("no action `{other}`; there are: {}", ACTIONS.join(", "));
            return Err(Problem::new(ProblemKind::NotFound, detail));
        }
    })
}
