//! A service under a rollout: two servers that do as they are told, users, and Cyan in a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::client::Client;
use super::served::{Served, call};
use super::upstream::{Upstream, Visit};

/// The service in the admin API.
pub const CHAT: &str = "/v1/services/chat";
/// Keys whose environment is looked up.
const KEYS: u64 = 120;
/// How long a state of a rollout may take to come; its own waits are a few seconds at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// Clients, and how long each waits between two requests: some 100 requests per second.
const CLIENTS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(40);

/// What a server does with requests of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// Answers 200.
    Answers = 0,
    /// Answers 500.
    Fails = 1,
    /// Says nothing until its mood changes.
    Hangs = 2,
}

/// The moods of a server, by path: `/health`, `/smoke`, and all else.
#[derive(Debug, Default)]
pub struct Moods {
    by_path: [AtomicU8; 3],
    failed: AtomicU64,
}

/// A server of an environment. It says the environment's name.
pub struct Server {
    /// The server.
    pub upstream: Upstream,
    moods: Arc<Moods>,
}

/// Cyan between blue (active) and green.
pub struct Release {
    /// The active environment.
    pub blue: Server,
    /// Its candidate.
    pub green: Server,
    /// The process.
    pub cyan: Served,
    /// Config and state.
    pub directory: TempDir,
}

/// Users who come until they are dropped.
pub struct Users {
    failed: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    _clients: JoinSet<()>,
}

impl Users {
    /// Requests that were answered 200.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// Requests that were not.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }
}

impl Moods {
    fn index(path: &str) -> usize {
        match path {
            "/health" => 0,
            "/smoke" => 1,
            _ => 2,
        }
    }

    fn of(&self, path: &str) -> u8 {
        self.by_path[Self::index(path)].load(Ordering::SeqCst)
    }
}

impl Server {
    async fn start(name: &'static str) -> Self {
        let moods = Arc::new(Moods::default());
        let told = Arc::clone(&moods);
        let upstream = Upstream::scripted(move |visit| serve(visit, name, Arc::clone(&told))).await;
        Self { upstream, moods }
    }

    /// Requests that it answered with 500.
    pub fn failed(&self) -> u64 {
        self.moods.failed.load(Ordering::SeqCst)
    }

    /// From now on nobody listens where it was, and its connections are closed.
    pub fn die(&self) {
        self.upstream.stop();
    }

    /// What it does from now on with requests for `/health`, `/smoke`, or anything else (`/`).
    pub fn set(&self, path: &str, mood: Mood) {
        self.moods.by_path[Moods::index(path)].store(mood as u8, Ordering::SeqCst);
    }
}

async fn serve(mut visit: Visit, name: &'static str, moods: Arc<Moods>) {
    while let Some(head) = visit.request().await {
        let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
        while moods.of(&path) == Mood::Hangs as u8 {
            if visit.has_left() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let fails = moods.of(&path) == Mood::Fails as u8;
        let status = if fails { 500 } else { 200 };
        moods.failed.fetch_add(u64::from(fails), Ordering::SeqCst);
        let length = name.len();
        visit.send(format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{name}")).await;
    }
}

impl Release {
    /// A rollout by this plan, not started yet; `more` is config beside it, where `DIR` is its directory.
    pub async fn planned(plan: &str, more: &str) -> Self {
        let (blue, green) = (Server::start("blue").await, Server::start("green").await);
        let directory = configured(&blue, &green, plan, more);
        let cyan = Served::start(directory.path()).await;
        Self { blue, green, cyan, directory }
    }

    /// The same with its state on a disk that is easily filled.
    pub async fn on_a_small_disk(plan: &str, more: &str) -> Self {
        let (blue, green) = (Server::start("blue").await, Server::start("green").await);
        let directory = configured(&blue, &green, plan, more);
        let cyan = Served::start_on_a_small_disk(directory.path()).await;
        Self { blue, green, cyan, directory }
    }

    /// Ends the process as `kill -9` does, and looks at what it has left before the next one starts.
    pub async fn crash(self, look: impl FnOnce(&Path)) -> Self {
        let Self { blue, green, cyan, directory } = self;
        cyan.kill().await;
        look(directory.path());
        let cyan = Served::start(directory.path()).await;
        Self { blue, green, cyan, directory }
    }

    /// A new process takes over; the one before drains and ends.
    pub async fn take_over(self) -> Self {
        let Self { blue, green, cyan: before, directory } = self;
        let cyan = Served::take_over(directory.path()).await.expect("it takes over");
        assert_eq!(before.ended().await, Some(0));
        Self { blue, green, cyan, directory }
    }

    /// A call that has to succeed: its answer.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, body).await
    }

    /// The same by another method.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_call(method, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A call: its status and answer.
    pub async fn try_call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut client = Client::connect(self.cyan.admin).await;
        call(&mut client, method, &format!("{CHAT}{path}"), &body.to_string()).await
    }

    /// The rollout as the API shows it.
    pub async fn rollout(&self) -> Value {
        self.cyan.ask(&format!("{CHAT}/rollout")).await
    }

    /// Starts the rollout.
    pub async fn start(&self) {
        self.post("/rollout", &json!({ "candidate": "green" })).await;
    }

    /// Waits until the rollout is as it should be.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.until_of(&format!("{CHAT}/rollout"), what, is_so).await
    }

    /// Waits until what the API shows at this path is as it should be.
    pub async fn until_of(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            let mut client = Client::connect(self.cyan.admin).await;
            loop {
                let (_, shown) = call(&mut client, "GET", path, "").await;
                if is_so(&shown) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, waiting).await.ok();
        let Some(shown) = reached else {
            panic!("not {what}: {:#}", self.cyan.ask(path).await);
        };
        shown
    }

    /// Waits until the rollout is in a stage.
    pub async fn until_in(&self, stage: &str) -> Value {
        self.until(stage, |rollout| rollout["stage"] == stage).await
    }

    /// Every environment's weight.
    pub async fn weights(&self) -> Value {
        let service = self.cyan.ask(CHAT).await;
        let environments = service["environments"].as_array().expect("a list").iter();
        environments.map(|e| json!([e["name"], e["weight_percent"]])).collect()
    }

    /// Who serves each of some keys.
    pub async fn places(&self) -> Vec<String> {
        let mut client = Client::connect(self.cyan.address).await;
        let mut places = Vec::new();
        for key in 0..KEYS {
            places.push(client.get("/", &user(key)).await.text());
        }
        places
    }

    /// Users who come from now on.
    pub fn users(&self) -> Users {
        let (failed, answered) = (Arc::default(), Arc::default());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (failed, answered) = (Arc::clone(&failed), Arc::clone(&answered));
            clients.spawn(come(self.cyan.address, number, failed, answered));
        }
        Users { failed, answered, _clients: clients }
    }
}

fn configured(blue: &Server, green: &Server, plan: &str, more: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let path = directory.path();
    let environment = |server: &Server| {
        format!("upstreams = '{}'\nhealth.path = '/health'\n", server.upstream.url())
    };
    let text = format!(
        "state_dir = '{}'\nworkers = 2\nlisten.http = '127.0.0.1:0'\n\
         admin.address = '127.0.0.1:0'\n{}\n\
         [service.chat]\nactive = 'blue'\nsticky = 'header:x-user-id'\n\
         [service.chat.rollout]\n{plan}\n\
         [service.chat.environment.blue]\nweight = 100\n{}\
         [service.chat.environment.green]\nweight = 0\nversion = 'v42'\n{}",
        path.join("state").display(),
        more.replace("DIR", &path.display().to_string()),
        environment(blue),
        environment(green)
    );
    std::fs::write(path.join("cyan.toml"), text).expect("a temporary folder takes files");
    directory
}

fn user(key: u64) -> String {
    format!("x-user-id: user-{key}\r\n")
}

async fn come(address: SocketAddr, seed: u64, failed: Arc<AtomicU64>, answered: Arc<AtomicU64>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut client = Client::connect(address).await;
    loop {
        let user = user(random.u64(0..10_000));
        let sent = client.try_send(format!("GET / HTTP/1.1\r\nhost: test\r\n{user}\r\n")).await;
        let answer = if sent.is_ok() { client.try_answer().await } else { None };
        let is_well = answer.as_ref().is_some_and(|answer| answer.status == 200 && answer.is_whole);
        let count = if is_well { &answered } else { &failed };
        count.fetch_add(1, Ordering::SeqCst);
        if answer.is_none() {
            return; // the process is gone
        }
        tokio::time::sleep(PAUSE).await;
    }
}
