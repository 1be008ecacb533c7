//! What the story plays on: two emulated LLM servers, Cyan, and traffic through it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use super::fault::healthy;
use super::mock_llm::{MockLlm, MockOptions};
use super::pace::Pace;
use super::settings::{Places, text};
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
    /// The program that asks the quality gate's questions.
    pub(super) evaluator: Option<PathBuf>,
}

/// Everything that runs. Fields are in the order in which they must end: first who asks, last who
/// answers.
pub(super) struct Stage {
    pub(super) traffic: Traffic,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) rate: f64,
    pub(super) green: MockLlm,
    blue: MockLlm,
    proxy: App,
    state: StateDirectory,
}

impl Stage {
    pub(super) fn open(options: &StageOptions, pace: &Pace) -> Result<Self, String> {
        let blue = mock("blue", "mock-1.0", 1)?;
        let green = mock("green", "mock-1.1", 2)?;
        let state = StateDirectory::make()?;
        let places = Places {
            port: free_port(options.port)?,
            admin_port: free_port(options.admin_port)?,
            state: &state.0,
            blue: blue.url(),
            green: green.url(),
            evaluator: options.evaluator.clone(),
        };
        let text = text(&places, pace);
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
        Ok(Self { traffic, public, admin, rate: options.rate, green, blue, proxy, state })
    }

    /// Ends the traffic, counts everything, and stops the rest.
    pub(super) fn close(self) -> Tally {
        let tally = self.traffic.finish();
        self.proxy.shutdown();
        drop((self.blue, self.green, self.state));
        tally
    }
}

fn mock(name: &str, version: &str, seed: u64) -> Result<MockLlm, String> {
    let version = version.to_owned();
    let mut options = MockOptions { version, seed, faults: healthy(), ..MockOptions::named(name) };
    options.ttft = "lognormal:60ms,0.4".parse().map_err(|e| format!("{e}"))?;
    options.gap = "lognormal:12ms,0.3".parse().map_err(|e| format!("{e}"))?;
    options.tokens = "uniform:10..60".parse().map_err(|e| format!("{e}"))?;
    MockLlm::start(options).map_err(|e| e.to_string())
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
