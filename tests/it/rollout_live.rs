//! Whole rollouts, with real time and real requests: one of a healthy environment, one of a broken one.
//!
//! `benches/rollouts` measures the same again and again; here stands only what must hold every time.

use std::time::Duration;

use cyan::demo::mock_llm::{Faults, MockLlm, MockOptions};
use cyan::demo::traffic::{Traffic, TrafficOptions};
use cyan::model::environment::EnvironmentSpec;
use cyan::model::listener::ListenAddress;
use cyan::model::plan::{Step, WrittenStep};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::proxy::{Builder, Proxy, name};
use crate::support::served::call;

/// A step lasts 15 s at least, whatever its plan says: answers are read until they are that old.
const PATIENCE: Duration = Duration::from_secs(90);

fn mock(name: &str, faults: Faults) -> MockLlm {
    MockLlm::start(MockOptions { faults, ..MockOptions::named(name).instant() }).unwrap()
}

fn environment(mock: &MockLlm, text: &str) -> EnvironmentSpec {
    EnvironmentSpec::new(name(text), vec![mock.url().parse().unwrap()])
}

/// Half of the users, then all.
fn between(blue: &MockLlm, green: &MockLlm) -> Proxy {
    let environments = vec![environment(blue, "blue"), environment(green, "green")];
    let builder = Builder::new(environments).service(|service| {
        let step = |text: &str| text.parse::<WrittenStep>().unwrap().complete(service.plans.pace);
        let steps: Vec<Step> = ["50% 1s 20", "100%"].map(step).into();
        service.plans.default.steps = steps;
        // What no machine is late by, however busy.
        service.plans.default.comparison.latency_p99_margin = Duration::from_secs(60);
    });
    builder.start()
}

fn users(proxy: &Proxy, rate: f64) -> Traffic {
    let options = TrafficOptions { users: 200, rate, ..TrafficOptions::towards(proxy.address) };
    Traffic::start(options).unwrap()
}

/// Starts a rollout of green and waits until it stands at one of these stages.
async fn roll_out(proxy: &Proxy, until: &[&str]) -> Value {
    let ListenAddress::Tcp(admin) = *proxy.app().admin_address() else { panic!("it is TCP") };
    let mut client = Client::connect(admin).await;
    let start = json!({ "candidate": "green" }).to_string();
    let (code, started) = call(&mut client, "POST", "/v1/services/chat/rollout", &start).await;
    assert_eq!(code, 200, "{started}");
    let ending = async {
        loop {
            let (_, now) = call(&mut client, "GET", "/v1/services/chat/rollout", "").await;
            if until.iter().any(|stage| now["stage"] == *stage) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ending).await.expect("the rollout ends in time")
}

const ENDS: [&str; 3] = ["switched", "rolled_back", "done"];

#[tokio::test]
async fn a_healthy_environment_comes_to_all_traffic_by_itself() {
    let (blue, green) = (mock("blue", Faults::default()), mock("green", Faults::default()));
    let proxy = between(&blue, &green);
    let users = users(&proxy, 100.0);
    let rollout = roll_out(&proxy, &ENDS).await;
    assert_eq!((&rollout["stage"], &rollout["share_percent"]), (&json!("switched"), &json!(100.0)));
    let tally = users.finish();
    assert_eq!((tally.lost(), tally.skipped_total()), (0, 0), "{tally:?}");
    assert!(green.stats().requests_total() > 381);
}

#[tokio::test]
async fn an_environment_that_fails_every_request_is_left_after_a_few() {
    let (blue, green) = (
        mock("blue", Faults::default()),
        mock("green", Faults { status: 1.0, ..Faults::default() }),
    );
    let proxy = between(&blue, &green);
    let users = users(&proxy, 10.0);
    let rollout = roll_out(&proxy, &ENDS).await;
    assert_eq!(
        (&rollout["stage"], &rollout["share_percent"]),
        (&json!("rolled_back"), &json!(0.0))
    );
    assert!(rollout["cause"]["text"].as_str().unwrap().contains("100"), "{rollout}");
    let failed = green.stats().requests["/v1/chat/completions"];
    // 10 are the measured bound where a core is free; tests share theirs.
    assert!((3..=30).contains(&failed), "{failed} requests");
    let tally = users.finish();
    let lost = |name: &str| {
        let counts = tally.phases[0].environments.get(name);
        counts
            .map_or(0, |counts| counts.verdicts[cyan::model::verdict::Verdict::HttpError as usize])
    };
    assert_eq!((tally.lost(), lost("green")), (failed, failed), "only green's requests failed");
}
