//! What a rollout's events make of a service: the rollout, its traffic and its words in one change, so
//! that the disk and the cores get all of it or nothing.

use std::time::Instant;

use serde_json::{Value, json};

use super::traffic::Happening;
use super::{Next, Planned, Random, Said, traffic};
use crate::control_plane::change::exposure::Exposure;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::command::Refused;
use crate::control_plane::record::ServiceRecord;
use crate::control_plane::services::Live;
use crate::model::name::Name;
use crate::model::rfc3339;
use crate::model::weight::Weight;
use crate::rollout::event::{Advance, Effect, Event, Operator, Scene};
use crate::rollout::notice::Occasion;
use crate::rollout::release::Freeze;
use crate::rollout::stage::{Gate, Stage};
use crate::rollout::start::{self, BaseMeasured, Situation, Start, StartRefused};
use crate::rollout::value::Rollout;

/// The actor of what nobody asked for.
pub(in crate::control_plane) const CONTROLLER: &str = "controller";

pub(super) fn start(
    live: &Live,
    wish: &Start,
    base: BaseMeasured,
    random: Random<'_>,
) -> Result<Planned, Refused> {
    let before = &live.record;
    let candidate = live.table.environment(wish.candidate.as_str());
    if candidate.is_some_and(|candidate| candidate.upstreams.is_empty()) {
        return Err(Refused::State {
            problem: format!("`{}` has no upstreams", wish.candidate),
            remedy: "give it some before it is released: cyan environment put".to_owned(),
        });
    }
    let active = &before.assignment.active;
    if before.assignment.weight(active).is_zero() {
        return Err(Refused::State {
            problem: format!(
                "`{active}` is active with 0 % of the traffic: nothing is to be shared"
            ),
            remedy: "give it some first: cyan weights".to_owned(),
        });
    }
    let situation = Situation {
        assignment: &before.assignment,
        last: before.release.rollout.as_deref(),
        attempts: &before.release.attempts,
        base,
        unix_ms: unix_ms(),
    };
    let wish = Start { gates: gates(live), ..wish.clone() };
    let started = start::start(wish, &situation, random)
        .map_err(|refused| Refused::Start(Box::new(refused)))?;
    let rollout = started.rollout;
    let text = format!(
        "rollout {} of {} by plan {}: {}",
        rollout.id,
        rollout.candidate,
        rollout.plan_name,
        rollout.plan.steps.iter().map(|s| format!("{} %", s.share)).collect::<Vec<_>>().join(", ")
    );
    let details =
        json!({ "rollout": rollout.id, "candidate": rollout.candidate, "base": rollout.base });
    let mut record = before.clone();
    record.assignment = started.assignment;
    record.release.rollout = Some(Box::new(rollout));
    let said = Said { kind: "rollout_started", text, details };
    let effects = vec![Effect::Tell(Occasion::Started)];
    let mut planned = Next::of(live, record)?.planned(live, said);
    if let Planned::Change(change) = &mut planned {
        change.effects = effects;
        change.warnings.extend(started.warnings);
    }
    Ok(planned)
}

/// What a start comes to that has been made: its answer was lost, or Cyan was killed.
pub(super) fn started_before(live: &Live, wish: &Start) -> Option<Result<Planned, Refused>> {
    let last = live.record.release.rollout.as_deref()?;
    let (known, asked) = last.start_key.as_ref().zip(wish.key.as_ref())?;
    if known.key != asked.key {
        return None;
    }
    if known.digest != asked.digest {
        return Some(Err(Refused::Start(Box::new(StartRefused::KeyReused(last.id)))));
    }
    let warning =
        format!("rollout {} was started by this very call; it is not done again", last.id);
    let generation = live.record.generation;
    Some(Ok(Planned::Nothing { generation, warnings: vec![warning] }))
}

/// What the file has a candidate pass.
fn gates(live: &Live) -> Vec<Gate> {
    let smoke = (!live.file.smoke.is_empty()).then_some(Gate::Smoke);
    let quality = live.file.quality.as_ref().map(|_| Gate::Quality);
    let warm_up = live.file.warm_up.as_ref().map(|_| Gate::WarmUp);
    smoke.into_iter().chain(quality).chain(warm_up).collect()
}

/// Refuses what is meant for another rollout than the last one.
pub(super) fn expect(live: &Live, rollout: Option<u64>) -> Result<(), Refused> {
    match (rollout, live.record.release.rollout.as_deref().map(|last| last.id)) {
        (None, Some(_)) => Ok(()),
        (Some(asked), Some(last)) if asked == last => Ok(()),
        (_, last) => Err(rollout_refusal(&live.file.name, rollout, last)),
    }
}

/// Why nothing can be asked of a rollout: it is another one than the last, or there is none.
fn rollout_refusal(service: &Name, asked: Option<u64>, last: Option<u64>) -> Refused {
    match (asked, last) {
        (Some(asked), Some(last)) => Refused::State {
            problem: format!("rollout {asked} is not the last one, which is {last}"),
            remedy: "look at the state again".to_owned(),
        },
        _ => Refused::State {
            problem: format!("`{service}` has no rollout"),
            remedy: "start one: cyan rollout start ENVIRONMENT".to_owned(),
        },
    }
}

/// What is true for the rollout of a service now.
pub(in crate::control_plane) fn scene(live: &Live, actor: &str) -> Scene {
    Scene {
        service: live.file.name.clone(),
        now: live.observed(Instant::now()),
        share: share(live),
        frozen: live.record.release.frozen(unix_ms()),
        actor: actor.to_owned(),
    }
}

/// The share of the last rollout's candidate, as published.
pub(in crate::control_plane) fn share(live: &Live) -> Weight {
    let last = live.record.release.rollout.as_deref();
    last.map_or(Weight::ZERO, |last| traffic::share(&live.record.assignment, last))
}

/// What this event makes of the service.
pub(super) fn advance(
    live: &Live,
    event: &Event,
    actor: &str,
    random: Random<'_>,
) -> Result<Planned, Refused> {
    let generation = live.record.generation;
    let nothing = || Planned::Nothing { generation, warnings: vec![] };
    let Some(rollout) = live.record.release.rollout.as_deref() else { return Ok(nothing()) };
    let scene = scene(live, actor);
    let Some(advance) = rollout.advance(event, &scene)? else { return Ok(nothing()) };
    let before = &live.record.assignment;
    let happening = Happening { event, service: &live.file.name };
    traffic::may_be_asked(happening, before, rollout)?;
    let assignment = traffic::with_traffic(before, &advance, happening, random)?;
    let mut record = live.record.clone();
    record.assignment = assignment;
    note_attempt(&mut record, rollout, &advance);
    let next = Rollout { observed: scene.now, ..advance.next }.stamped(rollout, unix_ms());
    let protects = next.stage.goes_back();
    record.release.rollout = Some(Box::new(next));
    let Advance { effects, said, .. } = advance;
    let said = Said { kind: said.kind, text: said.text, details: said.details };
    // A rollout that begins its work again changes nothing but has effects all the same.
    let mut planned = Next::of(live, record)?.planned(live, said);
    if let Planned::Change(change) = &mut planned {
        change.effects = effects;
        if protects {
            change.exposure = Exposure::Protects;
        }
    }
    Ok(planned)
}

/// Once a rollout went back, its version has had an attempt.
fn note_attempt(record: &mut ServiceRecord, before: &Rollout, advance: &Advance) {
    if let (Stage::RolledBack { .. }, Some(version)) = (&advance.next.stage, &before.version) {
        record.release.attempts.rolled_back(version, unix_ms());
    }
}

/// A change of weights by hand pauses the rollout under way, in the same moment.
pub(super) fn paused_by_hand(live: &Live, planned: Planned) -> Planned {
    let Planned::Change(mut change) = planned else { return planned };
    let Some(rollout) = live.record.release.running() else { return Planned::Change(change) };
    if let Ok(Some(advance)) = rollout.advance(&Event::WeightsByHand, &scene(live, CONTROLLER))
        && let Some(next) = change.next.first_mut()
    {
        next.record.release.rollout = Some(Box::new(advance.next.stamped(rollout, unix_ms())));
        change.text = format!("{}; the rollout is paused", change.text);
        change
            .warnings
            .push("this pauses the rollout under way; go on: cyan rollout resume".to_owned());
    }
    Planned::Change(change)
}

/// A switch to the candidate of a rollout under way is its promotion; after that, one back to its base is
/// its rollback.
pub(super) fn asked_by_switch(
    live: &Live,
    to: Option<&Name>,
    reason: Option<&str>,
) -> Option<Event> {
    let rollout = live.record.release.running()?;
    if rollout.stage == Stage::Switched {
        let partner = live.record.assignment.partner.as_ref().map(|partner| &partner.environment);
        let is_base = to.or(partner) == Some(&rollout.base);
        let reason = reason.map(ToOwned::to_owned);
        return is_base.then_some(Event::Asked(Operator::RollBack { reason, instant: true }));
    }
    let is_ramp = !matches!(rollout.stage, Stage::RollingBack { .. });
    let is_candidate = to.is_none_or(|to| *to == rollout.candidate);
    (is_ramp && is_candidate).then_some(Event::Asked(Operator::Promote { full: true }))
}

/// A rollback while a rollout is under way is the rollout's.
pub(super) fn asked_by_roll_back(
    live: &Live,
    reason: Option<&str>,
    instant: bool,
) -> Option<Event> {
    live.record.release.running()?;
    Some(Event::Asked(Operator::RollBack { reason: reason.map(ToOwned::to_owned), instant }))
}

pub(super) fn freeze(live: &Live, freeze: Option<&Freeze>) -> Result<Planned, Refused> {
    if let Some(until_ms) = freeze.and_then(|freeze| freeze.until_ms) {
        is_to_come(until_ms, unix_ms())?;
    }
    let mut record = live.record.clone();
    record.release.freeze = freeze.cloned();
    let text = match freeze {
        Some(freeze) => format!("no automatic step any more: {}", freeze.reason),
        None => "automatic steps may be taken again".to_owned(),
    };
    let kind = if freeze.is_some() { "frozen" } else { "unfrozen" };
    let details = freeze.map_or(Value::Null, |freeze| json!({ "until_ms": freeze.until_ms }));
    Ok(Next::of(live, record)?.planned(live, Said { kind, text, details }))
}

/// A freeze that is over already would freeze nothing, and seem to.
fn is_to_come(until_ms: u64, now_ms: u64) -> Result<(), Refused> {
    if until_ms > now_ms {
        return Ok(());
    }
    let (until, now) = (rfc3339::format(until_ms), rfc3339::format(now_ms));
    let problem = format!("{until} is over, it is {now}; write a later time, or leave it out");
    Err(Refused::Invalid { field: "until", problem })
}
