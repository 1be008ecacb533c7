//! Rollouts that go back, with users, the judge and hooks at work.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cyan::control_plane::event::Event;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::proxy::{Builder, Proxy};
use crate::support::upstream::{Upstream, Visit};
use crate::support::{eventually, in_time};

const ROLLOUT: &str = "/v1/services/chat/rollout";
/// Clients, and how long each waits between two requests: some 100 requests per second.
const CLIENTS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(40);
const USERS: u64 = 200;
/// A plan whose first step is half of the users, and that nobody waits for.
const PLAN: &str =
    "[service.chat.rollout]\nsteps = ['50% 1h', '100%']\ncool_down = '0s'\nattempts_max = 100\n";

/// Answers with its name, or fails while it is told to.
struct Server {
    upstream: Upstream,
    fails: Arc<AtomicBool>,
}

impl Server {
    async fn named(name: &'static str) -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&fails);
        let upstream = Upstream::scripted(move |visit| serve(visit, name, Arc::clone(&told))).await;
        Self { upstream, fails }
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn environment(&self, name: &str, weight: u32) -> String {
        let url = self.upstream.url();
        format!("[service.chat.environment.{name}]\nupstreams = '{url}'\nweight = {weight}\n")
    }
}

async fn serve(mut visit: Visit, name: &'static str, fails: Arc<AtomicBool>) {
    while visit.request().await.is_some() {
        let status = if fails.load(Ordering::SeqCst) { "500 No" } else { "200 Yes" };
        let length = name.len();
        visit.send(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{name}")).await;
    }
}

/// Users who ask all the time; dropping ends them.
struct Users {
    _all: JoinSet<()>,
    unserved: Arc<AtomicU64>,
}

impl Users {
    async fn come(proxy: &Proxy) -> Self {
        let (mut all, unserved) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for number in 0..CLIENTS {
            let client = Client::connect(proxy.address).await;
            all.spawn(ask_for_ever(client, number, Arc::clone(&unserved)));
        }
        Self { _all: all, unserved }
    }
}

async fn ask_for_ever(mut client: Client, number: u64, unserved: Arc<AtomicU64>) {
    let mut random = fastrand::Rng::with_seed(number);
    loop {
        let user = random.u64(0..USERS);
        let answer = client.get("/", &format!("x-user-id: user-{user}\r\n")).await;
        unserved.fetch_add(u64::from(answer.status != 200), Ordering::SeqCst);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads events in their order.
struct Told(broadcast::Receiver<Arc<Event>>);

impl Told {
    fn of(proxy: &Proxy) -> Self {
        Self(proxy.app().controller().events())
    }

    /// The next event of this kind; those before it are skipped.
    async fn next(&mut self, kind: &str) -> Arc<Event> {
        self.until(|event| event.kind == kind).await.1
    }

    /// The next event that is meant, and the kinds of those before it.
    async fn until(&mut self, is_it: impl Fn(&Event) -> bool) -> (Vec<&'static str>, Arc<Event>) {
        let mut before = Vec::new();
        let waiting = async {
            loop {
                let event = self.0.recv().await.expect("a test reads faster than events are lost");
                if is_it(&event) {
                    return event;
                }
                before.push(event.kind);
            }
        };
        let event = in_time(waiting).await;
        (before, event)
    }
}

async fn act(proxy: &Proxy, action: &str, body: Value) {
    let (status, answer) =
        proxy.admin("POST", &format!("{ROLLOUT}/{action}"), &body.to_string()).await;
    assert_eq!(status, 200, "{action}: {answer}");
}

/// Green is released and has half of the users.
async fn release(proxy: &Proxy, told: &mut Told) {
    let (status, answer) = proxy.admin("POST", ROLLOUT, r#"{"candidate":"green"}"#).await;
    assert_eq!(status, 200, "{answer}");
    told.next("rollout_stepped").await;
}

fn weights(proxy: &Proxy) -> String {
    let service = proxy.app().controller().service("chat").unwrap();
    let weights = service.assignment.weights();
    let texts: Vec<_> = weights.iter().map(|w| format!("{}={}", w.environment, w.weight)).collect();
    texts.join(" ")
}

/// Whether a process has ended; one that nobody has waited for yet counts as ended.
fn has_ended(pid: &Path) -> bool {
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

#[tokio::test]
async fn hooks_that_misbehave_delay_no_rollback_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display();
    let (blue, green) = (Server::named("blue").await, Server::named("green").await);
    let hanging = format!("echo $$ > {place}/parent; sleep 600 & echo $! > {place}/child; wait");
    let hooks = format!(
        "[hooks.hanging]\non = 'rolled_back'\nretries = 0\ntimeout = '3s'\n\
         exec = ['/bin/sh', '-c', '{hanging}']\n\
         [hooks.dead]\non = 'rolled_back'\nretries = 0\nurl = 'http://127.0.0.1:1/x'\n\
         [hooks.scale]\non = 'rolled_back'\nexec = ['/bin/sh', '-c', 'echo $CYAN_ENVIRONMENT down']\n"
    );
    let environments = blue.environment("blue", 100) + &green.environment("green", 0);
    let proxy = Builder::configured(&(hooks + PLAN + &environments)).start();
    let mut told = Told::of(&proxy);
    let _users = Users::come(&proxy).await;
    release(&proxy, &mut told).await;
    green.fail(true);
    let (before, back) = told.until(|event| event.kind == "rollout_rolled_back").await;
    assert!(before.contains(&"rollout_rolling_back"), "blue is asked first: {before:?}");
    assert!(!before.iter().any(|kind| kind.starts_with("hook_")), "{before:?}");
    assert_eq!(weights(&proxy), "blue=100 green=0", "{}", back.text);

    let mut outcomes = std::collections::BTreeMap::new();
    let mut order = Vec::new();
    while outcomes.len() < 3 {
        let is_one = |event: &Event| {
            event.kind.starts_with("hook_")
                || ["drained", "rollback_complete"].contains(&event.kind)
        };
        let (_, event) = told.until(is_one).await;
        order.push(event.kind);
        if let Some(hook) = event.details["hook"].as_str() {
            outcomes.insert(hook.to_owned(), Arc::clone(&event));
        }
    }
    assert_eq!(order.last(), Some(&"hook_failed"), "the hanging one is the last: {order:?}");
    assert!(["drained", "rollback_complete"].iter().all(|kind| order.contains(kind)), "{order:?}");
    assert_eq!(outcomes["hanging"].details["saw"], json!("`/bin/sh` was killed after 3 s"));
    assert!(outcomes["dead"].details["saw"].as_str().unwrap().starts_with("connection refused"));
    assert_eq!(outcomes["scale"].details["output"], json!("green down"));
    for process in ["parent", "child"] {
        eventually(process, || has_ended(&dir.path().join(process))).await;
    }
    let (_, status) = proxy.admin("GET", ROLLOUT, "").await;
    let rollback = &status["rollback"];
    println!("{}", rollback["text"]);
    assert!(rollback["seconds"].as_f64().unwrap() < 2.0, "{rollback}");
    assert!(rollback["apply_seconds"].as_f64().unwrap() < 0.5, "{rollback}");
}

#[tokio::test]
async fn limits_stay_armed_after_the_switch_until_it_is_released() {
    let (blue, green) = (Server::named("blue").await, Server::named("green").await);
    let environments = blue.environment("blue", 100) + &green.environment("green", 0);
    let proxy = Builder::configured(&(PLAN.to_owned() + &environments)).start();
    let mut told = Told::of(&proxy);
    let _users = Users::come(&proxy).await;
    release(&proxy, &mut told).await;
    act(&proxy, "promote", json!({"full": true})).await;
    assert_eq!(weights(&proxy), "blue=0 green=100");
    green.fail(true);
    let back = told.next("rollout_rolled_back").await;
    assert_eq!(weights(&proxy), "blue=100 green=0");
    assert!(back.text.starts_with("green rolled back from 100 %: "), "{}", back.text);

    // Nothing is armed now, green least of all: who was rolled back from is never gone back to.
    green.fail(false);
    blue.fail(true);
    let broken = told.next("limit_broken").await;
    assert!(broken.text.starts_with("blue breaks its limits: "), "{}", broken.text);
    assert_eq!(weights(&proxy), "blue=100 green=0");
    blue.fail(false);

    release_again(&proxy).await;
    told.next("rollout_switched").await;
    act(&proxy, "release", json!({})).await;
    let done = told.next("rollout_done").await;
    assert!(done.text.contains("blue is armed no more"), "{}", done.text);
    green.fail(true);
    let (before, broken) = told.until(|event| event.kind == "limit_broken").await;
    assert!(broken.text.starts_with("green breaks its limits: "), "{}", broken.text);
    assert!(before.contains(&"drained"), "{before:?}");
    assert_eq!(weights(&proxy), "blue=0 green=100", "it only alerts");
}

#[tokio::test]
async fn scores_below_the_limit_go_back_after_the_switch() {
    let (blue, green) = (Server::named("blue").await, Server::named("green").await);
    let environments = blue.environment("blue", 100) + &green.environment("green", 0);
    let proxy = Builder::configured(&(PLAN.to_owned() + &environments)).start();
    let mut told = Told::of(&proxy);
    let _users = Users::come(&proxy).await;
    score(&proxy, "blue", 0.9).await;
    release(&proxy, &mut told).await;
    act(&proxy, "promote", json!({"full": true})).await;
    score(&proxy, "green", 0.2).await;
    let back = told.next("rollout_rolled_back").await;
    let expected = "green rolled back from 100 %: ";
    assert!(back.text.starts_with(expected) && back.text.contains("quality"), "{}", back.text);
    assert_eq!(weights(&proxy), "blue=100 green=0");
}

/// A grader has looked at an answer to each of a hundred users.
async fn score(proxy: &Proxy, environment: &str, value: f64) {
    let score =
        |user| json!({"environment": environment, "value": value, "key": format!("user-{user}")});
    let scores: Vec<_> = (0..100).map(score).collect();
    let (status, answer) = proxy.admin("POST", "/v1/scores", &json!(scores).to_string()).await;
    assert_eq!(status, 200, "{answer}");
}

/// Although blue has just broken a limit.
async fn release_again(proxy: &Proxy) {
    let body = r#"{"candidate":"green","again":true,"without_broken_limits":true}"#;
    let (status, answer) = proxy.admin("POST", ROLLOUT, body).await;
    assert_eq!(status, 200, "{answer}");
    act(proxy, "promote", json!({"full": true})).await;
}

#[tokio::test]
async fn a_third_environment_keeps_its_users_through_a_rollout_and_back() {
    let (blue, green) = (Server::named("blue").await, Server::named("green").await);
    let red = Server::named("red").await;
    let environments = blue.environment("blue", 90)
        + &green.environment("green", 0)
        + &red.environment("red", 10)
        + "[service.chat]\nactive = 'blue'\n";
    let proxy = Builder::configured(&(PLAN.to_owned() + &environments)).start();
    let mut told = Told::of(&proxy);
    let users = Users::come(&proxy).await;
    let before = homes(&proxy).await;
    let reds = |homes: &[String]| homes.iter().filter(|home| *home == "red").count();
    assert!(reds(&before) >= 5, "{before:?}");
    let stays = |now: &[String], others: &[&str]| {
        before.iter().zip(now).all(|(before, now)| {
            (before == "red") == (now == "red") && (now == "red" || others.contains(&now.as_str()))
        })
    };
    release(&proxy, &mut told).await;
    assert_eq!(weights(&proxy), "blue=45 green=45 red=10");
    let half = homes(&proxy).await;
    assert!(stays(&half, &["blue", "green"]) && half.contains(&"green".to_owned()), "{half:?}");
    act(&proxy, "promote", json!({"full": true})).await;
    assert_eq!(weights(&proxy), "blue=0 green=90 red=10");
    assert!(stays(&homes(&proxy).await, &["green"]));
    assert_eq!(users.unserved.load(Ordering::SeqCst), 0);
    green.fail(true);
    told.next("rollout_rolled_back").await;
    assert_eq!(weights(&proxy), "blue=90 green=0 red=10");
    assert_eq!(homes(&proxy).await, before, "everybody is where they were");
}

/// Who serves each user.
async fn homes(proxy: &Proxy) -> Vec<String> {
    let mut client = proxy.client().await;
    let mut homes = Vec::new();
    for user in 0..USERS {
        let answer = client.get("/", &format!("x-user-id: user-{user}\r\n")).await;
        homes.push(answer.text());
    }
    homes
}

#[tokio::test]
async fn a_fallback_that_serves_everybody_does_not_stop_the_rollback() {
    let (blue, green) = (Server::named("blue").await, Server::named("green").await);
    let red = Server::named("red").await;
    let environments = blue.environment("blue", 100)
        + &green.environment("green", 0)
        + &red.environment("red", 0)
        + "[service.chat]\nactive = 'blue'\nfallback = 'red'\n";
    let proxy = Builder::configured(&(PLAN.to_owned() + &environments)).start();
    let mut told = Told::of(&proxy);
    release(&proxy, &mut told).await;
    act(&proxy, "promote", json!({"full": true})).await;
    // Nobody listens at green's address any more, and no connection to it is open.
    drop(green);
    let users = Users::come(&proxy).await;
    told.next("fell_back").await;
    let back = told.next("rollout_rolled_back").await;
    assert_eq!(weights(&proxy), "blue=100 green=0 red=0", "{}", back.text);
    told.next("fallback_over").await;
    assert_eq!(users.unserved.load(Ordering::SeqCst), 0, "red has served them all meanwhile");
}

/// Waits until the journal has an entry with this sentence.
async fn is_written(proxy: &Proxy, text: &str) {
    let has_it = |page: &Value| {
        let entries = page["entries"].as_array().expect("a page of entries");
        entries.iter().any(|entry| entry["text"] == text)
    };
    let waiting = async {
        while !has_it(&proxy.admin("GET", "/v1/journal", "").await.1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(waiting).await;
}

/// Blue and green, and a quality gate that runs this script.
async fn with_gate(script: &str) -> (Proxy, [Server; 2]) {
    let (blue, green) = (Server::named("blue").await, Server::named("green").await);
    let gate = format!(
        "[service.chat.force]\nsecret = 'a secret of thirty-two characters'\n\
         [service.chat.rollout.quality]\nexec = ['/bin/sh', '-c', '''{script}''']\n"
    );
    let environments = blue.environment("blue", 100) + &green.environment("green", 0);
    (Builder::configured(&(PLAN.to_owned() + &gate + &environments)).start(), [blue, green])
}

#[tokio::test]
async fn an_evaluation_that_prints_garbage_ends_the_rollout_before_users() {
    let (proxy, _servers) = with_gate("head -c 3000000 /dev/urandom; echo done >&2").await;
    let mut told = Told::of(&proxy);
    let (status, answer) = proxy.admin("POST", ROLLOUT, r#"{"candidate":"green"}"#).await;
    assert_eq!(status, 200, "{answer}");
    let (before, failed) = told.until(|event| event.kind == "rollout_failed").await;
    assert!(failed.text.ends_with("; no user has met it"), "{}", failed.text);
    assert!(failed.text.len() < 1_000 && !failed.text.contains('\0'), "{}", failed.text);
    assert!(!before.contains(&"rollout_stepped"), "{before:?}");
    assert_eq!(weights(&proxy), "blue=100 green=0");
    is_written(&proxy, &failed.text).await;
}

#[tokio::test]
async fn a_rollback_waits_for_no_evaluation_and_ends_it_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display();
    let script = format!("echo $$ > {place}/parent; sleep 600 & echo $! > {place}/child; wait");
    let (proxy, _servers) = with_gate(&script).await;
    let mut told = Told::of(&proxy);
    let (status, answer) = proxy.admin("POST", ROLLOUT, r#"{"candidate":"green"}"#).await;
    assert_eq!(status, 200, "{answer}");
    eventually("the program runs", || dir.path().join("child").exists()).await;
    act(&proxy, "rollback", json!({"reason": "lunch"})).await;
    told.next("rollout_rolled_back").await;
    for process in ["parent", "child"] {
        eventually(process, || has_ended(&dir.path().join(process))).await;
    }
}
