//! Drains under way: started, joined by further callers, called off, written down when finished.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{oneshot, watch};

use super::decided::entry;
use super::{Controller, Outcome, Waiting};
use crate::control_plane::command::{Applied, Command, DrainView, Refused, Request};
use crate::control_plane::drain_watch::{CALLED_OFF, DrainWatch};
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;

/// Longest deadline: a day. What runs longer than that is not being drained.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// All drains since the environments last had traffic.
#[derive(Debug, Default)]
pub(super) struct Drains {
    known: HashMap<EnvironmentId, Known>,
}

#[derive(Debug)]
struct Known {
    view: watch::Receiver<DrainView>,
    /// Calls it off when it is sent or dropped; `None` once it has finished.
    call_off: Option<oneshot::Sender<()>>,
}

/// A drain that has come to its end.
pub(super) struct Finished {
    request: Request,
    service: Name,
    environment: Name,
    id: EnvironmentId,
    view: DrainView,
}

impl Drains {
    /// What may be read of them.
    pub(super) fn views(&self) -> HashMap<EnvironmentId, watch::Receiver<DrainView>> {
        self.known.iter().map(|(id, known)| (*id, known.view.clone())).collect()
    }
}

impl Controller {
    /// Starts a drain, or joins one that is under way and ends no later. One that is asked to end sooner
    /// takes its place, and who waits for the first hears that it was called off. It is answered when it
    /// has finished.
    pub(super) fn start_drain(&mut self, asked: Waiting) {
        let drain = match self.check_drain(&asked.request.command) {
            Ok(drain) => drain,
            Err(refused) => return self.refuse(asked, refused),
        };
        let under_way = self.drains.known.get(&drain.environment.id);
        let ends_in_time = |known: &&Known| {
            let left = Duration::from_millis(known.view.borrow().left_ms);
            known.call_off.is_some() && left <= drain.deadline
        };
        if let Some(known) = under_way.filter(ends_in_time) {
            let view = known.view.clone();
            return self.answer_when_drained(asked, view, false);
        }
        let first = DrainWatch::first_view(drain.in_flight, drain.deadline);
        let (sender, view) = watch::channel(first);
        let (call_off, called_off) = oneshot::channel();
        let id = drain.environment.id;
        self.drains.known.insert(id, Known { view: view.clone(), call_off: Some(call_off) });
        self.publish_view();
        let watch = DrainWatch {
            service: drain.service.clone(),
            environment: drain.environment.clone(),
            deadline: drain.deadline,
            links: self.links.clone(),
            events: self.shared.events.clone(),
            predecessor: self.services.predecessor.clone(),
            view: sender,
            called_off,
        };
        drain.environment.in_flight.close(true);
        // Posted now, after the table without traffic: who acks this has that table.
        let quiesce = self.links.quiesce();
        let request = asked.request.clone();
        let (service, environment) = (drain.service, drain.environment.name().clone());
        self.work.spawn(async move {
            let view = watch.run(quiesce).await;
            Outcome::Drained(Box::new(Finished { request, service, environment, id, view }))
        });
        self.answer_when_drained(asked, view, true);
    }

    /// Writes a finished drain down.
    pub(super) fn drain_finished(&mut self, finished: Finished) {
        if let Some(known) = self.drains.known.get_mut(&finished.id)
            && known.view.borrow().state == finished.view.state
        {
            known.call_off = None;
        }
        let Finished { request, service, environment, view, .. } = finished;
        let text = match view.state {
            "drained" => format!("{environment} was drained"),
            "ended" => format!("{environment} reached its deadline: {} ended", view.ended),
            _ => format!("the drain of {environment} was called off"),
        };
        let details = json!({ "environment": environment, "drain": view });
        let mut entry = entry(&request, "drain_finished", Some(service.clone()), &text, &details);
        entry.generation = self.services.find(&service).map_or(0, |live| live.record.generation);
        self.disk.owe(vec![], vec![entry], None);
        self.flush();
    }

    /// Forgets the drains of environments that have traffic again or are gone.
    pub(super) fn call_off_drains(&mut self) {
        let services = &self.services;
        let before = self.drains.known.len();
        self.drains.known.retain(|id, _| {
            let tables = services.list.iter().map(|live| &live.table);
            let mut environments = tables.flat_map(|t| t.environments.iter().map(move |e| (t, e)));
            let found = environments.find(|(_, environment)| environment.id == *id);
            found.is_some_and(|(table, environment)| {
                let stays = table.weight(environment.name()).is_zero();
                environment.in_flight.close(stays);
                stays
            })
        });
        if self.drains.known.len() != before {
            self.publish_view();
        }
    }

    fn check_drain(&self, command: &Command) -> Result<ToDrain, Refused> {
        let Command::Drain { service, environment: name, deadline } = command else {
            unreachable!("only drains are brought here");
        };
        let live = self.services.expect(service, None)?;
        let Some(environment) = live.table.environment(name.as_str()) else {
            let members = live.record.assignment.members.iter();
            let known = members.map(|m| m.environment.as_str()).collect::<Vec<_>>().join(", ");
            let unknown =
                crate::model::assignment::AssignmentError::Unknown { name: name.clone(), known };
            return Err(unknown.into());
        };
        if *deadline > DEADLINE_MAX {
            let problem = format!("{deadline:?} is too long; a drain has at most 24 h");
            return Err(Refused::Invalid { field: "deadline", problem });
        }
        let weight = live.table.weight(name);
        if !weight.is_zero() {
            return Err(Refused::State {
                problem: format!("`{name}` has {weight} % of the traffic"),
                remedy: "switch to another environment or set it to 0 first".to_owned(),
            });
        }
        Ok(ToDrain {
            service: service.clone(),
            environment: environment.clone(),
            deadline: *deadline,
            in_flight: live.in_flight(name),
        })
    }

    /// Answers a caller when the drain has finished. A future of its own: drains take their time.
    fn answer_when_drained(
        &mut self,
        asked: Waiting,
        mut view: watch::Receiver<DrainView>,
        changed: bool,
    ) {
        let Command::Drain { service, environment, .. } = asked.request.command else { return };
        let generation = self.services.find(&service).map_or(0, |live| live.record.generation);
        let reply = asked.reply;
        tokio::spawn(async move {
            let finished = view.wait_for(|view| view.state != "draining").await;
            let finished = finished.map(|view| view.clone());
            let answer = match finished {
                Err(_) => Err(Refused::ShuttingDown),
                Ok(view) if view.state == CALLED_OFF => Err(Refused::State {
                    problem: format!("`{environment}` got traffic again while it drained"),
                    remedy: "set it to 0 and drain it anew if it shall still go".to_owned(),
                }),
                Ok(view) => Ok(drained(generation, changed, asked.since, &view)),
            };
            let _ = reply.send(answer);
        });
    }
}

/// An environment that may be drained.
struct ToDrain {
    service: Name,
    environment: std::sync::Arc<crate::model::environment::Environment>,
    deadline: Duration,
    in_flight: u32,
}

fn drained(generation: u64, changed: bool, since: Instant, view: &DrainView) -> Applied {
    let mut warnings = Vec::new();
    if view.ended > 0 {
        warnings.push(format!("the deadline ended {} that were still in flight", view.ended));
    }
    if view.in_flight > 0 {
        warnings.push(format!(
            "{} could not be ended; their core does not answer, or the process before has them",
            view.in_flight
        ));
    }
    Applied {
        generation,
        changed,
        lagging_cores: vec![],
        applied_us: u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX),
        durable: true,
        is_left_out: false,
        warnings,
    }
}
