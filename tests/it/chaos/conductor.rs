//! Does everything to Cyan and to its upstreams that operators and bad days do, in an order drawn by the seed.
//!
//! Kinds of deeds are dealt from a shuffled deck, so that even a short run has some of each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::ledger::{Ledger, What};
use super::stage::Stage;
use super::upstream::Server;
use crate::support::client::Client;
use crate::support::served::call;

const PAUSE_MS: std::ops::Range<u64> = 20..300;
/// How long an upstream is away or silent.
const HARM_MS: std::ops::Range<u64> = 100..900;
/// Far beyond the end of every exchange: no drain cuts one.
const DRAIN_DEADLINE: &str = "5m";
/// Upstreams of an environment, at most.
const UPSTREAMS_MAX: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Weights,
    Switch,
    RollBack,
    Drain,
    Replace,
    Release,
    Steer,
    Reload,
    Certificate,
    MoveLog,
    Look,
    Kill,
    Reset,
    Stall,
    TakeOver,
}

/// Each kind as often as it comes in a deck.
const DECK: [(Deed, usize); 15] = [
    (Deed::Weights, 5),
    (Deed::Switch, 2),
    (Deed::RollBack, 1),
    (Deed::Drain, 2),
    (Deed::Replace, 2),
    (Deed::Release, 1),
    (Deed::Steer, 2),
    (Deed::Reload, 2),
    (Deed::Certificate, 1),
    (Deed::MoveLog, 1),
    (Deed::Look, 2),
    (Deed::Kill, 3),
    (Deed::Reset, 2),
    (Deed::Stall, 2),
    (Deed::TakeOver, 1),
];

/// Who does it.
pub struct Conductor<'a> {
    random: Rng,
    stage: &'a mut Stage,
    ledger: Arc<Ledger>,
    deck: Vec<Deed>,
    recovering: JoinSet<()>,
    done: usize,
}

impl<'a> Conductor<'a> {
    /// For a stage.
    pub fn new(seed: u64, stage: &'a mut Stage, ledger: Arc<Ledger>) -> Self {
        let (deck, recovering) = (Vec::new(), JoinSet::new());
        Self { random: Rng::with_seed(seed), stage, ledger, deck, recovering, done: 0 }
    }

    /// Goes on for so long and at least through one deck, then has everybody recover; how many deeds it were.
    pub async fn conduct(mut self, time: Duration, takes_over: bool) -> usize {
        let (end, mut dealt) = (Instant::now() + time, 0);
        let deck: usize = DECK.iter().map(|(_, times)| times).sum();
        while Instant::now() < end || dealt < deck {
            dealt += 1;
            let deed = self.deal();
            if takes_over || deed != Deed::TakeOver {
                self.ledger.note(format!("{deed:?}"));
                self.act(deed).await;
                self.ledger.note(format!("{deed:?} is done"));
                self.done += 1;
            }
            tokio::time::sleep(Duration::from_millis(self.random.u64(PAUSE_MS))).await;
        }
        while self.recovering.join_next().await.is_some() {}
        self.done
    }

    fn deal(&mut self) -> Deed {
        if self.deck.is_empty() {
            self.deck = DECK.iter().flat_map(|&(deed, times)| vec![deed; times]).collect();
            self.random.shuffle(&mut self.deck);
        }
        self.deck.pop().expect("a fresh deck has cards")
    }

    async fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Weights => self.weigh().await,
            Deed::Switch => self.switch().await,
            Deed::RollBack => {
                let service = self.service();
                self.ask("POST", &format!("/v1/services/{service}/rollback"), json!({})).await;
            }
            Deed::Drain => self.drain().await,
            Deed::Replace => self.replace().await,
            Deed::Release => self.release().await,
            Deed::Steer => self.steer().await,
            Deed::Reload => self.stage.reload(&mut self.random),
            Deed::Certificate => self.stage.renew(&mut self.random),
            Deed::MoveLog => self.stage.move_log(),
            Deed::Look => {
                self.ask("GET", "/v1/status", json!({})).await;
                self.ask("GET", "/v1/services/chat/comparison", json!({})).await;
            }
            Deed::Kill => self.hurt(Server::close, Some(What::Killed)),
            Deed::Reset => self.reset(),
            Deed::Stall => self.hurt(Server::stall, None),
            Deed::TakeOver => {
                self.ledger.takes_over();
                self.stage.take_over().await;
            }
        }
    }

    fn service(&mut self) -> &'static str {
        if self.random.u32(0..4) == 0 { "tunnels" } else { "chat" }
    }

    fn environment(&mut self) -> &'static str {
        if self.random.bool() { "blue" } else { "green" }
    }

    async fn weigh(&mut self) {
        let service = self.service();
        let teal = if service == "chat" { self.random.u32(0..40) } else { 0 };
        let blue = self.random.u32(0..=100 - teal);
        let mut weights = json!({ "blue": blue, "green": 100 - teal - blue });
        if service == "chat" {
            weights["teal"] = teal.into();
        }
        let path = format!("/v1/services/{service}/weights");
        self.ask("PUT", &path, json!({ "weights": weights })).await;
    }

    async fn switch(&mut self) {
        let (service, to) = (self.service(), self.environment());
        self.ask("POST", &format!("/v1/services/{service}/switch"), json!({ "to": to })).await;
    }

    /// Takes an environment out, and drains it; the next weights end that.
    async fn drain(&mut self) {
        let (service, environment) = (self.service(), self.environment());
        let other = if environment == "blue" { "green" } else { "blue" };
        let mut weights = json!({ environment: 0, other: 100 });
        if service == "chat" {
            weights["teal"] = 0.into();
        }
        let path = format!("/v1/services/{service}/weights");
        self.ask("PUT", &path, json!({ "weights": weights })).await;
        let path = format!("/v1/services/{service}/environments/{environment}/drain?wait=false");
        self.ask("POST", &path, json!({ "deadline": DRAIN_DEADLINE })).await;
    }

    /// Gives an environment other upstreams.
    async fn replace(&mut self) {
        let environment = self.environment();
        let mut urls = self.stage.urls();
        self.random.shuffle(&mut urls);
        urls.truncate(self.random.usize(1..=UPSTREAMS_MAX));
        let path = format!("/v1/services/chat/environments/{environment}");
        self.ask("PUT", &path, json!({ "upstreams": urls })).await;
    }

    /// Begins a rollout with short steps; where it goes, the judge decides.
    async fn release(&mut self) {
        let body = json!({
            "steps": ["10% 500ms 1", "50% 500ms 1", "100%"],
            "overrides": { "cool_down": "0s", "armed_for": "1s", "wait_max": "2s" },
            "again": true,
            "without_broken_limits": true,
        });
        let service = self.service();
        self.ask("POST", &format!("/v1/services/{service}/rollout"), body).await;
    }

    async fn steer(&mut self) {
        let actions = ["pause", "resume", "promote", "rollback"];
        let (service, action) = (self.service(), actions[self.random.usize(0..actions.len())]);
        self.ask("POST", &format!("/v1/services/{service}/rollout/{action}"), json!({})).await;
    }

    /// Does something to an upstream that is well, for a while.
    fn hurt(&mut self, deed: fn(&Server), what: Option<What>) {
        let server = self.server();
        let time = Duration::from_millis(self.random.u64(HARM_MS));
        if !server.is_well() {
            return;
        }
        if let Some(what) = what {
            self.ledger.harm(server.address, what);
        }
        deed(&server);
        let ledger = Arc::clone(&self.ledger);
        self.recovering.spawn(async move {
            tokio::time::sleep(time).await;
            server.heal();
            ledger.heal(server.address);
        });
    }

    fn reset(&mut self) {
        let server = self.server();
        self.ledger.harm(server.address, What::Reset);
        server.reset();
    }

    fn server(&mut self) -> Arc<Server> {
        let index = self.random.usize(0..self.stage.servers.len());
        Arc::clone(&self.stage.servers[index])
    }

    /// A call of the admin API, which may be refused in words, but not fail.
    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let mut client = Client::connect(self.stage.admin()).await;
        let (status, answer) = call(&mut client, method, path, &body.to_string()).await;
        if !matches!(status, 200 | 202 | 409 | 412 | 422) {
            self.ledger.complain(format!("{method} {path} {body}: {status} {answer}"));
        }
        answer
    }
}
