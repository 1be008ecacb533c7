//! Drains: what runs is finished or ended honestly, and nothing idle stays.

use std::time::Duration;

use cyan::control_plane::command::{Command, DrainView};
use cyan::model::verdict::Verdict;

use crate::support::http2::{Http2Client, get};
use crate::support::proxy::{Proxy, name};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// Streams one event and the rest when it is let.
async fn held(go: &tokio::sync::watch::Sender<bool>) -> Upstream {
    let go = go.subscribe();
    Upstream::scripted(move |mut visit| {
        let mut go = go.clone();
        async move {
            while let Some(head) = visit.request().await {
                if head.starts_with("GET /quick") {
                    visit.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nquick").await;
                    continue;
                }
                visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                visit.send("5\r\nfirst\r\n").await;
                let is_left = tokio::select! {
                    _ = go.wait_for(|go| *go) => false,
                    () = visit.until_closed() => true,
                };
                if is_left {
                    return;
                }
                visit.send("4\r\nlast\r\n0\r\n\r\n").await;
            }
        }
    })
    .await
}

async fn drain(proxy: &Proxy, deadline: Duration) -> DrainView {
    let (service, environment) = (name("chat"), name("blue"));
    let command = Command::Drain { service, environment, deadline };
    in_time(proxy.ask(command)).await.expect("the drain is taken");
    let view = proxy.app().controller().service("chat").expect("the service exists");
    let blue = view.environments.iter().find(|environment| environment.name == *"blue");
    blue.and_then(|blue| blue.drain.clone()).expect("a drain")
}

#[tokio::test]
async fn a_drain_waits_for_a_stream_and_lets_it_finish() {
    let (go, _) = tokio::sync::watch::channel(false);
    let (blue, green) = (held(&go).await, Upstream::replying(200, "green").await);
    let proxy = Proxy::between(&blue, &green);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    client.read_until(b"first").await;
    proxy.switch("green").await;
    assert_eq!(proxy.client().await.get("/", "").await.text(), "green");
    let draining = drain(&proxy, Duration::from_secs(9));
    let letting = async {
        eventually("the drain is seen", || {
            let view = proxy.app().controller().service("chat").unwrap();
            view.environments[0].drain.as_ref().is_some_and(|drain| drain.state == "draining")
        })
        .await;
        go.send_replace(true);
    };
    let (view, ()) = tokio::join!(draining, letting);
    assert_eq!((view.state, view.in_flight, view.ended), ("drained", 0, 0));
    client.read_until(b"last\r\n0\r\n\r\n").await;
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_deadline_ends_streams_and_no_client_takes_them_for_whole() {
    let (go, _) = tokio::sync::watch::channel(false);
    let (blue, green) = (held(&go).await, Upstream::replying(200, "green").await);
    let proxy = Proxy::between(&blue, &green);
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    client.read_until(b"first\r\n").await;
    let http2 = Http2Client::connect(proxy.address).await;
    let mut reading = http2.call(get("/")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "first");
    proxy.switch("green").await;
    let view = drain(&proxy, Duration::from_secs(1)).await;
    assert_eq!((view.state, view.in_flight, view.ended), ("ended", 0, 2));
    let rest = client.rest().await.unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    assert!(reading.rest().await.is_reset());
    assert_eq!(http2.answer(get("/")).await.text(), "green", "the connection goes on");
    proxy.settles("blue", Verdict::Shed, 2).await;
    eventually("both are left", || blue.closed() == 2).await;
}

#[tokio::test]
async fn a_drained_environment_has_no_connection_left_and_can_be_removed() {
    let (go, _) = tokio::sync::watch::channel(false);
    let (blue, green) = (held(&go).await, Upstream::replying(200, "green").await);
    let proxy = Proxy::between(&blue, &green);
    for _ in 0..4 {
        assert_eq!(proxy.client().await.get("/quick", "").await.text(), "quick");
    }
    assert!(blue.connections() > blue.closed(), "connections rest");
    proxy.switch("green").await;
    assert_eq!(drain(&proxy, Duration::from_secs(9)).await.state, "drained");
    eventually("idle connections are closed", || blue.connections() == blue.closed()).await;
    proxy.settles("blue", Verdict::Complete, 4).await;
}
