//! A rollout whose candidate is warmed up by copies of live requests: users notice nothing, and nothing of it
//! is evidence.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cyan::model::mirror::MirrorRule;
use cyan::model::mirror::counts::{CopyOutcome, MirrorCounts};
use cyan::model::plan::warm_up::{WarmUpRule, WarmUpSpec};
use cyan::model::verdict::Verdict;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::{Upstream, Visit};
use crate::support::{eventually, journalled};

const ROLLOUT: &str = "/v1/services/chat/rollout";
const ANSWER: &str = "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":\
    {\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\
    \"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}";
const CLIENTS: usize = 4;
const PLACES: u32 = 2;
const PER_SECOND: f64 = 50.0;

/// How many requests an upstream works on.
#[derive(Default)]
struct Load {
    now: AtomicU32,
    most: AtomicU32,
}

/// Blue answers at once; green works a while on each request, or never answers. Users come.
struct Warming {
    proxy: Proxy,
    green: Upstream,
    load: Arc<Load>,
    users: Users,
    began: Instant,
    _blue: Upstream,
}

/// Clients that ask one request after the other, until they are told to stop.
struct Users {
    asking: JoinSet<(u64, BTreeSet<(u16, String)>)>,
    stop: Arc<AtomicBool>,
}

impl Warming {
    async fn start(works: Option<Duration>, rule: WarmUpRule) -> Self {
        let load: Arc<Load> = Arc::default();
        let blue =
            Upstream::scripted(|visit| work(visit, Some(Duration::ZERO), Arc::default())).await;
        let green = {
            let load = Arc::clone(&load);
            Upstream::scripted(move |visit| work(visit, works, Arc::clone(&load))).await
        };
        let mirror = MirrorRule {
            share: 1.0,
            in_flight_max: PLACES,
            requests_per_second: PER_SECOND,
            paths: vec!["/v1/chat/completions".to_owned()],
            ..MirrorRule::default()
        };
        let timeout = Duration::from_secs(60);
        let spec = WarmUpSpec { synthetic: None, timeout, rule, mirror: Some(mirror) };
        let environments = vec![environment("blue", &[&blue]), environment("green", &[&green])];
        let builder = Builder::new(environments);
        let proxy = builder.service(|service| service.warm_up = Some(Arc::new(spec))).start();
        let users = Users::begin(&proxy).await;
        let began = Instant::now();
        let (status, answer) =
            proxy.admin("POST", ROLLOUT, &json!({"candidate": "green"}).to_string()).await;
        assert_eq!(status, 200, "{answer}");
        Self { proxy, green, load, users, began, _blue: blue }
    }

    async fn stage(&self) -> String {
        let (_, rollout) = self.proxy.admin("GET", ROLLOUT, "").await;
        rollout["stage"].as_str().unwrap_or_default().to_owned()
    }

    fn counts(&self) -> Arc<MirrorCounts> {
        let snapshot = self.proxy.app().controller().snapshot();
        let table = snapshot.table("chat").expect("the only service");
        Arc::clone(&table.environment("green").expect("it is configured").mirror)
    }

    /// Places that copies take; `None` without a tap.
    fn taken(&self) -> Option<u32> {
        let snapshot = self.proxy.app().controller().snapshot();
        snapshot.table("chat")?.mirror.as_ref().map(|tap| tap.in_flight())
    }

    /// Requests of users, copies or not, that green has been sent.
    fn asked(&self) -> Vec<String> {
        self.green.heads().into_iter().filter(|head| head.starts_with("POST")).collect()
    }

    /// Everything that was counted of green as of any environment.
    fn evidence(&self) -> u64 {
        Verdict::ALL.into_iter().map(|verdict| self.proxy.verdicts("green", verdict)).sum()
    }
}

/// Answers each request after it has worked on it; never, without a time.
async fn work(mut visit: Visit, works: Option<Duration>, load: Arc<Load>) {
    while visit.request().await.is_some() {
        let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(now, Ordering::SeqCst);
        match works {
            Some(works) => tokio::time::sleep(works).await,
            None => visit.until_closed().await,
        }
        load.now.fetch_sub(1, Ordering::SeqCst);
        let length = ANSWER.len();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
        visit.send(format!("{head}\r\ncontent-length: {length}\r\n\r\n{ANSWER}")).await;
    }
}

impl Users {
    async fn begin(proxy: &Proxy) -> Self {
        let (mut asking, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for number in 0..CLIENTS {
            asking.spawn(ask(proxy.client().await, number, Arc::clone(&stop)));
        }
        Self { asking, stop }
    }

    /// How many requests there were, and what came of them.
    async fn end(&mut self) -> (u64, BTreeSet<(u16, String)>) {
        self.stop.store(true, Ordering::SeqCst);
        let (mut count, mut seen) = (0, BTreeSet::new());
        while let Some(ended) = self.asking.join_next().await {
            let (own, said) = ended.expect("users are answered");
            count += own;
            seen.extend(said);
        }
        (count, seen)
    }
}

/// Asks for ever: how often, and with which status and by which environment it was answered.
async fn ask(
    mut client: Client,
    number: usize,
    stop: Arc<AtomicBool>,
) -> (u64, BTreeSet<(u16, String)>) {
    let (mut count, mut seen) = (0, BTreeSet::new());
    while !stop.load(Ordering::SeqCst) {
        let body = json!({"model": "m", "messages": [], "user": format!("{number}-{count}")});
        let answer = client.post("/v1/chat/completions", "", &body.to_string()).await;
        let by = answer.header("x-deployment").unwrap_or_default().to_owned();
        assert_eq!((answer.is_whole, answer.text().as_str()), (true, ANSWER));
        seen.insert((answer.status, by));
        count += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (count, seen)
}

fn only_blue() -> BTreeSet<(u16, String)> {
    BTreeSet::from([(200, "blue".to_owned())])
}

/// A warm-up that takes as long as the test lets it.
fn endless() -> WarmUpRule {
    WarmUpRule { requests_min: 1_000_000, ..WarmUpRule::default() }
}

#[tokio::test]
async fn a_candidate_gets_copies_within_its_budget_and_no_evidence_comes_of_them() {
    let mut warming = Warming::start(Some(Duration::from_millis(20)), endless()).await;
    let counts = warming.counts();
    eventually("sixty copies are answered", || {
        assert!(warming.taken().unwrap_or_default() <= PLACES);
        counts.verdicts(Verdict::Complete) >= 60
    })
    .await;
    assert_eq!(warming.stage().await, "warm_up");
    let (asked, seen) = warming.users.end().await;
    assert_eq!(seen, only_blue(), "whoever served users");
    assert!(asked > 60);
    let copies = warming.asked();
    assert!(copies.iter().all(|head| head.contains("\r\nx-cyan-mirror: 1\r\n")), "{copies:#?}");
    assert!(copies.iter().all(|head| head.contains("\r\nx-deployment: green\r\n")));
    let budget = PER_SECOND * warming.began.elapsed().as_secs_f64() + 1.0;
    let number = f64::from(u32::try_from(copies.len()).unwrap());
    assert!(number <= budget, "{number} copies, at most {budget}");
    assert!(warming.load.most.load(Ordering::SeqCst) <= PLACES);
    eventually("every place is free", || warming.taken() == Some(0)).await;
    let drawn: u64 = CopyOutcome::ALL.into_iter().map(|outcome| counts.copies(outcome)).sum();
    assert!(drawn <= asked && counts.copies(CopyOutcome::Offered) == copies.len() as u64);
    warming.proxy.adds_up().await;
    assert_eq!(warming.evidence(), 0);
    let (_, rollout) = warming.proxy.admin("GET", ROLLOUT, "").await;
    assert!(rollout["judge"]["requests"].as_u64().unwrap_or_default() == 0, "{rollout:#}");
}

#[tokio::test]
async fn a_candidate_that_never_answers_costs_users_nothing() {
    let mut warming = Warming::start(None, endless()).await;
    let counts = warming.counts();
    eventually("its places are taken", || warming.taken() == Some(PLACES)).await;
    let before = counts.copies(CopyOutcome::OverBudget);
    eventually("users are served", || counts.copies(CopyOutcome::OverBudget) > before + 200).await;
    assert_eq!(warming.users.end().await.1, only_blue());
    let (status, _) = warming.proxy.admin("POST", &format!("{ROLLOUT}/rollback"), "{}").await;
    assert_eq!(status, 200);
    eventually("the tap is gone", || warming.taken().is_none()).await;
    eventually("its connections are closed", || {
        warming.green.closed() == warming.green.connections()
    })
    .await;
    assert_eq!(warming.asked().len(), PLACES as usize);
    assert_eq!(warming.evidence(), 0);
}

#[tokio::test]
async fn a_warm_candidate_meets_users_and_copies_end() {
    let rule = WarmUpRule {
        window: Duration::from_millis(300),
        requests_min: 5,
        tolerance: 1.0,
        ..WarmUpRule::default()
    };
    let mut warming = Warming::start(Some(Duration::from_millis(20)), rule).await;
    eventually("the tap opens", || warming.taken().is_some()).await;
    eventually("the tap closes", || warming.taken().is_none()).await;
    assert_eq!(warming.stage().await, "ramp");
    warming.users.end().await;
    let details = journalled(warming.proxy.app().controller(), "gate_passed").await.details;
    let answered = details["mirror"]["answered"].as_u64().unwrap_or_default();
    assert!(answered >= 10 && details["mirror"]["failed"] == json!(0), "{details:#}");
    assert_eq!(details["synthetic"]["requests"], json!(0));
    assert!(details["p99_after_ms"].as_f64().is_some_and(|ms| ms >= 20.0), "{details:#}");
    let offered = warming.counts().copies(CopyOutcome::Offered);
    let mut client = warming.proxy.client().await;
    client.post("/v1/chat/completions", "", "{}").await;
    assert_eq!(warming.counts().copies(CopyOutcome::Offered), offered);
}
