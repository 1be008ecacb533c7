//! What the page shows, in one answer: what the API says of the service, and what is drawn beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::super::api::{Service, standing::State};
use super::super::explain::evidence::{Said, said};
use super::super::state::Admin;
use super::super::status;
use super::figures::Figure;
use super::rows::{Row, rows};
use crate::control_plane::clock::unix_ms;
use crate::control_plane::command::ServiceView;
use crate::control_plane::windows::Window;
use crate::judge::record::Both;
use crate::metrics::measure::Measure;
use crate::model::name::Name;
use crate::model::verdict::Verdict;

/// The document. Times are in milliseconds of Unix time.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Document {
    /// When it was made.
    at: u64,
    /// When the process started.
    started: u64,
    /// The version of the program, and that of the page it has.
    version: &'static str,
    page: &'static str,
    cores: usize,
    warnings: Vec<String>,
    services: Vec<Chip>,
    service: Option<Service>,
    /// The two environments of `rows`.
    compared: Option<Both<Name>>,
    rows: Vec<Row>,
    sides: BTreeMap<Name, Side>,
    /// Whether a switch would be safe, in a sentence.
    comparison: Option<String>,
    evidence: Option<f64>,
    /// What that says, in words.
    said: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Vec<Figure>>,
}

/// One service among all.
#[derive(Debug, Clone, Serialize)]
struct Chip {
    name: Name,
    state: State,
    glyph: &'static str,
    word: &'static str,
}

/// What one environment did in the last five minutes.
#[derive(Debug, Clone, Default, Serialize)]
struct Side {
    requests: u64,
    requests_per_s: Option<f64>,
    tokens_per_s: Option<f64>,
    /// Requests by what was wrong with them.
    not_complete: BTreeMap<&'static str, u64>,
}

impl Document {
    /// The service that it is of.
    pub(super) fn name(&self) -> Option<&Name> {
        self.service.as_ref().map(|service| &service.name)
    }
}

/// The document of this service, or of the first one. `figures` are given because they are costly.
pub(super) fn document(
    admin: &Admin,
    name: Option<&Name>,
    figures: impl FnOnce(&ServiceView) -> Option<Vec<Figure>>,
) -> Document {
    let views = admin.controller.view();
    let view = views.iter().find(|view| Some(&view.name) == name).or(views.first());
    let mut service = view.map(|view| admin.described(view));
    let compared = service.as_ref().and_then(compared);
    let judged = service.as_ref().and_then(judged).cloned();
    let evidence =
        judged.as_ref().and_then(|details| details.get("explanation")?.get("evidence")?.as_f64());
    let rows = view.zip(compared.as_ref()).map(|(view, names)| {
        rows(
            admin,
            &view.name,
            Both { active: &names.active, candidate: &names.candidate },
            judged.as_ref(),
        )
    });
    if let Some(rollout) = service.as_mut().and_then(|service| service.rollout.as_mut()) {
        // What they say stands in the rows and in sentences already.
        rollout.judge.iter_mut().for_each(|judge| judge.details = Value::Null);
        rollout.cause.iter_mut().for_each(|cause| cause.details = Value::Null);
    }
    let chip = |view: &ServiceView| {
        let (name, state) = (view.name.clone(), admin.described(view).state);
        Chip { name, state, glyph: state.glyph(), word: state.word() }
    };
    Document {
        at: unix_ms(),
        started: unix_ms().saturating_sub(milliseconds(admin.started.elapsed())),
        version: env!("CARGO_PKG_VERSION"),
        page: &super::DIGEST,
        cores: admin.controller.totals().cores.len(),
        warnings: status::warnings(admin, &admin.controller.totals()),
        services: views.iter().map(chip).collect(),
        comparison: view.and_then(|view| comparison(admin, &view.name)),
        sides: view.map(|view| sides(admin, view)).unwrap_or_default(),
        said: service
            .as_ref()
            .and_then(|service| Some(said(service.rollout.as_deref()?, evidence))),
        evidence: evidence.map(two_digits),
        figures: view.and_then(figures),
        rows: rows.unwrap_or_default(),
        compared,
        service,
    }
}

/// The judge's numbers: those of now, or those that decided the way back.
fn judged(service: &Service) -> Option<&Value> {
    let rollout = service.rollout.as_deref()?;
    let now = rollout.judge.as_ref().map(|judge| &judge.details);
    now.or_else(|| rollout.cause.as_ref().map(|cause| &cause.details))
        .filter(|details| !details.is_null())
}

/// The two that a comparison is of: those of the last rollout, else the active one and another.
fn compared(service: &Service) -> Option<Both<Name>> {
    let exists = |name: &Name| service.environments.iter().any(|e| e.name == *name);
    let last = service.rollout.as_deref();
    let last = last.filter(|last| exists(&last.candidate) && exists(&last.base));
    if let Some(last) = last {
        return Some(Both { active: last.base.clone(), candidate: last.candidate.clone() });
    }
    let other = service.environments.iter().find(|e| e.name != service.active)?;
    Some(Both { active: service.active.clone(), candidate: other.name.clone() })
}

fn comparison(admin: &Admin, service: &Name) -> Option<String> {
    Some(admin.controller.compare(service, None, None).ok()?.explained.to_string())
}

fn sides(admin: &Admin, view: &ServiceView) -> BTreeMap<Name, Side> {
    let side = |name: &Name| {
        let measured = admin.measured(&view.name, name, Window::Minutes5).unwrap_or_default();
        let tallies = &measured.counts.tallies;
        let seconds = measured.covers.as_secs_f64();
        let per_s = |count: u64| (seconds > 0.0).then(|| rounded(count, seconds));
        let tokens = measured.counts.distributions.of(Measure::OutputTokens);
        let bad = Verdict::ALL.into_iter().zip(tallies.verdicts);
        let bad = bad.filter(|(verdict, n)| *n > 0 && *verdict != Verdict::Complete);
        Side {
            requests: tallies.judged(),
            requests_per_s: per_s(tallies.judged()),
            tokens_per_s: tokens.and_then(|tokens| per_s(tokens.sum())),
            not_complete: bad.map(|(verdict, n)| (verdict.label(), n)).collect(),
        }
    };
    let names = view.environments.iter().map(|environment| &environment.name);
    names.map(|name| (name.clone(), side(name))).collect()
}

/// Without the digits that nobody can see in a drawing: they change with every request.
fn two_digits(evidence: f64) -> f64 {
    (evidence * 100.0).round() / 100.0
}

/// A rate to a tenth.
#[expect(clippy::cast_precision_loss, reason = "a rate needs four digits")]
fn rounded(count: u64, seconds: f64) -> f64 {
    (count as f64 / seconds * 10.0).round() / 10.0
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
