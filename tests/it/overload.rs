//! More clients than there is room for: who waits, who is told to come back, and who never notices.

use std::sync::Arc;
use std::time::Duration;

use cyan::data_plane::exchange::{BodyEnd, Refusal};
use cyan::model::environment::EnvironmentSpec;
use cyan::model::snapshot::Snapshot;
use cyan::model::verdict::Verdict;
use tokio::sync::Semaphore;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::memory_engine::{Attempt, Head, MemoryEngine, Outcome};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::serving::Serving;
use crate::support::tables::{assignment, table_with};
use crate::support::upstream::Upstream;

/// Every engine has its own way of waiting: the second head is one that hyper serves.
const HEADS: [&str; 2] = [
    "GET / HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// An upstream that answers one request for each permit.
async fn answering(permits: &Arc<Semaphore>) -> Upstream {
    let permits = Arc::clone(permits);
    Upstream::scripted(move |mut visit| {
        let permits = Arc::clone(&permits);
        async move {
            while visit.request().await.is_some() {
                permits.acquire().await.expect("it stays open").forget();
                visit.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await
}

fn narrow(upstream: &Upstream, queue_max: u32, queue_wait: Duration) -> Proxy {
    let mut blue = environment("blue", &[upstream]);
    (blue.in_flight_max, blue.queue_max, blue.queue_wait) = (Some(1), queue_max, queue_wait);
    Builder::new(vec![blue]).start()
}

/// One whose request is in flight, and another that has come after it.
async fn one_behind_another(proxy: &Proxy, head: &str) -> (Client, Client) {
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    first.send(head).await;
    eventually("one is in flight", || proxy.in_flight("blue") == 1).await;
    second.send(head).await;
    (first, second)
}

fn queued(proxy: &Proxy) -> u32 {
    proxy.app().controller().view()[0].environments[0].queued
}

#[tokio::test]
async fn who_finds_no_place_waits_for_one_and_who_finds_no_queue_is_told_to_come_back() {
    for head in HEADS {
        let permits = Arc::new(Semaphore::new(0));
        let upstream = answering(&permits).await;
        let proxy = narrow(&upstream, 1, Duration::from_secs(30));
        let (mut first, mut second) = one_behind_another(&proxy, head).await;
        eventually("one waits", || queued(&proxy) == 1).await;

        let mut third = proxy.client().await;
        third.send(head).await;
        let refused = third.answer().await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert!(refused.text().contains("in_flight_max"), "{}", refused.text());

        permits.add_permits(2);
        assert_eq!(first.answer().await.status, 200);
        assert_eq!(second.answer().await.status, 200, "it had its turn");
        assert_eq!(queued(&proxy), 0);
        proxy.settles("blue", Verdict::Shed, 1).await;
        assert_eq!(proxy.verdicts("blue", Verdict::Complete), 2);
    }
}

#[tokio::test]
async fn who_sends_slowly_takes_no_place() {
    let permits = Arc::new(Semaphore::new(3));
    let upstream = answering(&permits).await;
    let proxy = narrow(&upstream, 0, Duration::from_secs(30));
    let mut slow = Vec::new();
    for (length, piece) in [(10, 9), (100_000, 16_000)] {
        let mut client = proxy.client().await;
        let head = format!(
            "POST / HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\ncontent-length: {length}\r\n\r\n"
        );
        client.send(head).await;
        client.send(vec![b'x'; piece]).await;
        slow.push((client, length - piece));
    }
    for head in HEADS {
        let mut fast = proxy.client().await;
        fast.send(head).await;
        assert_eq!(fast.answer().await.status, 200);
    }
    let (mut client, left) = slow.swap_remove(0);
    client.send(vec![b'x'; left]).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(upstream.bodies().last().unwrap(), &[b'x'; 10]);
    drop(slow);
    proxy.settles("blue", Verdict::Complete, 3).await;
    assert_eq!(upstream.heads().len(), 3, "one was never sent");
}

#[tokio::test]
async fn nobody_waits_longer_than_the_limit() {
    for head in HEADS {
        let permits = Arc::new(Semaphore::new(0));
        let upstream = answering(&permits).await;
        let proxy = narrow(&upstream, 8, Duration::from_millis(200));
        let (mut first, mut second) = one_behind_another(&proxy, head).await;
        let refused = second.answer().await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(queued(&proxy), 0);
        permits.add_permits(1);
        assert_eq!(first.answer().await.status, 200);
        proxy.settles("blue", Verdict::Shed, 1).await;
    }
}

#[tokio::test]
async fn who_leaves_while_it_waits_leaves_its_place_in_the_queue() {
    for head in HEADS {
        let permits = Arc::new(Semaphore::new(0));
        let upstream = answering(&permits).await;
        let proxy = narrow(&upstream, 1, Duration::from_secs(30));
        let (mut first, second) = one_behind_another(&proxy, head).await;
        eventually("one waits", || queued(&proxy) == 1).await;
        drop(second);
        eventually("nobody waits", || queued(&proxy) == 0).await;
        permits.add_permits(1);
        assert_eq!(first.answer().await.status, 200);
        proxy.settles("blue", Verdict::ClientGone, 1).await;
        assert_eq!(upstream.heads().len(), 1, "its request was never sent");
    }
}

#[tokio::test]
async fn who_waits_goes_where_the_weights_are_when_its_turn_comes() {
    let permits = Arc::new(Semaphore::new(0));
    let (upstream, other) = (answering(&permits).await, Upstream::replying(200, "green").await);
    let mut blue = environment("blue", &[&upstream]);
    (blue.in_flight_max, blue.queue_max) = (Some(1), 8);
    blue.queue_wait = Duration::from_secs(30);
    let proxy = Builder::new(vec![blue, environment("green", &[&other])]).start();
    let (mut first, mut second) = one_behind_another(&proxy, HEADS[0]).await;
    eventually("one waits", || queued(&proxy) == 1).await;
    proxy.switch("green").await;
    assert_eq!(second.answer().await.text(), "green");
    permits.add_permits(1);
    assert_eq!(first.answer().await.status, 200);
    proxy.adds_up().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .listener(|listener| listener.connections_per_address_max = Some(2))
        .start();
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(client.get("/", "x-user-id: ana\r\n").await.status, 200);
    }
    let mut third = proxy.client().await;
    third.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 20000\r\n\r\n").await;
    let refused = third.answer().await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.is_whole && refused.text().contains("connections_per_address_max"));
    // Who writes on has not heard of it: a reset would take the answer away from it.
    for _ in 0..10 {
        third.try_send([b'x'; 2000]).await.expect("what it still says is read");
    }
    assert_eq!(third.rest().await.expect("a clean end"), b"");
    let refusals = || proxy.app().controller().totals().connections_refused;
    eventually("it is counted", || refusals() == 1).await;
    drop(first);
    eventually("there is room", || proxy.app().controller().totals().connections() == 1).await;
    assert_eq!(proxy.client().await.get("/", "x-user-id: ana\r\n").await.status, 200);
    proxy.adds_up().await;
}

#[tokio::test]
async fn a_trusted_proxy_brings_as_many_as_it_likes() {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Builder::new(vec![environment("blue", &[&upstream])])
        .listener(|listener| {
            listener.connections_per_address_max = Some(1);
            listener.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .start();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = proxy.client().await;
        assert_eq!(client.get("/", "x-user-id: ana\r\n").await.status, 200);
        clients.push(client);
    }
}

#[tokio::test]
async fn accepting_pauses_at_the_limit_and_whoever_came_meanwhile_is_served_then() {
    let upstream = Upstream::replying(200, "ok").await;
    let mut builder = Builder::new(vec![environment("blue", &[&upstream])])
        .listener(|listener| listener.connections_max = 2);
    builder.config.workers = Some(1);
    let proxy = builder.start();
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(client.get("/", "x-user-id: ana\r\n").await.status, 200);
    }
    let mut third = proxy.client().await;
    third.send("GET / HTTP/1.1\r\nhost: test\r\nx-user-id: ana\r\n\r\n").await;
    let pauses = || proxy.app().controller().totals().accept_pauses.get("connections_max").copied();
    eventually("accepting pauses", || pauses() == Some(1)).await;
    assert_eq!(upstream.heads().len(), 2, "the third waits in the kernel");
    drop(first);
    assert_eq!(third.answer().await.status, 200);
}

/// Takes all descriptors but those that are open now.
fn exhaust(cyan: &Serving) {
    let folder = format!("/proc/{}/fd", cyan.pid());
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().parse::<u64>().unwrap()
    };
    let open: Vec<u64> = std::fs::read_dir(folder).unwrap().map(number).collect();
    let lowest_free = (0..=open.len() as u64).find(|number| !open.contains(number)).unwrap();
    limit(cyan, Some(lowest_free));
}

/// Sets the number of descriptors that it may have; `None` for as many as at first.
fn limit(cyan: &Serving, descriptors: Option<u64>) {
    let pid = i32::try_from(cyan.pid()).unwrap();
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are those of live values, or null, which leaves the limit as it is.
    let get = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut before) };
    assert_eq!(get, 0);
    let wanted = libc::rlimit { rlim_cur: descriptors.unwrap_or(before.rlim_max), ..before };
    // SAFETY: as above.
    let set =
        unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const wanted, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

async fn metrics(admin: &mut Client) -> String {
    admin.send("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await;
    admin.answer().await.text()
}

/// Waits until `/metrics` has one of these lines.
async fn shown(admin: &mut Client, lines: &[&str]) {
    crate::support::in_time(async {
        while !metrics(admin).await.lines().any(|line| lines.contains(&line)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn without_descriptors_nobody_is_let_in_and_no_upstream_is_blamed() {
    let upstream = Upstream::replying(200, "ok").await;
    let cyan = Serving::start(&format!(
        "[service.chat.environment.blue]\nupstreams = [\"{}\"]\n",
        upstream.url()
    ))
    .await;
    let mut admin = Client::connect(cyan.admin).await;
    let mut inside = [cyan.client().await, cyan.client().await];
    for (client, head) in inside.iter_mut().zip(HEADS) {
        client.send(&head[..2]).await; // it counts from its first byte on
    }
    shown(&mut admin, &["cyan_client_connections 2"]).await;
    exhaust(&cyan);

    // What else the program does may just have let a descriptor go, which the first of them then has.
    let mut outside = Vec::new();
    for _ in 0..8 {
        let mut client = cyan.client().await;
        client.send(HEADS[0]).await;
        outside.push(client);
    }
    for (client, head) in inside.iter_mut().zip(HEADS) {
        client.send(&head[2..]).await;
        let refused = client.answer().await;
        let said = refused.text();
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{said}");
        assert!(said.contains("LimitNOFILE"), "{said}");
    }
    let paused = |cores| format!("cyan_accept_pauses_total{{reason=\"descriptors\"}} {cores}");
    shown(&mut admin, &[&paused(1), &paused(2)]).await;

    limit(&cyan, None);
    let mut last = outside.pop().expect("the last one waits");
    assert_eq!(last.answer().await.status, 200, "it is let in as soon as there is room");
    let page = metrics(&mut admin).await;
    assert!(page.contains("verdict=\"shed\"") && !page.contains("connect_error\"} 1"), "{page}");
}

fn only_blue(change: impl Fn(usize, &mut EnvironmentSpec)) -> Snapshot {
    Snapshot::new(vec![Arc::new(table_with(&assignment(&[10_000], 1), 1, change))])
}

#[test]
fn when_every_upstream_is_ill_only_some_requests_are_tried_again() {
    let get = || Head::request("GET", "/", &[("x-user-id", "ana")]);
    let script = (0..400).map(|_| Attempt::Refuse);
    let mut engine = MemoryEngine::new(only_blue(|_, _| {}), script);
    for _ in 0..200 {
        assert_eq!(engine.serve(get(), &[]), Outcome::Refused(Refusal::Connect));
    }
    assert_eq!(400 - engine.script.len(), 240, "200 requests and a fifth");
    assert_eq!(engine.counted().retries_withheld, 160);
}

#[test]
fn a_request_that_waited_in_vain_says_nothing_of_its_environment() {
    let get = || Head::request("GET", "/", &[("x-user-id", "ana")]);
    let narrow = |_, spec: &mut EnvironmentSpec| {
        (spec.in_flight_max, spec.queue_max) = (Some(1), 8);
    };
    let ok = || Attempt::Answer(200, vec!["ok"], BodyEnd::Whole);
    let mut engine = MemoryEngine::new(only_blue(narrow), [ok(), ok()]);
    let first = engine.begin(&get());
    let full = Outcome::Refused(Refusal::InFlightMax("blue".into()));
    assert_eq!(engine.serve(get(), &[]), full);
    assert_eq!(engine.verdicts(0), [(Verdict::Shed, 1)]);
    drop(first);
    assert_eq!(engine.serve(get(), &[]), Outcome::Answer(200, "ok".into()));
}
