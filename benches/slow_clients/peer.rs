//! Other proxies in Cyan's place, for what the machine itself costs.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::attack::HOST;
use crate::process::Process;

/// From start to the first accepted connection.
const START_TIME_MAX: Duration = Duration::from_secs(15);

/// One that is to be had as a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// A worker for each core.
    Nginx,
    /// A thread for each core.
    Haproxy,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        })
    }
}

/// A peer that accepts connections.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// It ends before its directory goes.
    pub(crate) process: Process,
    _dir: TempDir,
}

impl Peer {
    /// Starts it before the upstreams of normal and of slow clients.
    pub(crate) fn start(self, upstream: SocketAddr, theirs: SocketAddr) -> io::Result<Running> {
        let dir = TempDir::with_prefix("cyan-bench-")?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (config, log) = (dir.path().join("config"), dir.path().join("output.log"));
        let text = self
            .template()
            .replace("@ADDRESS@", &address.to_string())
            .replace("@UPSTREAM@", &upstream.to_string())
            .replace("@THEIRS@", &theirs.to_string())
            .replace("@HOST@", HOST)
            .replace("@CORES@", &available_parallelism()?.to_string())
            .replace("@DIR@", &dir.path().to_string_lossy());
        fs::write(&config, text)?;
        let output = File::create(&log)?;
        let mut command = Command::new(self.to_string());
        match self {
            Self::Nginx => command.args(["-e", "stderr", "-p"]).arg(dir.path()).arg("-c"),
            Self::Haproxy => command.args(["-db", "-f"]),
        };
        command.arg(&config);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut process = Process::spawn(&mut command)
            .map_err(|error| io::Error::new(error.kind(), format!("{self}: {error}")))?;
        let deadline = Instant::now() + START_TIME_MAX;
        while TcpStream::connect(address).is_err() {
            if process.has_ended() || Instant::now() > deadline {
                let said = fs::read_to_string(&log)?;
                return Err(io::Error::other(format!("{self} does not accept; it said:\n{said}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Running { address, process, _dir: dir })
    }

    fn template(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("nginx.conf"),
            Self::Haproxy => include_str!("haproxy.cfg"),
        }
    }
}
