//! Reloads through the controller: what the file owns changes, what the store owns stays.

use std::time::Duration;

use tempfile::TempDir;

use super::super::boot::StartError;
use super::super::command::{Applied, Command, Refused, Request};
use super::super::test_rig::{Rig, chat, config, name, weights};
use crate::model::environment::{EnvironmentSpec, Secret};
use crate::model::listener::ListenAddress;
use crate::model::reading::Reading;
use crate::model::service::ServiceSpec;

async fn reload(rig: &Rig, dir: &TempDir, services: Vec<ServiceSpec>) -> Result<Applied, Refused> {
    reload_read(Reading::begin(), rig, dir, services).await
}

async fn reload_read(
    reading: Reading,
    rig: &Rig,
    dir: &TempDir,
    services: Vec<ServiceSpec>,
) -> Result<Applied, Refused> {
    rig.ask(Command::Reload(reading, Box::new(config(dir, services)))).await
}

fn with_red() -> ServiceSpec {
    let mut service = chat();
    let upstream = "http://127.0.0.1:3".parse().unwrap();
    service.environments.push(EnvironmentSpec::new(name("red"), vec![upstream]));
    service
}

fn without_green() -> ServiceSpec {
    let mut service = chat();
    service.environments.pop();
    service.initial.candidate = None;
    service.initial.weights = weights("blue=100");
    service
}

#[tokio::test]
async fn what_the_file_owns_changes_and_live_weights_stay() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(&config(&dir, vec![chat()]));
    rig.set("blue=75 green=25").await.unwrap();
    rig.put("green", "http://127.0.0.1:22").await.unwrap();
    let before = rig.environment("blue");
    let stream = before.in_flight.enter();

    let mut service = with_red();
    service.environments[0].timeouts.connect = Duration::from_secs(3);
    service.initial.weights = weights("blue=50 green=50");
    let applied = reload(&rig, &dir, vec![service.clone()]).await.unwrap();
    assert_eq!(
        applied.warnings,
        [
            "chat: weights stay blue=75 green=25 red=0; the file's are for a first start, set them with cyan weights",
            "chat: `upstreams` of green was changed by the API and stays; give it back with cyan config reset chat green --field upstreams",
        ]
    );
    assert_eq!(rig.weights(), "blue=75 green=25 red=0");
    let after = rig.environment("blue");
    assert_eq!(after.spec.timeouts.connect, Duration::from_secs(3));
    assert_eq!((after.id, after.in_flight.count()), (before.id, 1));
    assert!(std::sync::Arc::ptr_eq(&after.upstreams[0], &before.upstreams[0]));
    assert_eq!(rig.view("green").upstreams[0].address, "http://127.0.0.1:22");
    assert!(!reload(&rig, &dir, vec![service]).await.unwrap().changed);
    drop(stream);
}

#[tokio::test]
async fn a_reload_that_would_lose_traffic_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    let remedy = "write it into the file again, or move its traffic away and drain it first";
    let gone = "the file has no environment `green` of service `chat` any more, but";
    let mut other = chat();
    other.name = name("other");
    other.hosts = vec![crate::model::service::HostPattern::Exact("other.test".into())];

    rig.set("blue=75 green=25").await.unwrap();
    let refused = reload(&rig, &dir, vec![without_green(), other.clone()]).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("{gone} it has 25 % of the traffic; {remedy}"));
    assert_eq!(rig.handle.config_problem().unwrap().as_str(), refused.to_string());
    rig.event("reload_refused").await;
    assert_eq!(rig.handle.view().len(), 1, "nothing of the new file was taken");

    rig.roll_back().await.unwrap();
    let stream = rig.environment("green").in_flight.enter();
    let refused = reload(&rig, &dir, vec![without_green()]).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("{gone} it has 1 in flight; {remedy}"));
    drop(stream);
    reload(&rig, &dir, vec![without_green(), other]).await.unwrap();
    assert_eq!(rig.weights(), "blue=100");
    assert!(rig.handle.config_problem().is_none());
    assert_eq!(rig.handle.view().len(), 2);

    let stream = rig.environment("blue").in_flight.enter();
    let mut only_other = chat();
    only_other.name = name("other");
    let refused = reload(&rig, &dir, vec![only_other.clone()]).await.unwrap_err();
    let expected = "the file has no service `chat` any more, but it has 1 in flight; \
                    take its clients away first, then reload";
    assert_eq!(refused.to_string(), expected);
    drop(stream);
    reload(&rig, &dir, vec![only_other]).await.unwrap();
    assert!(rig.handle.service("chat").is_none());
}

/// Two reloads at once: which of them arrives first is chance, which was read later is not.
#[tokio::test]
async fn what_was_read_first_does_not_take_the_place_of_what_was_read_last() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(&config(&dir, vec![chat()]));
    let (first, last) = (Reading::begin(), Reading::begin());
    reload_read(last, &rig, &dir, vec![with_red()]).await.unwrap();
    let left_out = reload_read(first, &rig, &dir, vec![chat()]).await.unwrap();
    assert!(!left_out.changed);
    let warning = "a config that was read later has come before; this one was left out";
    assert_eq!(left_out.warnings, [warning]);
    assert_eq!(rig.weights(), "blue=100 green=0 red=0");

    let (first, last) = (Reading::begin(), Reading::begin());
    let stream = rig.environment("red").in_flight.enter();
    reload_read(last, &rig, &dir, vec![chat()]).await.unwrap_err();
    assert!(!reload_read(first, &rig, &dir, vec![with_red()]).await.unwrap().changed);
    assert!(rig.handle.config_problem().is_some(), "what the file says now is still refused");
    drop(stream);
    assert!(reload(&rig, &dir, vec![chat()]).await.unwrap().changed);
    assert!(rig.handle.config_problem().is_none());

    let (first, last) = (Reading::begin(), Reading::begin());
    rig.handle.config_refused(last, "test", "no TOML");
    assert!(reload_read(first, &rig, &dir, vec![with_red()]).await.unwrap().changed);
    assert!(rig.handle.config_problem().is_some(), "what the file says now cannot be read");
    reload(&rig, &dir, vec![with_red()]).await.unwrap();
    assert!(rig.handle.config_problem().is_none());
}

/// What raises waits for the disk, and what was read later may need none.
#[tokio::test]
async fn what_waits_for_the_disk_does_not_take_the_place_of_what_was_read_later() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(&config(&dir, vec![chat()]));
    let mut other = chat();
    other.name = name("other");
    let tool = rig.hold_the_file();
    let (first, last) = (Reading::begin(), Reading::begin());
    let command = Command::Reload(first, Box::new(config(&dir, vec![chat(), other])));
    let handle = rig.handle.clone();
    let request = Request { actor: "test".into(), reason: None, command };
    let raise = tokio::spawn(async move { handle.submit(request).await });
    tokio::task::yield_now().await;
    assert!(!reload_read(last, &rig, &dir, vec![chat()]).await.unwrap().changed);
    tool.execute_batch("ROLLBACK").unwrap();
    let left_out = raise.await.unwrap().unwrap();
    assert!(left_out.is_left_out && !left_out.changed, "{left_out:?}");
    assert!(rig.handle.service("other").is_none());
}

#[tokio::test]
async fn a_service_that_returns_has_the_state_it_left_with() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = chat();
    other.name = name("other");
    let rig = Rig::start(&config(&dir, vec![chat(), other.clone()]));
    rig.set("blue=75 green=25").await.unwrap();
    let generation = rig.generation();
    reload(&rig, &dir, vec![other.clone()]).await.unwrap();
    reload(&rig, &dir, vec![other, chat()]).await.unwrap();
    assert_eq!(rig.weights(), "blue=75 green=25");
    assert!(rig.generation() > generation, "generations rise strictly");
}

#[tokio::test]
async fn what_is_read_at_the_start_only_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(&config(&dir, vec![chat()]));
    let mut next = config(&dir, vec![chat()]);
    next.workers = Some(7);
    next.state_dir = dir.path().join("elsewhere");
    let applied = rig.ask(Command::Reload(Reading::begin(), Box::new(next))).await.unwrap();
    assert!(!applied.changed);
    assert_eq!(
        applied.warnings,
        [
            "`state_dir` has changed; it needs a restart",
            "`workers` has changed; it needs a restart"
        ]
    );
    assert_eq!(*rig.handle.needs_restart(), applied.warnings, "who did not ask sees it too");
    reload(&rig, &dir, vec![chat()]).await.unwrap();
    assert!(rig.handle.needs_restart().is_empty(), "all is as at the start");
}

#[tokio::test]
async fn the_last_token_stays_where_other_machines_reach_the_admin_api() {
    let dir = tempfile::tempdir().unwrap();
    let mut at_start = config(&dir, vec![chat()]);
    at_start.admin.address = ListenAddress::Tcp("0.0.0.0:0".parse().unwrap());
    at_start.admin.token = Some(Secret::new("the-first-token"));
    let rig = Rig::start(&at_start);
    let token = || rig.handle.admin().load().token.as_ref().map(|token| token.expose().to_owned());
    let take =
        async |next| rig.ask(Command::Reload(Reading::begin(), Box::new(next))).await.unwrap();
    let mut other = at_start.clone();
    other.admin.token = Some(Secret::new("the-second-token"));
    let applied = take(other.clone()).await;
    assert_eq!((applied.changed, &*applied.warnings), (true, &[][..]));
    assert_eq!(token().as_deref(), Some("the-second-token"));
    assert!(!take(other).await.changed, "it is the same");

    // Alone at home by the file, and still on the network by its socket.
    let applied = take(config(&dir, vec![chat()])).await;
    assert!(!applied.changed);
    assert_eq!(
        applied.warnings,
        [
            "`admin` has changed; it needs a restart",
            "`admin` has no token any more, and 0.0.0.0:0 is reached from other machines until a restart; the old tokens stay until then",
        ]
    );
    assert_eq!(token().as_deref(), Some("the-second-token"));
    assert_eq!(rig.handle.config().admin.token.unwrap().expose(), "the-second-token");
}

#[tokio::test]
async fn a_file_that_does_not_fit_the_state_keeps_cyan_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(&config(&dir, vec![chat()]));
    rig.set("blue=75 green=25").await.unwrap();
    rig.handle.shutdown().await;
    let refused = Rig::try_start(&config(&dir, vec![without_green()])).err().unwrap();
    assert!(matches!(refused, StartError::Unfit(_)));
    let text = refused.to_string();
    assert!(text.starts_with("the config does not fit the state in `state_dir`: the file has no"));
    let rig = Rig::start(&config(&dir, vec![chat()]));
    assert_eq!(rig.weights(), "blue=75 green=25");
}
