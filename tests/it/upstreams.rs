//! Several upstreams in one environment: who is asked, who is left out, who comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cyan::control_plane::command::{Command, UpstreamView};
use cyan::model::verdict::Verdict;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::client::Client;
use crate::support::proxy::{Builder, Proxy, environment, name};
use crate::support::upstream::{Upstream, Visit};
use crate::support::{eventually, in_time};

/// Answers `/held` with a stream that does not end, and everything else at once.
async fn named(text: &'static str) -> Upstream {
    Upstream::scripted(move |mut visit| async move {
        while let Some(head) = visit.request().await {
            if head.starts_with("GET /held") {
                visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                visit.send("4\r\nheld\r\n").await;
                visit.until_closed().await;
                return;
            }
            let length = text.len();
            visit.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}")).await;
        }
    })
    .await
}

fn seen(proxy: &Proxy, upstream: usize) -> UpstreamView {
    proxy.app().controller().service("chat").expect("the service exists").environments[0].upstreams
        [upstream]
        .clone()
}

/// Opens a stream that stays.
async fn hold(proxy: &Proxy) -> Client {
    let mut client = proxy.client().await;
    client.send("GET /held HTTP/1.1\r\nhost: test\r\n\r\n").await;
    client.read_until(b"held").await;
    client
}

#[tokio::test]
async fn the_one_with_the_least_in_flight_is_asked() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Builder::new(vec![environment("blue", &[&one, &two])]).start();
    let mut held = Vec::new();
    for count in 1..=4 {
        held.push(hold(&proxy).await);
        let spread = (seen(&proxy, 0).in_flight, seen(&proxy, 1).in_flight);
        assert!(spread.0.abs_diff(spread.1) <= 1 && spread.0 + spread.1 == count, "{spread:?}");
    }
    drop(held);
    proxy.settles("blue", Verdict::ClientGone, 4).await;
}

/// Beside one that stays, one at an address where nobody listens, as soon as it is ejected for that.
async fn one_ejected_beside(stays: &Upstream) -> (Proxy, Client, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut blue = environment("blue", &[stays]);
    blue.upstreams.push(format!("http://{address}").parse().unwrap());
    blue.ejection.backoff = Duration::from_millis(300);
    blue.slow_start = Duration::from_millis(100);
    let proxy = Builder::new(vec![blue]).start();
    let mut client = proxy.client().await;
    while !seen(&proxy, 1).ejected {
        assert_eq!(client.get("/", "").await.status, 200, "it costs no request");
    }
    (proxy, client, address)
}

#[tokio::test]
async fn one_that_died_costs_no_request_is_ejected_and_comes_back() {
    let stays = named("stays").await;
    let (proxy, mut client, address) = one_ejected_beside(&stays).await;
    let back = TcpListener::bind(address).await.expect("the port is still free");
    let accepted = tokio::spawn(async move {
        let (mut stream, _) = back.accept().await.expect("a connection");
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nback";
        let mut head = vec![0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
    });
    let returned = async {
        loop {
            // Connections refused after that single visit are retried on the other one.
            let text = client.get("/", "").await.text();
            assert!(text == "stays" || text == "back", "{text}");
            if text == "back" {
                return;
            }
        }
    };
    in_time(returned).await;
    accepted.await.unwrap();
    eventually("nothing failed", || proxy.verdicts("blue", Verdict::ConnectError) == 0).await;
    proxy.adds_up().await;
}

/// Answers `/held` when it may, and everything else at once.
async fn patient(visit: Visit, mut may: watch::Receiver<bool>) {
    let mut visit = visit;
    while let Some(head) = visit.request().await {
        if head.starts_with("GET /held") && may.wait_for(|may| *may).await.is_err() {
            return;
        }
        visit.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    }
}

/// The one that stays has every request in flight, so that all others would go to the one that is back.
#[tokio::test]
async fn one_that_is_back_gets_few_requests_until_it_has_answered() {
    let (may, waiting) = watch::channel(false);
    let script = move |visit| patient(visit, waiting.clone());
    let stays = Upstream::scripted(script.clone()).await;
    let (proxy, mut client, address) = one_ejected_beside(&stays).await;
    let back = Upstream::at(TcpListener::bind(address).await.expect("still free"), script);
    let (began, mut held) = (Instant::now(), Vec::new());
    let mut further = 15;
    while further > 0 {
        further -= usize::from(!back.heads().is_empty());
        let before = stays.heads().len() + back.heads().len();
        let mut client = proxy.client().await;
        client.send("GET /held HTTP/1.1\r\nhost: test\r\n\r\n").await;
        eventually("it arrives", || stays.heads().len() + back.heads().len() > before).await;
        held.push(client);
    }
    let (trials, seconds) = (back.heads().len() as u64, began.elapsed().as_secs());
    assert!(trials <= 1 + seconds, "{trials} requests in {seconds} s");
    may.send_replace(true);
    for mut client in held {
        assert_eq!(client.answer().await.status, 200);
    }
    let has_its_share = async {
        while back.heads().len() as u64 <= trials + 5 {
            assert_eq!(client.get("/", "").await.status, 200);
        }
    };
    in_time(has_its_share).await;
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let upstream = named("ok").await;
    let mut blue = environment("blue", &[]);
    let port = upstream.address.port();
    blue.upstreams = vec![format!("http://localhost:{port}").parse().unwrap()];
    let proxy = Builder::new(vec![blue]).start();
    in_time(proxy.app().controller().started()).await;
    assert_eq!(proxy.client().await.get("/", "").await.text(), "ok");
    assert!(seen(&proxy, 0).addresses.contains(&upstream.address));
    proxy.settles("blue", Verdict::Complete, 1).await;
}

#[tokio::test]
async fn a_name_without_an_address_is_a_502_that_names_nobody() {
    let mut blue = environment("blue", &[]);
    blue.upstreams = vec!["http://nowhere.invalid:80".parse().unwrap()];
    let proxy = Builder::new(vec![blue]).start();
    let answer = proxy.client().await.get("/", "").await;
    assert_eq!(answer.status, 502);
    let text = answer.text();
    assert!(text.contains("no upstream could be connected to"), "{text}");
    assert!(!text.contains("nowhere"), "addresses are for operators: {text}");
    proxy.settles("blue", Verdict::ConnectError, 1).await;
}

#[tokio::test]
async fn replacing_upstreams_under_traffic_fails_no_request() {
    let (old, new) = (named("old").await, named("new").await);
    let proxy = Builder::new(vec![environment("blue", &[&old])]).start();
    let held = hold(&proxy).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut traffic = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut client, stopped) = (proxy.client().await, stopped.clone());
        traffic.spawn(async move {
            let mut requests = 0;
            while !*stopped.borrow() {
                let answer = client.get("/", "").await;
                assert_eq!((answer.status, answer.is_whole), (200, true), "{answer:?}");
                requests += 1;
            }
            requests
        });
    }
    for round in 0..20 {
        let urls = vec![if round % 2 == 0 { new.url() } else { old.url() }];
        put(&proxy, urls).await;
    }
    put(&proxy, vec![new.url()]).await;
    let (reached, mut client) = (old.heads().len(), proxy.client().await);
    for _ in 0..20 {
        assert_eq!(client.get("/", "").await.text(), "new");
    }
    stop.send_replace(true);
    let mut requests = 20;
    while let Some(done) = traffic.join_next().await {
        requests += done.expect("no request failed");
    }
    // What had chosen before the last change may arrive after it, but no more than one per client.
    assert!(old.heads().len() <= reached + 8);
    eventually("the old upstream keeps its stream and no idle connection", || {
        old.closed() + 1 == old.connections()
    })
    .await;
    assert_eq!(proxy.in_flight("blue"), 1, "a running stream stays where it is");
    drop(held);
    proxy.settles("blue", Verdict::Complete, requests).await;
}

async fn put(proxy: &Proxy, upstreams: Vec<String>) {
    let command = Command::PutEnvironment {
        service: name("chat"),
        environment: name("blue"),
        upstreams: Some(upstreams),
        version: None,
        model: None,
        only_idle: false,
        if_generation: None,
    };
    proxy.ask(command).await.expect("the upstreams are taken");
}
