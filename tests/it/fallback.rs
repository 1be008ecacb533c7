//! When an environment cannot serve: who does instead, who is told, and that nothing is hidden by it.

use std::sync::Arc;
use std::time::Duration;

use cyan::control_plane::event::Event;
use cyan::model::verdict::Verdict;
use tokio::sync::broadcast;

use crate::support::proxy::{Builder, Proxy, environment, name, weights};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// How long a failing upstream is out.
const BACKOFF: Duration = Duration::from_millis(300);

async fn next(events: &mut broadcast::Receiver<Arc<Event>>, kind: &str) -> Arc<Event> {
    let waiting = async {
        loop {
            let event = events.recv().await.expect("a test reads faster than events are lost");
            if event.kind == kind {
                return event;
            }
        }
    };
    in_time(waiting).await
}

async fn journal(proxy: &Proxy) -> Vec<String> {
    let query = cyan::control_plane::journal::Query::default();
    let page = proxy.app().controller().journal(query).await.unwrap();
    page.entries.into_iter().map(|entry| entry.kind).collect()
}

fn served_by(proxy: &Proxy, environment: &str) -> Option<String> {
    let service = proxy.app().controller().service("chat").unwrap();
    let environment = service.environments.into_iter().find(|e| e.name == *environment).unwrap();
    environment.served_by.map(|name| name.to_string())
}

/// An address where nobody listens, until somebody does.
fn nowhere() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_fallback_serves_while_the_active_one_cannot_and_no_longer() {
    let red = Upstream::replying(200, "red").await;
    let mut blue = environment("blue", &[]);
    let address = nowhere();
    blue.upstreams = vec![format!("http://{address}").parse().unwrap()];
    (blue.ejection.backoff, blue.ejection.backoff_max) = (BACKOFF, BACKOFF);
    let proxy =
        Builder::new(vec![blue, environment("green", &[&red]), environment("red", &[&red])])
            .service(|service| service.initial.fallback = Some(name("red")))
            .start();
    let mut events = proxy.app().controller().events();
    let mut client = proxy.client().await;
    for _ in 0..5 {
        assert_eq!(client.get("/", "").await.body, b"red");
    }
    let told = next(&mut events, "fell_back").await;
    assert_eq!(told.text, "blue has no usable upstream; red serves its requests meanwhile");
    assert_eq!(served_by(&proxy, "blue").as_deref(), Some("red"));
    proxy.settles("blue", Verdict::ConnectError, 5).await;
    assert_eq!(proxy.verdicts("red", Verdict::Complete), 0, "it does not make blue look well");

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let blue = Upstream::at(listener, |visit| visit.reply(200, "blue"));
    let is_back = async { while client.get("/", "").await.body != b"blue" {} };
    in_time(is_back).await;
    let told = next(&mut events, "fallback_over").await;
    assert_eq!(told.text, "red serves no requests of blue any more");
    assert_eq!(served_by(&proxy, "blue"), None);
    assert!(!blue.heads().is_empty());
    let both = async {
        loop {
            let kinds = journal(&proxy).await;
            if ["fell_back", "fallback_over"].iter().all(|kind| kinds.contains(&(*kind).to_owned()))
            {
                return kinds;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let kinds = in_time(both).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "fell_back").count(), 1, "once: {kinds:?}");
}

#[tokio::test]
async fn a_candidate_that_cannot_be_connected_to_costs_its_users_nothing() {
    let blue = Upstream::replying(200, "blue").await;
    let mut green = environment("green", &[]);
    green.upstreams = vec![format!("http://{}", nowhere()).parse().unwrap()];
    let proxy = Builder::new(vec![environment("blue", &[&blue]), green])
        .service(|service| service.initial.weights = weights(&[("blue", 50.0), ("green", 50.0)]))
        .start();
    let mut events = proxy.app().controller().events();
    let mut client = proxy.client().await;
    for user in 0..40 {
        let answer = client.get("/", &format!("x-user-id: {user}\r\n")).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"blue"[..]), "user {user}");
    }
    let told = next(&mut events, "fell_back").await;
    assert_eq!(told.text, "green has no usable upstream; blue serves its requests meanwhile");
    eventually("both are counted", || {
        let failed = proxy.verdicts("green", Verdict::ConnectError);
        failed > 5 && failed + proxy.verdicts("blue", Verdict::Complete) == 40
    })
    .await;
    proxy.set_weights(&[("blue", 100.0), ("green", 0.0)]).await;
    next(&mut events, "fallback_over").await;
}
