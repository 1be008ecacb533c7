//! An upstream whose name changes its addresses under connections that are open.
//!
//! Look-ups are played: what they would find is put in their place. A move of a name was told, and all
//! requests went on to the old address, as long as it lived: connections at rest were used, and came to
//! rest again.

use std::net::SocketAddr;
use std::sync::Arc;

use cyan::model::environment::{EnvironmentSpec, Protocol};
use cyan::model::verdict::Verdict;
use tokio::sync::Notify;

use crate::support::eventually;
use crate::support::http2::{Http2Client, Http2Upstream, get};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::tls::Certificate;
use crate::support::upstream::Upstream;

/// Answers `/held` with a stream that ends when it may, and everything else with its name.
async fn named(text: &'static str, go: &Arc<Notify>) -> Upstream {
    let go = Arc::clone(go);
    Upstream::scripted(move |mut visit| {
        let go = Arc::clone(&go);
        async move {
            while let Some(head) = visit.request().await {
                if head.starts_with("GET /held") {
                    visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                    visit.send("5\r\nfirst\r\n").await;
                    go.notified().await;
                    visit.send("4\r\nlast\r\n0\r\n\r\n").await;
                    continue;
                }
                let length = text.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                visit.send(format!("{head}{text}")).await;
            }
        }
    })
    .await
}

/// The same over HTTP/2.
async fn named_http2(text: &'static str, go: &Arc<Notify>) -> Http2Upstream {
    let go = Arc::clone(go);
    Http2Upstream::scripted(move |mut visit| {
        let go = Arc::clone(&go);
        async move {
            let mut sending = visit.answer(200);
            if visit.head.uri.path() == "/held" {
                let _ = sending.send_data("first".into(), false);
                go.notified().await;
                let _ = sending.send_data("last".into(), true);
                return;
            }
            let _ = sending.send_data(text.into(), true);
        }
    })
    .await
}

fn over_http2(upstream: &Http2Upstream) -> EnvironmentSpec {
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![upstream.url().parse().expect("a url")];
    blue.protocol = Protocol::Http2;
    blue
}

/// Does what a look-up does that finds these.
fn find(proxy: &Proxy, found: &[SocketAddr]) {
    let snapshot = proxy.app().controller().snapshot();
    let table = snapshot.table("chat").expect("the service");
    table.active().upstreams[0].addresses.store(found.to_vec());
}

#[tokio::test]
async fn after_a_move_the_next_request_goes_to_the_new_address_and_no_stream_is_cut() {
    let go = Arc::new(Notify::new());
    let (old, new) = (named("old", &go).await, named("new", &go).await);
    let proxy = Proxy::before(&old);
    // The lean engine serves the first, the other the second. Each has a connection at rest.
    let (mut client, http2) = (proxy.client().await, Http2Client::connect(proxy.address).await);
    let mut held = proxy.client().await;
    held.send("GET /held HTTP/1.1\r\nhost: test\r\n\r\n").await;
    held.read_until(b"first").await;
    let mut reading = http2.call(get("/held")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "first");
    assert_eq!(client.get("/", "").await.text(), "old");
    assert_eq!(http2.answer(get("/")).await.text(), "old");
    find(&proxy, &[new.address]);
    for _ in 0..5 {
        assert_eq!(client.get("/", "").await.text(), "new");
        assert_eq!(http2.answer(get("/")).await.text(), "new");
    }
    go.notify_waiters();
    held.read_until(b"last").await;
    assert_eq!(reading.rest().await.text(), "last");
    assert_eq!(http2.answer(get("/")).await.text(), "new", "what came back did not come to rest");
    eventually("nothing is left at the old address", || old.closed() == old.connections()).await;
    proxy.settles("blue", Verdict::Complete, 15).await;
}

#[tokio::test]
async fn after_a_move_http2_streams_go_on_and_new_ones_go_to_the_new_address() {
    let go = Arc::new(Notify::new());
    let (old, new) = (named_http2("old", &go).await, named_http2("new", &go).await);
    let proxy = Builder::new(vec![over_http2(&old)]).start();
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.call(get("/held")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "first");
    find(&proxy, &[new.address]);
    for _ in 0..3 {
        assert_eq!(client.answer(get("/")).await.text(), "new");
    }
    assert_eq!((old.connections(), new.connections()), (1, 1));
    go.notify_waiters();
    let answer = reading.rest().await;
    assert!(answer.end.is_ok() && answer.text() == "last", "{answer:?}");
    proxy.settles("blue", Verdict::Complete, 4).await;
}

/// One request after the other, so that there is always a connection at rest.
#[tokio::test]
async fn an_address_that_is_added_gets_its_share() {
    let go = Arc::new(Notify::new());
    let (one, two) = (named("one", &go).await, named("two", &go).await);
    let proxy = Proxy::before(&one);
    let mut client = proxy.client().await;
    let mut texts = Vec::new();
    for round in 0..4 {
        if round == 1 {
            find(&proxy, &[one.address, two.address]);
        }
        texts.push(client.get("/", "").await.text());
    }
    // Once more on the connection from before, if it had come to rest by then.
    assert!(["one", "two"].contains(&&*texts[1]), "{texts:?}");
    assert_eq!(texts[2..], ["two", "two"]);
    assert_eq!((one.connections(), two.connections()), (1, 1));
    eventually("the one from before is closed", || one.closed() == 1).await;
}

#[tokio::test]
async fn streams_over_http2_are_spread_over_the_addresses_of_a_name() {
    let go = Arc::new(Notify::new());
    let (one, two) = (named_http2("one", &go).await, named_http2("two", &go).await);
    let proxy = Builder::new(vec![over_http2(&one)]).start();
    let client = Http2Client::connect(proxy.address).await;
    let mut readings = Vec::new();
    for found in [&[one.address][..], &[one.address, two.address]] {
        find(&proxy, found);
        for _ in 0..2 {
            let mut reading = client.call(get("/held")).await.reading().await;
            assert_eq!(reading.next().await.unwrap().unwrap(), "first");
            readings.push(reading);
        }
    }
    assert_eq!(
        (one.open(), two.open()),
        (2, 2),
        "the last two have gone to the one that was added"
    );
    assert_eq!(two.connections(), 1);
}

/// The one upstream that there is would be out for a dead address of its name, beside a connection that has
/// room for all.
#[tokio::test]
async fn an_address_that_is_dead_costs_no_request_that_can_do_without() {
    let go = Arc::new(Notify::new());
    let one = named_http2("one", &go).await;
    let certificate = Certificate::of("127.0.0.1");
    let relay = certificate.before(one.address, &["h2"]).await;
    // Connections are made to it, and no handshake comes to its end.
    let dead = Upstream::scripted(|visit| async move { drop(visit) }).await;
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec![format!("https://{}", relay.address).parse().expect("a url")];
    blue.tls.ca_file = Some(certificate.authority());
    blue.protocol = Protocol::Http2;
    let proxy = Builder::new(vec![blue]).start();
    let client = Http2Client::connect(proxy.address).await;
    let mut reading = client.call(get("/held")).await.reading().await;
    assert_eq!(reading.next().await.unwrap().unwrap(), "first");
    find(&proxy, &[relay.address, dead.address]);
    for _ in 0..10 {
        assert_eq!(client.answer(get("/")).await.text(), "one");
    }
    assert!(dead.connections() > 0, "it was tried");
    go.notify_waiters();
    assert_eq!(reading.rest().await.text(), "last");
    proxy.settles("blue", Verdict::Complete, 11).await;
}
