//! The judge at work on real traffic: requests through both planes, notes, records, decisions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cyan::control_plane::observation::{Kept, Observation, Observed, Party, Subject};
use cyan::judge::chosen_judge::ChosenJudge;
use cyan::judge::decision::{Breach, Decision, Judge, Waiting};
use cyan::judge::order::Order;
use cyan::judge::record::{Both, Record};
use cyan::judge::settings::Settings;
use cyan::model::plan::LatencySignal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::in_time;
use crate::support::proxy::{Proxy, name};
use crate::support::upstream::{Upstream, Visit};

const USERS: u64 = 400;
/// Clients, and how long each waits between two requests: some 100 requests per second.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(40);

/// Blue answers; green does until it is told to fail. Users come, 10 % of them to green.
struct Rollout {
    proxy: Proxy,
    fails: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    _upstreams: [Upstream; 2],
    _users: JoinSet<()>,
}

impl Rollout {
    async fn start() -> Self {
        let (fails, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let blue = Upstream::replying(200, "hello").await;
        let green = {
            let (fails, failed) = (Arc::clone(&fails), Arc::clone(&failed));
            Upstream::scripted(move |visit| answer(visit, Arc::clone(&fails), Arc::clone(&failed)))
                .await
        };
        let proxy = Proxy::between(&blue, &green);
        let mut users = JoinSet::new();
        for number in 0..CLIENTS {
            users.spawn(ask_for_ever(Client::connect(proxy.address).await, number as u64));
        }
        Self { proxy, fails, failed, _upstreams: [blue, green], _users: users }
    }

    fn observe(&self, kept: Option<Kept>, records: Option<mpsc::Sender<Record>>) -> Observation {
        let controller = self.proxy.app().controller();
        let table = Arc::clone(controller.snapshot().table("chat").expect("the only service"));
        let party = |text: &str| {
            let id = table.environment(text).expect("it is configured").id;
            Party { id, name: name(text) }
        };
        let subject = Subject {
            service: name("chat"),
            rollout: 1,
            environments: Both { active: party("blue"), candidate: party("green") },
            settings: Settings::default(),
            latency_max: Duration::from_secs(5),
            signal: LatencySignal::Auto,
            seed: 7,
        };
        controller.observe(subject, kept, records)
    }

    async fn step(&self, observation: &Observation) {
        let began = Instant::now();
        self.proxy.set_weights(&[("blue", 90.0), ("green", 10.0)]).await;
        observation.change(0.1, true, began);
    }
}

async fn answer(mut visit: Visit, fails: Arc<AtomicBool>, failed: Arc<AtomicU64>) {
    while visit.request().await.is_some() {
        if fails.load(Ordering::SeqCst) {
            failed.fetch_add(1, Ordering::SeqCst);
            visit.send("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno").await;
        } else {
            visit.send("HTTP/1.1 200 Yes\r\ncontent-length: 5\r\n\r\nhello").await;
        }
    }
}

async fn ask_for_ever(mut client: Client, number: u64) {
    let mut random = fastrand::Rng::with_seed(number);
    loop {
        let user = random.u64(0..USERS);
        client.get("/", &format!("x-user-id: user-{user}\r\n")).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn until(
    observed: &mut watch::Receiver<Observed>,
    is_so: impl FnMut(&Observed) -> bool,
) -> Observed {
    in_time(observed.wait_for(is_so)).await.expect("the observation goes on").clone()
}

fn is_rolled_back(observed: &Observed) -> bool {
    matches!(observed.decision, Decision::RollBack(_))
}

#[tokio::test]
async fn a_candidate_that_fails_everything_is_found_within_seconds() {
    let rollout = Rollout::start().await;
    let (told, mut records) = mpsc::channel(4_096);
    let observation = rollout.observe(None, Some(told));
    rollout.step(&observation).await;
    let mut observed = observation.watch();
    let healthy = until(&mut observed, |observed| observed.requests >= 15).await;
    assert_eq!(healthy.decision, Decision::Wait(Waiting::Baking));
    rollout.fails.store(true, Ordering::SeqCst);
    let onset = Instant::now();
    let found = until(&mut observed, is_rolled_back).await;
    let (took, failed) = (onset.elapsed(), rollout.failed.load(Ordering::SeqCst));
    println!("found after {took:?} and {failed} failed requests of {}", found.requests);
    assert!(took < Duration::from_secs(5) && failed < 40, "{took:?}, {failed} failed");
    assert!((found.share - 0.1).abs() < 1e-9 && found.explanation.evidence.unwrap() >= 100.0);
    drop(observation);
    let mut heard = Vec::new();
    while let Ok(record) = records.try_recv() {
        heard.push(record);
    }
    assert_replays(&heard, found.tick, found.decision);
}

/// The same records, heard again by another judge, lead to the same decision at the same tick.
fn assert_replays(records: &[Record], tick: cyan::judge::tick::Tick, decision: Decision) {
    let (mut order, mut judge) = (Order::default(), ChosenJudge::new(Settings::default()));
    for record in records {
        order.hear(record).expect("what a recorder owes");
        match record {
            Record::Change(change) => judge.change(change),
            Record::Tick(heard) => {
                judge.observe(heard);
                let replayed = judge.decide();
                if matches!(replayed, Decision::RollBack(Breach::Metric(_))) {
                    assert!(heard.now <= tick && replayed == decision, "{replayed:?}");
                    return;
                }
            }
            Record::Start(_) | Record::Resume(_) => {}
        }
    }
    panic!("the replay of {} records finds nothing", records.len());
}

#[tokio::test]
async fn a_healthy_candidate_goes_on_and_so_does_its_evidence_after_a_restart() {
    let rollout = Rollout::start().await;
    let observation = rollout.observe(None, None);
    rollout.step(&observation).await;
    let mut observed = observation.watch();
    let healthy = until(&mut observed, |observed| {
        assert!(!is_rolled_back(observed), "{observed:?}");
        observed.requests >= 25
    });
    let before = healthy.await;
    assert_eq!(before.decision, Decision::Wait(Waiting::Baking));
    assert_eq!((before.losses.lost, before.losses.ticks_without_core), (0, 0));
    let kept = serde_json::to_string(&observation.keep()).unwrap();
    println!("{} bytes are kept after {:?}", kept.len(), before.tick);
    drop(observation);
    let again = rollout.observe(Some(serde_json::from_str(&kept).unwrap()), None);
    let after = until(&mut again.watch(), |observed| observed.requests >= 35).await;
    assert!(after.tick > before.tick && after.since == before.since);
    assert_eq!(after.decision, Decision::Wait(Waiting::Baking), "it bakes on, without a new step");
}
