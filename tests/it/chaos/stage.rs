//! The real program, its upstreams, its config and its files.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tempfile::TempDir;

use super::caller::{Doors, HOST};
use super::ledger::Ledger;
use super::upstream::Server;
use super::upstream_http2::http2;
use crate::support::DEADLINE;
use crate::support::client::Client;
use crate::support::http2::Http2Upstream;
use crate::support::served::Served;

/// Upstreams over HTTP/1.1: the first half begins as blue's, the other as green's.
const SERVERS: usize = 4;
/// Certificates that take turns.
const CERTIFICATES: usize = 4;
/// Processes that have been taken over from and are not waited for yet.
const RETIRED_MAX: usize = 3;

/// Everything that runs.
pub struct Stage {
    /// Upstreams over HTTP/1.1.
    pub servers: Vec<Arc<Server>>,
    /// The upstream over HTTP/2.
    pub teal: Option<Http2Upstream>,
    folder: TempDir,
    certificates: Vec<rcgen::Certificate>,
    serving: Served,
    retired: Vec<Served>,
    logs_moved: usize,
    reloads: usize,
    takeovers: usize,
    ledger: Arc<Ledger>,
}

impl Stage {
    /// Starts it.
    pub async fn start(ledger: &Arc<Ledger>, lies: bool) -> Self {
        let servers: Vec<_> = (0..SERVERS).map(|_| Arc::new(Server::start(ledger, lies))).collect();
        let teal = http2(ledger).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = certificates(&folder);
        let urls: Vec<_> = servers.iter().map(|server| url(server.address)).collect();
        let text = config(&folder, &urls, &teal.url(), 0);
        put(&folder, "cyan.toml", &text);
        let serving = Served::start(folder.path()).await;
        let (retired, ledger) = (Vec::new(), Arc::clone(ledger));
        Self {
            servers,
            teal: Some(teal),
            folder,
            certificates,
            serving,
            retired,
            logs_moved: 0,
            reloads: 0,
            takeovers: 0,
            ledger,
        }
    }

    /// The admin API.
    pub fn admin(&self) -> SocketAddr {
        self.serving.admin
    }

    /// How many processes have taken over.
    pub fn takeovers(&self) -> usize {
        self.takeovers
    }

    /// Where clients come in.
    pub fn doors(&self) -> Doors {
        let log = self.serving.log();
        let mut addresses =
            log.lines().filter_map(|line| line.split_once("serving on ")).map(|(_, rest)| {
                let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
                let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
                digits[..end.unwrap_or(digits.len())].parse().expect("an address")
            });
        let plain = addresses.next().expect("the first listener");
        let secure = addresses.next().expect("the second listener");
        let tls = self.trusting(&[]);
        Doors { plain, secure, tls, tls_http2: self.trusting(&[b"h2".to_vec()]) }
    }

    /// The addresses of the upstreams over HTTP/1.1, as in a config.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(|server| url(server.address)).collect()
    }

    fn teal_url(&self) -> String {
        self.teal.as_ref().expect("it stays until the end").url()
    }

    /// Changes the config a little and has it read.
    pub fn reload(&mut self, random: &mut Rng) {
        self.reloads += 1;
        let text = config(&self.folder, &self.urls(), &self.teal_url(), random.usize(1..1000));
        put(&self.folder, "cyan.toml", &text);
        self.serving.signal(libc::SIGHUP);
    }

    /// Puts another certificate in place.
    pub fn renew(&mut self, random: &mut Rng) {
        put(&self.folder, "tls.crt", &self.certificates[random.usize(0..CERTIFICATES)].pem());
        self.serving.signal(libc::SIGHUP);
    }

    /// Moves the access log away, as log rotation does.
    pub fn move_log(&mut self) {
        self.logs_moved += 1;
        let log = self.folder.path().join("access.log");
        let _ = std::fs::rename(&log, log.with_extension(format!("{}.log", self.logs_moved)));
    }

    /// Has a new process take over.
    pub async fn take_over(&mut self) {
        let next = match Served::take_over(self.folder.path()).await {
            Ok(next) => next,
            Err(ended) => return self.ledger.complain(format!("no takeover: {ended:?}")),
        };
        self.takeovers += 1;
        self.retired.push(std::mem::replace(&mut self.serving, next));
        if self.retired.len() > RETIRED_MAX {
            let oldest = self.retired.remove(0);
            self.bury(oldest).await;
        }
    }

    /// Waits for every process that has been taken over from.
    pub async fn bury_all(&mut self) {
        for process in std::mem::take(&mut self.retired) {
            self.bury(process).await;
        }
    }

    /// Waits until nothing is in flight any more, as Cyan counts; what is then?
    pub async fn comes_to_rest(&self) -> Result<(), String> {
        let mut left = String::new();
        let resting = async {
            loop {
                let page = self.metrics().await;
                let gauges = ["cyan_in_flight", "cyan_queued", "cyan_upstream_in_flight"];
                let counted = gauges.map(|gauge| (gauge, sum(&page, gauge, "")));
                let is_left = counted.iter().any(|(_, count)| *count != 0.0);
                left = format!("{counted:?}");
                if !is_left {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DEADLINE, resting).await.map_err(|_| left)
    }

    /// Its metrics.
    pub async fn metrics(&self) -> String {
        let mut client = Client::connect(self.admin()).await;
        client.send("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Every line of the access log.
    pub fn access_log(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).expect("the folder is there");
        let paths = files.map(|file| file.expect("an entry").path());
        let logs = paths.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| std::fs::read_to_string(path).expect("a log is text")).collect()
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.serving.pid()
    }

    /// Says what the process that serves has said at the level of errors.
    pub fn complain_of_errors(&self) {
        self.ledger_errors(&self.serving);
    }

    async fn bury(&self, process: Served) {
        self.ledger_errors(&process);
        let pid = process.pid();
        if let code @ (None | Some(1..)) = process.ended().await {
            self.ledger.complain(format!("process {pid} ended with {code:?}"));
        }
    }

    fn ledger_errors(&self, process: &Served) {
        for line in process.log().lines() {
            // A reload that comes when another process has taken over is refused.
            let is_late = line.contains("cyan is shutting down");
            if !is_late && (line.contains("ERROR") || line.contains("panicked")) {
                self.ledger.complain(format!("process {} said: {line}", process.pid()));
            }
        }
    }

    /// Settings of a client that trusts every certificate which takes its turn.
    fn trusting(&self, alpn: &[Vec<u8>]) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in &self.certificates {
            roots.add(certificate.der().clone()).expect("a usable certificate");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.to_vec();
        Arc::new(config)
    }
}

/// The sum of the samples of a metric that have this label.
pub fn sum(page: &str, name: &str, label: &str) -> f64 {
    let samples = page.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
    });
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Puts a file in place, whole at every moment.
fn put(folder: &TempDir, name: &str, text: &str) {
    let (path, fresh) = (folder.path().join(name), folder.path().join("fresh"));
    std::fs::write(&fresh, text).expect("a temporary folder takes files");
    std::fs::rename(fresh, path).expect("a file takes another one's place");
}

/// Certificates of one key, so that one takes the place of another at once; the first is in place.
fn certificates(folder: &TempDir) -> Vec<rcgen::Certificate> {
    let key = rcgen::KeyPair::generate().expect("a key");
    put(folder, "tls.key", &key.serialize_pem());
    let made = (0..CERTIFICATES).map(|_| {
        let params = rcgen::CertificateParams::new([HOST.to_owned()]).expect("a name");
        params.self_signed(&key).expect("a certificate")
    });
    let made: Vec<_> = made.collect();
    put(folder, "tls.crt", &made[0].pem());
    made
}

/// The config; what `variant` changes, a reload may change.
fn config(folder: &TempDir, urls: &[String], teal: &str, variant: usize) -> String {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (blue, green) = urls.split_at(SERVERS / 2);
    let environment = |service: &str, name: &str, urls: &[String], weight: u32| {
        format!(
            "[service.{service}.environment.{name}]\nupstreams = {urls:?}\nweight = {weight}\n\
             slow_start = \"{}s\"\npool.idle = \"{}s\"\ntimeouts.connect = \"20s\"\n\
             ejection.backoff = \"200ms\"\nejection.backoff_max = \"1s\"\n",
            variant % 3,
            1 + variant % 2
        )
    };
    let blue_and_green = |service: &str| {
        environment(service, "blue", blue, 60) + &environment(service, "green", green, 40)
    };
    let service = |name: &str, path: &str| {
        let paths = if path.is_empty() { String::new() } else { format!("paths = [\"{path}\"]\n") };
        format!("[service.{name}]\nactive = \"blue\"\ncandidate = \"green\"\n{paths}")
    };
    let limits = "timeouts.response_head = \"300ms\"\ntimeouts.idle = \"300ms\"\n";
    let limited =
        |name: &str, urls: &[String], weight| environment("brisk", name, urls, weight) + limits;
    [
        format!("state_dir = \"{}\"\nworkers = 2\n[listen]\n", at("state")),
        "http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n".to_owned(),
        format!("certificate_file = \"{}\"\nkey_file = \"{}\"\n", at("tls.crt"), at("tls.key")),
        "[admin]\naddress = \"127.0.0.1:0\"\n".to_owned(),
        format!("[access_log]\npath = \"{}\"\n", at("access.log")),
        service("chat", ""),
        blue_and_green("chat"),
        environment("chat", "teal", &[teal.to_owned()], 0) + "protocol = \"http2\"\n",
        service("tunnels", "/tunnel"),
        blue_and_green("tunnels"),
        "[service.counted]\npaths = [\"/counted\"]\n".to_owned(),
        environment("counted", "blue", blue, 100),
        service("brisk", "/brisk"),
        limited("blue", blue, 50),
        limited("green", green, 50),
    ]
    .concat()
}
