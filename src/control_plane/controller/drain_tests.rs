//! Drains through the controller: progress, deadline, joining, calling off.

use std::time::Duration;

use super::super::command::{Applied, Command, Refused, Request};
use super::super::test_rig::{PATIENCE, Rig, chat, config, name};
use crate::link::CoreMessage;

fn drain(deadline: Duration) -> Request {
    let (service, environment) = (name("chat"), name("green"));
    let command = Command::Drain { service, environment, deadline };
    Request { actor: "test".into(), reason: None, command }
}

/// Starts a drain and returns when it is under way.
async fn start(
    rig: &mut Rig,
    deadline: Duration,
) -> tokio::task::JoinHandle<Result<Applied, Refused>> {
    let handle = rig.handle.clone();
    let caller = tokio::spawn(async move { handle.submit(drain(deadline)).await });
    rig.event("drain_progress").await;
    caller
}

async fn answer(
    caller: tokio::task::JoinHandle<Result<Applied, Refused>>,
) -> Result<Applied, Refused> {
    tokio::time::timeout(PATIENCE, caller).await.expect("an answer").unwrap()
}

#[tokio::test]
async fn a_drain_waits_for_what_is_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    let green = rig.environment("green");
    let stream = green.in_flight.enter();
    let first = start(&mut rig, Duration::from_secs(60)).await;
    let view = rig.view("green").drain.unwrap();
    assert_eq!((view.state, view.in_flight), ("draining", 1));
    let handle = rig.handle.clone();
    let second = tokio::spawn(async move { handle.submit(drain(Duration::from_secs(60))).await });
    tokio::task::yield_now().await;
    drop(stream);
    assert_eq!(rig.event("drained").await.text, "green is drained: nothing is in flight any more");
    assert!(answer(first).await.unwrap().changed);
    assert!(answer(second).await.is_ok());
    assert_eq!(rig.view("green").drain.unwrap().state, "drained");
    let closed = rig.messages.recv().await.unwrap();
    assert!(matches!(closed, CoreMessage::CloseIdle(ids) if ids == [green.upstreams[0].id]));
}

#[tokio::test]
async fn the_deadline_ends_what_remains() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    let green = rig.environment("green");
    let streams = [green.in_flight.enter(), green.in_flight.enter()];
    let caller = start(&mut rig, Duration::from_millis(100)).await;
    let message = rig.messages.recv().await.unwrap();
    assert!(matches!(message, CoreMessage::EndExchanges(id) if id == green.id));
    drop(streams);
    let applied = answer(caller).await.unwrap();
    assert_eq!(applied.warnings, ["the deadline ended 2 that were still in flight"]);
    assert_eq!(rig.event("drain_ended").await.text, "green reached its deadline: 2 ended");
    assert_eq!(rig.view("green").drain.unwrap().ended, 2);
}

#[tokio::test]
async fn traffic_calls_a_drain_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    let _stream = rig.environment("green").in_flight.enter();
    let caller = start(&mut rig, Duration::from_secs(60)).await;
    rig.set("blue=95 green=5").await.unwrap();
    assert_eq!(
        answer(caller).await.unwrap_err().to_string(),
        "`green` got traffic again while it drained; set it to 0 and drain it anew if it shall still go"
    );
    assert!(rig.view("green").drain.is_none());
}
