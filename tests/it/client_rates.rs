//! Requests of one client beyond its rate: refused, whichever engine, core or protocol they come by, and nobody
//! else is.
//!
//! The rates are so low that nothing is earned back while a test runs.

use cyan::model::client_rate::ClientRate;
use cyan::model::service::ServiceSpec;
use cyan::model::sticky::KeySource;

use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::http2::{Http2Client, get, post};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

fn limited(burst: u32, by: &[&str]) -> impl FnOnce(&mut ServiceSpec) {
    let by = by.iter().map(|source| source.parse().expect("a source")).collect();
    move |service| service.requests_per_client = Some(ClientRate { per_second: 0.01, burst, by })
}

/// A proxy whose clients are told apart by what it, as a trusted proxy, says of them.
fn behind_a_proxy(upstream: &Upstream, burst: u32, by: &[&str]) -> Proxy {
    Builder::new(vec![environment("blue", &[upstream])])
        .listener(|listener| listener.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
        .service(limited(burst, by))
        .start()
}

async fn statuses(proxy: &Proxy, headers: &str, count: usize) -> Vec<u16> {
    let mut client = proxy.client().await;
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(client.get("/", headers).await.status);
    }
    statuses
}

fn refused(proxy: &Proxy) -> u64 {
    let totals = proxy.app().controller().totals();
    totals.refused.get("requests_per_client").copied().unwrap_or(0)
}

fn seconds(answer: &Answer) -> u64 {
    answer.header("retry-after").and_then(|value| value.parse().ok()).expect("a Retry-After")
}

#[tokio::test]
async fn a_client_has_its_burst_whatever_it_comes_by_and_is_told_when_to_come_again() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .service(limited(3, &["client-address"]))
        .start();
    assert_eq!(statuses(&proxy, "", 1).await, [200]);
    let mut client = proxy.client().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200, "the other engine");
    let http2 = Http2Client::connect(proxy.address).await;
    assert_eq!(http2.answer(get("/")).await.status(), 200);

    let mut client = proxy.client().await;
    let answer = client.get("/", "").await;
    assert_eq!((answer.status, answer.is_whole), (429, true));
    assert!((1..=100).contains(&seconds(&answer)), "{answer:?}");
    assert!(answer.text().contains("\"code\":\"requests_per_client\""), "{}", answer.text());
    assert!(answer.text().contains("\"type\":\"rate_limit_error\""), "{}", answer.text());
    assert_eq!(client.get("/", "").await.status, 429, "the connection goes on");
    assert_eq!(http2.answer(post("/")).await.status(), 429);
    eventually("three are counted", || refused(&proxy) == 3).await;
    assert_eq!(upstream.heads().len(), 3);
    proxy.adds_up().await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_their_own_and_the_proxy_is_none() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = behind_a_proxy(&upstream, 1, &["client-address"]);
    for (from, expected) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("10.0.0.1, 192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::ffff", 429),
        ("2001:db8:0:1::1", 200),
    ] {
        let headers = format!("x-forwarded-for: {from}\r\n");
        assert_eq!(statuses(&proxy, &headers, 1).await, [expected], "{from}");
    }
    assert_eq!(statuses(&proxy, "", 5).await, [200; 5], "a proxy that speaks for itself");
}

#[tokio::test]
async fn a_client_that_nobody_vouches_for_cannot_choose_its_address() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .service(limited(1, &["client-address"]))
        .start();
    assert_eq!(statuses(&proxy, "x-forwarded-for: 192.0.2.1\r\n", 1).await, [200]);
    assert_eq!(statuses(&proxy, "x-forwarded-for: 192.0.2.2\r\n", 1).await, [429]);
}

#[tokio::test]
async fn a_client_may_have_a_name_and_is_its_address_without_one() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = behind_a_proxy(&upstream, 2, &["bearer", "header:x-user-id"]);
    let from = "x-forwarded-for: 192.0.2.1\r\n";
    for (headers, expected) in [
        ("authorization: Bearer one\r\n", [200, 200, 429]),
        ("x-api-key: two\r\n", [200, 200, 429]),
        ("x-user-id: ana\r\n", [200, 200, 429]),
        ("authorization: Bearer three\r\nx-user-id: ana\r\n", [200, 200, 429]),
        ("", [200, 200, 429]),
    ] {
        assert_eq!(statuses(&proxy, &format!("{from}{headers}"), 3).await, expected, "{headers:?}");
    }
}

#[test]
fn what_is_written_in_a_config_is_what_counts() {
    let text = "requests_per_client = { per_second = 2.5, by = 'bearer' }\n\
                [environment.blue]\nupstreams = 'http://127.0.0.1:1'\n";
    let builder = Builder::configured(text);
    let rate = builder.config.services[0].requests_per_client.clone().expect("a rate");
    assert_eq!((rate.burst, rate.by), (3, vec![KeySource::Bearer]));
}
