//! The `cyan` process under test. It ends with this one in every case: `Drop` covers success, failure
//! and Ctrl-C, and the kernel's parent-death signal covers the rest.

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

/// A running proxy with a state of its own.
pub(crate) struct Cyan {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where changes are made.
    pub(crate) admin: SocketAddr,
    /// Its process.
    pub(crate) child: Child,
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
        // SAFETY: one system call without pointers; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(die_with_parent) };
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().expect("it is piped");
        let addresses = addresses(BufReader::new(stderr));
        if addresses.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let (address, admin) = addresses?;
        Ok(Self { address, admin, child, _dir: dir })
    }
}

impl Drop for Cyan {
    fn drop(&mut self) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: a plain system call; the child has not been waited for, so its id is its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let deadline = Instant::now() + STOP_TIME_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
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
