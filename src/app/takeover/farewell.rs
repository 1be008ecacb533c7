//! What two processes say to each other after a takeover: the one before tells what it still has in
//! flight, until it ends.
//!
//! The connection is the proof: it breaks with the process, however that ends. A process of an earlier
//! version hangs up at once, and so counts as one that has ended.

use std::time::Duration;

use super::message::{Line, LineError, Message, Unfinished};
use crate::control_plane::command::{Command, Request};
use crate::control_plane::handle::ControllerHandle;
use crate::model::name::Name;

/// Between two messages about what is in flight; a drain is told of every second.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// For the heir to read; it does little else then.
const WORD_LIMIT: Duration = Duration::from_secs(5);
/// No message is due at any time: a process that is stopped may go on.
const FOREVER: Duration = Duration::MAX;

/// Tells the heir what is in flight here. Never returns: what it is told must be true for as long as this
/// process serves, and so must the connection. `rest`: for how long requests may still come in here.
pub async fn tell(mut line: Line, controller: &ControllerHandle, rest: Duration) {
    let drains = controller.drains_under_way();
    let drains = drains.into_iter().map(|(service, environment, left)| Unfinished {
        service: service.to_string(),
        environment: environment.to_string(),
        left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    });
    let first = Message::Finishing { in_flight: None, drains: drains.collect() };
    let mut told = line.say(&first, WORD_LIMIT).await;
    tokio::time::sleep(rest).await;
    while told.is_ok() {
        if let Some(in_flight) = controller.in_flight() {
            let message = Message::Finishing { in_flight: Some(in_flight), drains: vec![] };
            told = line.say(&message, WORD_LIMIT).await;
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
    // The heir does not listen, or is gone; one that waits for the end still sees it.
    std::future::pending::<()>().await;
}

/// Takes note of what the process before has in flight, until that one has ended. Drains that it had under
/// way are taken up.
pub async fn follow(mut line: Line, controller: ControllerHandle) {
    loop {
        match line.hear(FOREVER).await {
            Ok(Message::Finishing { in_flight, drains }) => {
                in_flight.into_iter().for_each(|counts| controller.predecessor().tells(counts));
                drains.into_iter().for_each(|drain| take_up(drain, &controller));
            }
            Err(LineError::Gone) => break,
            // Nobody knows what it has in flight, but when it ends.
            Ok(_) | Err(_) => {
                controller.predecessor().lives();
                line.ended().await;
                break;
            }
        }
    }
    controller.predecessor().has_ended();
    tracing::info!("the process that was taken over has ended");
}

fn take_up(drain: Unfinished, controller: &ControllerHandle) {
    let Unfinished { service, environment, left_ms } = drain;
    let (Ok(service), Ok(environment)) = (Name::new(&service), Name::new(&environment)) else {
        return;
    };
    let deadline = Duration::from_millis(left_ms);
    let command = Command::Drain { service, environment, deadline };
    let reason = Some("it was under way in the process before".to_owned());
    let request = Request { actor: "controller".to_owned(), reason, command };
    let controller = controller.clone();
    // A task of its own, since it is answered when it has finished. Events tell how.
    tokio::spawn(async move { controller.submit(request).await });
}
