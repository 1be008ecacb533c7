//! A whole Cyan inside the test: both planes, the admin API, a state directory of its own.

use std::net::SocketAddr;

use cyan::app::App;
use cyan::config::Config;
use cyan::config::resolved::{AdminSpec, ShutdownSpec};
use cyan::control_plane::command::{Applied, Command, Refused, Request};
use cyan::control_plane::totals::Totals;
use cyan::model::environment::EnvironmentSpec;
use cyan::model::listener::{ListenAddress, ListenerSpec};
use cyan::model::name::Name;
use cyan::model::plan::Plans;
use cyan::model::routing_table::Weighted;
use cyan::model::service::{HeaderNames, InitialSplit, ServiceSpec, StreamErrors};
use cyan::model::sticky::StickyRule;
use cyan::model::timeouts::ClientTimeouts;
use cyan::model::weight::Weight;
use tempfile::TempDir;

use super::client::Client;
use super::program::{self, Run};
use super::served::call;
use super::upstream::Upstream;
use super::{eventually, in_time};

/// A proxy to be.
pub struct Builder {
    /// Its config, open for changes.
    pub config: Config,
    state: TempDir,
}

/// A running proxy; it stops when dropped.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    app: Option<App>,
    _state: TempDir,
}

/// A name in a test.
pub fn name(text: &str) -> Name {
    Name::new(text).expect("tests use names")
}

/// An environment with these upstreams.
pub fn environment(environment: &str, upstreams: &[&Upstream]) -> EnvironmentSpec {
    let urls = upstreams.iter().map(|upstream| upstream.url().parse().expect("a url"));
    EnvironmentSpec::new(name(environment), urls.collect())
}

/// Weights in percent.
pub fn weights(pairs: &[(&str, f64)]) -> Vec<Weighted> {
    let weighted = |(environment, percent): &(&str, f64)| Weighted {
        environment: name(environment),
        weight: Weight::from_percent(*percent).expect("a share"),
    };
    pairs.iter().map(weighted).collect()
}

impl Builder {
    /// A service `chat` with these environments; the first is active and has everything, the second is
    /// the candidate.
    pub fn new(environments: Vec<EnvironmentSpec>) -> Self {
        let state = tempfile::tempdir().expect("a temporary folder");
        let share = |index| if index == 0 { Weight::FULL } else { Weight::ZERO };
        let weights = environments.iter().enumerate().map(|(index, environment)| Weighted {
            environment: environment.name.clone(),
            weight: share(index),
        });
        let initial = InitialSplit {
            active: environments[0].name.clone(),
            candidate: environments.get(1).map(|environment| environment.name.clone()),
            fallback: None,
            weights: weights.collect(),
        };
        let service = ServiceSpec {
            name: name("chat"),
            hosts: Vec::new(),
            path_prefixes: Vec::new(),
            sticky: StickyRule::default(),
            headers: HeaderNames::default(),
            force: None,
            body_bytes_max: 32 << 20,
            body_bytes_by_path: Vec::new(),
            stream_errors: StreamErrors::Cut,
            requests_per_client: None,
            quality: None,
            smoke: std::sync::Arc::default(),
            warm_up: None,
            environments,
            initial,
            plans: Plans::default(),
        };
        let listener = ListenerSpec {
            address: ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address")),
            tls: None,
            trusted_proxies: Vec::new(),
            trusts_unix: false,
            expects_proxy_header: false,
            timeouts: ClientTimeouts::default(),
            connections_max: 10_000,
            connections_per_address_max: None,
            head_bytes_max: 32 * 1024,
        };
        let config = Config {
            listeners: vec![listener],
            admin: AdminSpec {
                address: ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address")),
                public_url: None,
                token: None,
                tokens: vec![],
            },
            state_dir: state.path().to_owned(),
            workers: Some(2),
            services: vec![service],
            shutdown: ShutdownSpec {
                pre_stop: std::time::Duration::ZERO,
                // A client that a test still holds cannot leave while the proxy is dropped.
                drain: std::time::Duration::from_millis(200),
            },
            access_log: None,
            otlp: None,
            hooks: vec![],
            body_buffer_bytes_max: 64 << 20,
            from_variables: std::collections::BTreeSet::new(),
            files: std::collections::BTreeSet::new(),
        };
        Self { config, state }
    }

    /// What a config file with this text says; it needs neither listeners nor a state directory.
    pub fn configured(text: &str) -> Self {
        let state = tempfile::tempdir().expect("a temporary folder");
        let path = state.path().join("cyan.toml");
        let top = "listen.http = '127.0.0.1:0'\nadmin.address = '127.0.0.1:0'\nworkers = 2\n\
                   shutdown.drain = '200ms'\n";
        let state_dir = state.path().join("state");
        let text = format!("state_dir = '{}'\n{top}{text}", state_dir.display());
        std::fs::write(&path, text).expect("a temporary folder takes files");
        let config =
            cyan::config::load(&path, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        Self { config, state }
    }

    /// Changes the only service.
    pub fn service(mut self, change: impl FnOnce(&mut ServiceSpec)) -> Self {
        change(&mut self.config.services[0]);
        self
    }

    /// Changes the only listener.
    pub fn listener(mut self, change: impl FnOnce(&mut ListenerSpec)) -> Self {
        change(&mut self.config.listeners[0]);
        self
    }

    /// Starts it.
    pub fn start(self) -> Proxy {
        let app = App::start(&self.config, None).expect("the proxy starts");
        let address = app.public_addresses()[0];
        Proxy { address, app: Some(app), _state: self.state }
    }
}

impl Proxy {
    /// A proxy before one environment, `blue`.
    pub fn before(upstream: &Upstream) -> Self {
        Builder::new(vec![environment("blue", &[upstream])]).start()
    }

    /// A proxy between two, `blue` active and `green` its candidate.
    pub fn between(blue: &Upstream, green: &Upstream) -> Self {
        let environments = vec![environment("blue", &[blue]), environment("green", &[green])];
        Builder::new(environments).start()
    }

    /// A new client.
    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The app itself.
    pub fn app(&self) -> &App {
        self.app.as_ref().expect("it runs until it is dropped")
    }

    /// Its admin API.
    pub fn admin_address(&self) -> SocketAddr {
        let ListenAddress::Tcp(address) = self.app().admin_address() else { panic!("it is TCP") };
        *address
    }

    /// A call of its admin API: the status and the answer.
    pub async fn admin(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        call(&mut Client::connect(self.admin_address()).await, method, path, body).await
    }

    /// `cyan` with these arguments, asking its admin API.
    pub async fn cyan(&self, arguments: &[&str]) -> Run {
        let url = format!("http://{}", self.admin_address());
        program::cyan(&[arguments, &["--admin", &url]].concat()).await
    }

    /// Begins to end it, as SIGTERM does; the handle waits for the end.
    pub fn shut_down(mut self) -> tokio::task::JoinHandle<()> {
        let app = self.app.take().expect("it runs until it is dropped");
        tokio::task::spawn_blocking(move || app.shutdown())
    }

    /// Asks the controller for a change.
    pub async fn ask(&self, command: Command) -> Result<Applied, Refused> {
        let request = Request { actor: "test".into(), reason: None, command };
        in_time(self.app().controller().submit(request)).await
    }

    /// Sets weights, which has to succeed.
    pub async fn set_weights(&self, pairs: &[(&str, f64)]) -> Applied {
        let command = Command::SetWeights {
            service: name("chat"),
            weights: weights(pairs),
            candidate: None,
            if_generation: None,
        };
        self.ask(command).await.expect("the weights are taken")
    }

    /// Switches, which has to succeed.
    pub async fn switch(&self, to: &str) -> Applied {
        let command =
            Command::Switch { service: name("chat"), to: Some(name(to)), if_generation: None };
        self.ask(command).await.expect("the switch is taken")
    }

    /// Exchanges in flight in an environment.
    pub fn in_flight(&self, environment: &str) -> u32 {
        let snapshot = self.app().controller().snapshot();
        let table = snapshot.table("chat").expect("the service exists");
        table.environment(environment).map_or(0, |environment| environment.in_flight.count())
    }

    /// How many exchanges of an environment ended with a verdict, as collected so far.
    pub fn verdicts(&self, environment: &str, verdict: cyan::model::verdict::Verdict) -> u64 {
        let totals = self.app().controller().totals();
        let counts = totals.environments.values().find(|totals| totals.environment == *environment);
        counts.map_or(0, |totals| totals.counts.tallies.verdicts[verdict as usize])
    }

    /// Waits until a verdict was counted so often, nothing is in flight and the sums add up.
    pub async fn settles(
        &self,
        environment: &str,
        verdict: cyan::model::verdict::Verdict,
        count: u64,
    ) {
        let what = format!("{count} x {verdict:?} in {environment}");
        eventually(&what, || self.verdicts(environment, verdict) == count).await;
        self.adds_up().await;
    }

    /// Waits until nothing is in flight and every request that began has been recorded exactly once.
    pub async fn adds_up(&self) {
        let controller = self.app().controller();
        let in_flight = || -> u32 {
            let view = controller.view();
            view.iter().flat_map(|service| &service.environments).map(|e| e.in_flight).sum()
        };
        eventually("sums add up", || {
            let sums = Sums::of(&controller.totals());
            in_flight() == 0 && sums.began == sums.ended
        })
        .await;
    }
}

/// Requests as the cores counted them.
struct Sums {
    began: u64,
    ended: u64,
}

impl Sums {
    fn of(totals: &Totals) -> Self {
        let judged = totals.environments.values().map(|e| e.counts.tallies.judged());
        let refused: u64 = totals.refused.values().sum();
        Self { began: totals.requests, ended: judged.sum::<u64>() + refused }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Ending blocks, and a test's event loop may have to let connections go meanwhile.
        let Some(app) = self.app.take() else { return };
        let controller = app.controller().clone();
        let _ = std::thread::spawn(move || app.shutdown()).join();
        if !std::thread::panicking() {
            let sums = Sums::of(&controller.totals());
            assert_eq!(sums.began, sums.ended, "every request that began has ended, and once");
        }
    }
}
