//! The admin API over a real controller with a real state file. Its cores only answer; what they would
//! route is not of interest here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cyan::admin::{Admin, AdminListener, ReadConfig};
use cyan::config::Config;
use cyan::config::resolved::{AdminSpec, NamedToken, ShutdownSpec};
use cyan::control_plane::{Boot, ControllerHandle};
use cyan::link::{CoreLinks, CoreMessage};
use cyan::listen::SocketSet;
use cyan::metrics::feed::Feed;
use cyan::metrics::shard::ShardReport;
use cyan::model::environment::{EnvironmentSpec, Secret};
use cyan::model::listener::ListenAddress;
use cyan::model::name::Name;
use cyan::model::plan::Plans;
use cyan::model::role::Role;
use cyan::model::routing_table::Weighted;
use cyan::model::service::{HeaderNames, InitialSplit, ServiceSpec, StreamErrors};
use cyan::model::sticky::StickyRule;
use cyan::model::weight::Weight;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long a test waits for a state before it fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An admin API at work. It stops when dropped.
pub struct TestAdmin {
    pub address: SocketAddr,
    pub controller: ControllerHandle,
    /// While set, core 0 takes over nothing.
    pub stuck: Arc<AtomicBool>,
    serving: JoinHandle<()>,
    state_dir: tempfile::TempDir,
}

impl Drop for TestAdmin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a call was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header in ASCII"))
    }
}

impl TestAdmin {
    /// A service `chat` with blue (active, 100 %) and green (candidate).
    pub async fn start() -> Self {
        Self::with(None, None).await
    }

    pub async fn with(token: Option<&str>, read_config: Option<ReadConfig>) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        Self::of(config(&state, token), state, read_config).await
    }

    /// The same for callers with names: name, token, role.
    pub async fn for_callers(callers: &[(&str, &str, Role)]) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let mut config = config(&state, None);
        let named = |&(name, token, role): &(&str, &str, Role)| NamedToken {
            name: Name::new(name).expect("a name"),
            role,
            secret: Secret::new(token),
        };
        config.admin.tokens = callers.iter().map(named).collect();
        Self::of(config, state, None).await
    }

    /// The services of a config file with this text; it needs neither listeners nor a state directory.
    pub async fn configured(text: &str) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let path = state.path().join("cyan.toml");
        let top = "listen.http = '127.0.0.1:0'\nadmin.address = '127.0.0.1:0'\n";
        let top = format!("{top}state_dir = '{}'\n", state.path().join("state").display());
        std::fs::write(&path, top + text).expect("a temporary folder takes files");
        let config =
            cyan::config::load(&path, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        Self::of(config, state, None).await
    }

    async fn of(config: Config, state: tempfile::TempDir, read_config: Option<ReadConfig>) -> Self {
        let stuck = Arc::new(AtomicBool::new(false));
        let (mailbox, inbox) = mpsc::channel(1024);
        tokio::spawn(core(inbox, Arc::clone(&stuck)));
        let (_, reports) = mpsc::channel(1);
        let boot = Boot::open(&config).expect("a controller on an empty directory");
        let controller = boot.run(CoreLinks::new(vec![mailbox]), reports);
        let (mut inherited, mut kept) = (SocketSet::default(), SocketSet::default());
        let listener = AdminListener::bind(&config.admin.address, &mut inherited, &mut kept)
            .expect("a free port");
        let ListenAddress::Tcp(address) = *listener.address() else { unreachable!("bound to TCP") };
        let admin = Admin::new(controller.clone(), read_config, Feed::default());
        let serving = tokio::spawn(async move {
            let (_stays, leaving) = tokio::sync::watch::channel(false);
            cyan::admin::serve(listener, admin, leaving).await;
        });
        controller.started().await;
        Self { address, controller, stuck, serving, state_dir: state }
    }

    /// The file that holds its state.
    pub fn state_file(&self) -> std::path::PathBuf {
        self.state_dir.path().join("state").join("state.db")
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], "").await
    }

    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.call(Method::PUT, path, &[], body).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.call(Method::POST, path, &[], body).await
    }

    /// Follows events.
    pub async fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        let stream = TcpStream::connect(self.address).await.expect("the admin API listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let mut request = Request::get(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        let answer = answer.expect("in time").expect("an answer");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Stream { body: answer.into_body(), text: String::new() }
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
        let stream = TcpStream::connect(self.address).await.expect("the admin API listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let answer = async {
            let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
            let body = body.collect().await.expect("its whole body").to_bytes();
            Answer { status: head.status, headers: head.headers, body }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time")
    }
}

/// An answer that goes on.
pub struct Stream {
    body: Incoming,
    /// What was read and not taken.
    pub text: String,
}

impl Stream {
    /// Reads on until the text has `part`.
    pub async fn until(&mut self, part: &str) {
        let reading = async {
            while !self.text.contains(part) {
                let frame = self.body.frame().await.expect("the stream goes on").expect("no break");
                self.text
                    .push_str(std::str::from_utf8(frame.data_ref().expect("text")).expect("data"));
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.unwrap_or_else(|_| panic!("no {part} in {}", self.text));
    }

    /// The next event's data.
    pub async fn next_data(&mut self) -> Value {
        self.until("\n\n").await;
        let (event, rest) = self.text.split_once("\n\n").expect("an event was read");
        let data = event.strip_prefix("data: ").expect("an event of data alone");
        let data = serde_json::from_str(data).expect("JSON");
        self.text = rest.into();
        data
    }
}

/// Answers like a core that serves nobody.
async fn core(mut inbox: mpsc::Receiver<CoreMessage>, stuck: Arc<AtomicBool>) {
    let mut unanswered = Vec::new();
    while let Some(message) = inbox.recv().await {
        match message {
            // Relaxed: the flag orders nothing.
            CoreMessage::Quiesce(ack) if stuck.load(Ordering::Relaxed) => unanswered.push(ack),
            CoreMessage::Quiesce(ack) => ack.send(()).unwrap_or_default(),
            CoreMessage::Collect(reply) => drop(reply.send(ShardReport::default())),
            _ => {}
        }
    }
}

fn config(state: &tempfile::TempDir, token: Option<&str>) -> Config {
    let loopback = ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address"));
    Config {
        listeners: vec![],
        admin: AdminSpec {
            address: loopback,
            public_url: None,
            token: token.map(Secret::new),
            tokens: vec![],
        },
        state_dir: state.path().join("state"),
        workers: None,
        services: vec![chat()],
        shutdown: ShutdownSpec { pre_stop: Duration::ZERO, drain: Duration::from_secs(1) },
        access_log: None,
        otlp: None,
        hooks: vec![],
        body_buffer_bytes_max: 1 << 20,
        from_variables: std::collections::BTreeSet::new(),
        files: std::collections::BTreeSet::new(),
    }
}

fn chat() -> ServiceSpec {
    let name = |text: &str| Name::new(text).expect("a name");
    let environment = |text: &str, port: u16| {
        let upstream = format!("http://127.0.0.1:{port}").parse().expect("a url");
        EnvironmentSpec::new(name(text), vec![upstream])
    };
    let weighted = |text: &str, weight| Weighted { environment: name(text), weight };
    ServiceSpec {
        name: name("chat"),
        hosts: vec![],
        path_prefixes: vec![],
        sticky: StickyRule::default(),
        headers: HeaderNames::default(),
        force: None,
        body_bytes_max: 1 << 20,
        body_bytes_by_path: Vec::new(),
        stream_errors: StreamErrors::Cut,
        requests_per_client: None,
        quality: None,
        smoke: Arc::default(),
        warm_up: None,
        environments: vec![environment("blue", 1), environment("green", 2)],
        initial: InitialSplit {
            active: name("blue"),
            candidate: Some(name("green")),
            fallback: None,
            weights: vec![weighted("blue", Weight::FULL), weighted("green", Weight::ZERO)],
        },
        plans: Plans::default(),
    }
}
