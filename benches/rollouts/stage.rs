//! What a run plays on: the real program, two emulated LLM servers, and users.
//!
//! Each stage has ports, threads and a state of its own, so that several can play at a time.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use cyan::demo::mock_llm::{Faults, MockLlm, MockOptions, TokenCount};
use cyan::demo::traffic::{Traffic, TrafficOptions};

use crate::admin::Admin;
use crate::process::Cyan;
use crate::scenario::{Pace, Scenario};

/// Names of the environments; the first is active at the beginning.
pub(crate) const NAMES: [&str; 2] = ["blue", "green"];

/// Everything that runs. Fields are in the order in which they must end: first who asks, last who answers.
pub(crate) struct Stage {
    /// The users.
    pub(crate) traffic: Traffic,
    /// The proxy's process.
    pub(crate) cyan: Cyan,
    /// The emulated servers, in the order of their names.
    pub(crate) mocks: [MockLlm; 2],
}

impl Stage {
    /// Starts everything; users ask from now on. `others` are more environments, each with 10 %.
    pub(crate) fn open(
        scenario: &Scenario,
        cyan: &Path,
        seed: u64,
        others: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let mock = |index: usize, pace: Pace| -> Result<MockLlm, Box<dyn Error>> {
            let seed = seed.wrapping_mul(2) + index as u64;
            let faults = Faults::from_pairs(scenario.usual)?;
            Ok(MockLlm::start(MockOptions { seed, faults, ..options(NAMES[index], pace)? })?)
        };
        let mocks = [mock(0, scenario.blue)?, mock(1, scenario.green)?];
        let addresses = [mocks[0].address(), mocks[1].address()];
        let cyan = Cyan::start(cyan, &service(scenario, addresses, others))?;
        let answer_max = scenario.blue.answer_max().max(scenario.green.answer_max());
        let traffic = Traffic::start(TrafficOptions {
            users: scenario.users,
            rate: f64::from(scenario.rate),
            streaming: 1.0,
            in_flight_max: usize::try_from(u64::from(scenario.rate) * answer_max.as_secs())?,
            requests_max: u64::MAX,
            seed,
            ..TrafficOptions::towards(cyan.address)
        })?;
        Ok(Self { traffic, cyan, mocks })
    }

    /// Its admin API.
    pub(crate) fn admin(&self) -> Admin {
        Admin(self.cyan.admin)
    }
}

fn options(name: &str, pace: Pace) -> Result<MockOptions, Box<dyn Error>> {
    Ok(MockOptions {
        ttft: pace.ttft.parse()?,
        gap: pace.gap.parse()?,
        tokens: TokenCount::fixed(pace.tokens),
        cold_factor: pace.cold_factor,
        ..MockOptions::named(name)
    })
}

/// The service, blue active with everything that `others` leave; they live on its server. Connecting may
/// take its time: a busy machine must not make an emulated server look unreachable.
fn service(scenario: &Scenario, addresses: [SocketAddr; 2], others: &[&str]) -> String {
    let steps: Vec<_> = scenario.steps.iter().map(|step| format!("\"{step}\"")).collect();
    let mut text = format!(
        "[service.llm]\nactive = \"blue\"\nsticky = [\"header:x-user-id\"]\n\
         [service.llm.rollout]\nsteps = [{}]\ncool_down = \"0s\"\n\
         [service.llm.rollout.comparison]\nerror_rate = {}\n",
        steps.join(", "),
        scenario.failures_max,
    );
    let rest = 100 - 10 * others.len();
    let pair = NAMES.iter().zip(addresses).zip([rest, 0]);
    let others = others.iter().map(|name| ((name, addresses[0]), 10));
    for ((name, address), weight) in pair.chain(others) {
        text.push_str(&format!(
            "[service.llm.environment.{name}]\nupstreams = [\"http://{address}\"]\nweight = {weight}\n\
             health.path = \"/health\"\ntimeouts.connect = \"5s\"\n"
        ));
    }
    text
}
