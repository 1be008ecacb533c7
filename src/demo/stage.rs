//! What the story plays on: two emulated LLM servers, Cyan, and traffic through it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::mock_llm::{MockLlm, MockOptions};
use super::share::{Bound, percent_of};
use super::story::{Step, users_who_came_back};
use super::traffic::{Tally, Traffic, TrafficOptions};
use crate::app::App;
use crate::config::{HAS_OTLP, Surroundings, from_text, read_file};
use crate::model::listener::ListenAddress;

/// Ports tried, from the first one up.
const PORTS_TRIED: u16 = 50;

/// What may be chosen about a stage.
#[derive(Debug, Clone)]
pub(super) struct StageOptions {
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) users: u32,
    pub(super) rate: f64,
}

/// Everything that runs. Fields are in the order in which they must end: first who asks, last who
/// answers.
pub(super) struct Stage {
    pub(super) traffic: Traffic,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) rate: f64,
    pub(super) blue: MockLlm,
    green: MockLlm,
    proxy: App,
    state: StateDirectory,
}

/// How it all ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) text: String,
    pub(super) is_good: bool,
}

impl Stage {
    pub(super) fn open(options: &StageOptions) -> Result<Self, String> {
        let blue = mock("blue", "mock-1.0", 1)?;
        let green = mock("green", "mock-1.1", 2)?;
        let state = StateDirectory::make()?;
        let text = config_text(
            free_port(options.port)?,
            free_port(options.admin_port)?,
            &state.0,
            [&blue, &green],
        );
        let nothing = |_: &str| None;
        let surroundings =
            Surroundings { variable: &nothing, file: &read_file, has_otlp: HAS_OTLP };
        let config = from_text(&text, "demo", &surroundings).map_err(|e| e.to_string())?;
        let proxy = App::start(&config, None).map_err(|e| e.to_string())?;
        let ListenAddress::Tcp(admin) = *proxy.admin_address() else {
            return Err("the demo's admin API is not on TCP".to_owned());
        };
        let public = *proxy.public_addresses().first().ok_or("the demo's proxy has no address")?;
        let traffic = TrafficOptions {
            users: options.users,
            rate: options.rate,
            ..TrafficOptions::towards(public)
        };
        let traffic =
            Traffic::start(traffic).map_err(|e| format!("cannot start the traffic: {e}"))?;
        Ok(Self { traffic, public, admin, rate: options.rate, blue, green, proxy, state })
    }

    /// Ends the traffic, counts everything, and stops the rest.
    pub(super) fn close(self, steps: &[Step]) -> Ending {
        let tally = self.traffic.finish();
        self.proxy.shutdown();
        drop((self.blue, self.green, self.state));
        ending(&tally, steps)
    }
}

fn mock(name: &str, version: &str, seed: u64) -> Result<MockLlm, String> {
    let mut options = MockOptions { version: version.to_owned(), seed, ..MockOptions::named(name) };
    options.ttft = "lognormal:60ms,0.4".parse().map_err(|e| format!("{e}"))?;
    options.gap = "lognormal:12ms,0.3".parse().map_err(|e| format!("{e}"))?;
    options.tokens = "uniform:10..60".parse().map_err(|e| format!("{e}"))?;
    MockLlm::start(options).map_err(|e| e.to_string())
}

/// What `cyan serve` would read from a file. Connecting may take its time: everything runs on one
/// machine here, and a busy one must not make a healthy upstream look unreachable.
fn config_text(port: u16, admin_port: u16, state: &Path, mocks: [&MockLlm; 2]) -> String {
    let mut text = format!(
        "state_dir = '{}'\n\
         listen.http = \"127.0.0.1:{port}\"\n\
         admin.address = \"127.0.0.1:{admin_port}\"\n\
         shutdown.drain = \"2s\"\n\
         [service.chat]\nactive = \"blue\"\ncandidate = \"green\"\n\
         sticky.sources = [\"header:x-user-id\"]\n",
        state.display()
    );
    for (mock, (name, version)) in mocks.iter().zip([("blue", "mock-1.0"), ("green", "mock-1.1")]) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[service.chat.environment.{name}]\nversion = \"{version}\"\nupstreams = [\"{}\"]\n\
             health.path = \"/health\"\ntimeouts.connect = \"5s\"\n",
            mock.url()
        );
    }
    text
}

/// The first port from `first` on that nobody listens on.
fn free_port(first: u16) -> Result<u16, String> {
    let last = first.saturating_add(PORTS_TRIED);
    (first..=last)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| format!("the ports {first} to {last} are all taken; name another one"))
}

/// A directory for the proxy's state that goes when the demo does.
struct StateDirectory(PathBuf);

impl StateDirectory {
    fn make() -> Result<Self, String> {
        let name = format!("cyan-demo-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        // A file left in the system's temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Judges the whole story by everything that was counted.
fn ending(tally: &Tally, steps: &[Step]) -> Ending {
    let (requests, lost) = (tally.requests(), tally.lost());
    let mut text = format!("done: {requests} requests, {lost} lost");
    let mut is_good = lost == 0 && requests > 0;
    let skipped = tally.skipped_total();
    if skipped > 0 {
        is_good = false;
        let _ = write!(text, "\n{skipped} requests were not sent: too many were in flight");
    }
    let came_back = users_who_came_back(tally, steps);
    if came_back > 0 {
        is_good = false;
        let _ = write!(text, "\n{came_back} users went from green back to blue during the ramp");
    }
    for step in steps {
        let phase = &tally.phases[step.phase];
        let (green, all) = (phase.requests_of("green"), phase.requests());
        let share = percent_of(green, all);
        let bound = Bound::of(step.green_percent, phase.users(), all);
        if all == 0 || !bound.contains(share) {
            is_good = false;
            let _ = write!(
                text,
                "\n{}: green got {green} of {all} requests, {share:.1} %; {:.1} to {:.1} % were to be expected",
                step.name, bound.low_percent, bound.high_percent
            );
        }
    }
    Ending { text, is_good }
}
