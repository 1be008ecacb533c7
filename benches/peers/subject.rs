//! What is compared: three proxies and, beside them, no proxy at all.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::process::Process;
use crate::upstream::Environments;

/// From start to the first accepted connection.
const START_TIME_MAX: Duration = Duration::from_secs(15);

/// One column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    /// This project.
    Cyan,
    /// This project with `inspect = "off"`: what reading the answers costs is the difference.
    Blind,
    /// The peer that most people have.
    Nginx,
    /// The peer to beat.
    Haproxy,
    /// The load connects to the upstreams itself: the floor under every latency.
    Direct,
}

impl Subject {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 5] =
        [Self::Cyan, Self::Blind, Self::Nginx, Self::Haproxy, Self::Direct];

    /// What its version command says, shortened to name and number.
    pub(crate) fn version(self, cyan: &Path) -> Option<String> {
        let (program, argument) = match self {
            Self::Cyan | Self::Blind => (cyan, "--version"),
            Self::Nginx => (Path::new("nginx"), "-v"),
            Self::Haproxy => (Path::new("haproxy"), "-v"),
            Self::Direct => return None,
        };
        let said = Command::new(program).arg(argument).output().ok()?;
        // nginx prints its version on standard error.
        let text = [said.stdout, said.stderr].concat();
        let first_line = String::from_utf8_lossy(&text).lines().next()?.to_owned();
        Some(first_line.split(" - ").next().unwrap_or_default().to_owned())
    }

    fn command(self, cyan: &Path, config: &Path, dir: &Path) -> Command {
        let mut command = match self {
            Self::Cyan | Self::Blind => Command::new(cyan),
            Self::Nginx => Command::new("nginx"),
            Self::Haproxy | Self::Direct => Command::new("haproxy"),
        };
        match self {
            Self::Cyan | Self::Blind => command.args(["serve", "--config"]).arg(config),
            Self::Nginx => command.args(["-e", "stderr", "-p"]).arg(dir).arg("-c").arg(config),
            Self::Haproxy | Self::Direct => command.args(["-db", "-f"]).arg(config),
        };
        command
    }

    /// File name and text of the config that lies beside this file; nothing for the direct way.
    fn config(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Cyan | Self::Blind => Some(("cyan.toml", include_str!("cyan.toml"))),
            Self::Nginx => Some(("nginx.conf", include_str!("nginx.conf"))),
            Self::Haproxy => Some(("haproxy.cfg", include_str!("haproxy.cfg"))),
            Self::Direct => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Cyan => "cyan",
            Self::Blind => "blind",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Direct => "direct",
        })
    }
}

/// Everything a subject needs to be started; the same for every sample of a run.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The two environments behind every proxy.
    pub(crate) environments: Environments,
    /// The core that the proxy has to itself.
    pub(crate) proxy_core: usize,
    /// The `cyan` program.
    pub(crate) cyan: PathBuf,
}

/// Why a proxy could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Sockets, files, processes.
    #[error("{0} could not be started: {1}")]
    Io(Subject, #[source] io::Error),
    /// It ended or never listened.
    #[error("{0} did not accept connections within {START_TIME_MAX:?}; it said:\n{1}")]
    NotListening(Subject, String),
}

/// A subject that accepts connections. A proxy ends, and its directory goes, on drop.
pub(crate) struct Running {
    /// Where users connect: one address, or those of both environments.
    addresses: Vec<SocketAddr>,
    /// The proxy, if there is one.
    pub(crate) process: Option<Process>,
    // Declared after the process: it must outlive it.
    _dir: Option<TempDir>,
}

impl Running {
    /// Starts `subject` afresh and waits until it accepts connections.
    pub(crate) async fn start(subject: Subject, stage: &Stage) -> Result<Self, StartError> {
        let io_error = |error| StartError::Io(subject, error);
        let Some((name, template)) = subject.config() else {
            let Environments { blue, green } = stage.environments;
            return Ok(Self { addresses: vec![blue, green], process: None, _dir: None });
        };
        let dir = TempDir::with_prefix("peers-").map_err(io_error)?;
        let [address, admin] = free_addresses().map_err(io_error)?;
        let config = dir.path().join(name);
        let text = fill_in(subject, template, stage, address, admin, dir.path());
        fs::write(&config, text).map_err(io_error)?;
        let log = dir.path().join("output.log");
        let output = fs::File::create(&log).map_err(io_error)?;
        let mut command = subject.command(&stage.cyan, &config, dir.path());
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(io_error)?).stderr(output);
        let mut process = Process::spawn(command, stage.proxy_core).map_err(io_error)?;
        if !is_listening(&mut process, address).await {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(StartError::NotListening(subject, said));
        }
        Ok(Self { addresses: vec![address], process: Some(process), _dir: Some(dir) })
    }

    /// Where this user connects. Without a proxy users are spread over both environments.
    pub(crate) fn address_for(&self, user: usize) -> SocketAddr {
        self.addresses[user % self.addresses.len()]
    }
}

/// Waits for the state with a deadline.
async fn is_listening(process: &mut Process, address: SocketAddr) -> bool {
    let deadline = Instant::now() + START_TIME_MAX;
    while Instant::now() < deadline && !process.has_ended() {
        if TcpStream::connect(address).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// Two free ports, held together so that they differ.
fn free_addresses() -> io::Result<[SocketAddr; 2]> {
    let (first, second) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([first.local_addr()?, second.local_addr()?])
}

fn fill_in(
    subject: Subject,
    template: &str,
    stage: &Stage,
    address: SocketAddr,
    admin: SocketAddr,
    dir: &Path,
) -> String {
    template
        .replace("@PORT@", &address.port().to_string())
        .replace("@ADMIN@", &admin.port().to_string())
        .replace("@BLUE@", &stage.environments.blue.port().to_string())
        .replace("@GREEN@", &stage.environments.green.port().to_string())
        .replace("@INSPECT@", if subject == Subject::Blind { "off" } else { "on" })
        .replace("@DIR@", &dir.to_string_lossy())
}
