//! Processes under test. They end with this one in every case: `Drop` covers success, failure and Ctrl-C,
//! and the kernel's parent-death signal covers the rest.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Kept from SIGTERM to SIGKILL.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// What a config begins with: free ports, and a state of its own. More `listen.…` keys, then services are to
/// follow.
const BASICS: &str = "listen.http = \"127.0.0.1:0\"\nadmin.address = \"127.0.0.1:0\"\n";

/// A process that is asked to end when this is dropped, and made to when it does not.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts it, not to outlive this one.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        // SAFETY: one system call without pointers; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(die_with_parent) };
        Ok(Self { child: command.spawn()? })
    }

    /// What the kernel knows it by.
    #[allow(dead_code, reason = "not every bench looks at it")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// A running proxy with a state of its own.
pub(crate) struct Cyan {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where changes are made.
    pub(crate) admin: SocketAddr,
    /// It ends before its directory goes.
    #[allow(dead_code, reason = "not every bench looks at it")]
    pub(crate) process: Process,
    _dir: TempDir,
}

impl Cyan {
    /// Starts `binary` with these services, in the words of a config, and waits until it serves.
    pub(crate) fn start(binary: &Path, services: &str) -> io::Result<Self> {
        let dir = TempDir::with_prefix("cyan-bench-")?;
        let config = dir.path().join("cyan.toml");
        let state = dir.path().join("state");
        let text = format!("state_dir = \"{}\"\n{BASICS}{services}", state.display());
        std::fs::write(&config, text)?;
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let stderr = process.child.stderr.take().expect("it is piped");
        let (address, admin) = addresses(BufReader::new(stderr))?;
        Ok(Self { address, admin, process, _dir: dir })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: a plain system call; the child has not been waited for, so its id is its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let deadline = Instant::now() + STOP_TIME_MAX;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: a plain system call without pointers.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads from the log where it serves; a thread reads on, so that a full pipe holds nothing up.
fn addresses(stderr: BufReader<ChildStderr>) -> io::Result<(SocketAddr, SocketAddr)> {
    let mut lines = stderr.lines();
    let mut said = String::new();
    let mut address_after = |words: &str| -> io::Result<SocketAddr> {
        for line in &mut lines {
            let line = line?;
            if let Some((_, rest)) = line.split_once(words) {
                let end = rest.find(['"', ' ']).unwrap_or(rest.len());
                return rest[..end].parse().map_err(io::Error::other);
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(io::Error::other(format!("cyan did not come to serve; it said:\n{said}")))
    };
    let address = address_after("serving on ")?;
    let admin = address_after("admin API on ")?;
    std::thread::spawn(move || lines.for_each(drop));
    Ok((address, admin))
}
