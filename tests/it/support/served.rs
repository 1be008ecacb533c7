//! A `cyan serve` in a process of its own, for what only a process can show: that it may be killed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::client::{Answer, Client};
use super::in_time;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cyan");

/// The path at which the program panics, and the reason for a change for which its controller does.
pub const A_BUG: &str = "/a-bug-on-purpose";

/// Runs a program that has mounts of its own; it keeps its process id.
fn apart() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user"]);
    command
}

/// Whether the system gives a process a disk of its own.
pub async fn has_small_disks() -> bool {
    let mount = "mount -t tmpfs -o size=1m tmpfs /tmp";
    let tried = apart().args(["sh", "-c", mount]).output().await;
    tried.is_ok_and(|output| output.status.success())
}

/// A running process; it is killed when dropped.
pub struct Served {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Its admin API.
    pub admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
}

/// How a process ended that did not come to serve.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it said.
    pub stderr: String,
}

/// A config in `dir` with blue (active) and green (candidate) on free ports and a state beside it.
pub fn write_config(dir: &Path, blue: SocketAddr, green: SocketAddr) {
    let state = dir.join("state");
    let state = state.display();
    let text = format!(
        "state_dir = \"{state}\"\nworkers = 2\n[listen]\nhttp = \"127.0.0.1:0\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n[service.chat]\nactive = \"blue\"\n\
         sticky = [\"header:x-user-id\"]\n\
         [service.chat.environment.blue]\nupstreams = [\"http://{blue}\"]\nweight = 100\n\
         [service.chat.environment.green]\nupstreams = [\"http://{green}\"]\nweight = 0\n"
    );
    std::fs::write(dir.join("cyan.toml"), text).expect("a temporary folder takes files");
}

impl Served {
    /// Serves the config in `dir`, which has to succeed.
    pub async fn start(dir: &Path) -> Self {
        Self::try_start(dir).await.expect("it comes to serve")
    }

    /// Serves the config in `dir`, or tells how it ended instead.
    pub async fn try_start(dir: &Path) -> Result<Self, Ended> {
        Self::run(Command::new(PROGRAM), dir, &[]).await
    }

    /// The same with more arguments.
    pub async fn try_start_with(dir: &Path, more: &[&str]) -> Result<Self, Ended> {
        Self::run(Command::new(PROGRAM), dir, more).await
    }

    /// Takes over from the process that serves the config in `dir`.
    pub async fn take_over(dir: &Path) -> Result<Self, Ended> {
        Self::run(Command::new(PROGRAM), dir, &["--takeover"]).await
    }

    /// The same with its state on a disk of two megabytes, which ends with the process.
    pub async fn start_on_a_small_disk(dir: &Path) -> Self {
        let state = dir.join("state");
        std::fs::create_dir_all(&state).expect("a temporary folder takes folders");
        let mut command = apart();
        let mount = "mount -t tmpfs -o size=2m tmpfs \"$0\" && exec \"$@\"";
        command.args(["sh", "-c", mount]).arg(state).arg(PROGRAM);
        Self::run(command, dir, &[]).await.expect("it comes to serve")
    }

    async fn run(mut command: Command, dir: &Path, more: &[&str]) -> Result<Self, Ended> {
        let mut child = command
            .args(["serve", "--config"])
            .arg(dir.join("cyan.toml"))
            .args(more)
            .env_clear()
            .env("CYAN_TEST_PANIC_PATH", A_BUG)
            .env("CYAN_TEST_PANIC_REASON", A_BUG)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("it is piped");
        let mut said = Said { lines: BufReader::new(stderr).lines(), text: String::new() };
        let address = in_time(said.address_after("serving on ")).await;
        let admin = in_time(said.address_after("admin API on ")).await;
        if let (Some(address), Some(admin)) = (address, admin) {
            // Somebody has to read on, or a full pipe would hold the process up.
            let log = Arc::new(Mutex::new(std::mem::take(&mut said.text)));
            let written = Arc::clone(&log);
            tokio::spawn(async move {
                while let Some(line) = said.line().await {
                    written.lock().expect("no test panics with the lock").push_str(&(line + "\n"));
                }
            });
            return Ok(Self { address, admin, child, log });
        }
        let status = in_time(child.wait()).await.expect("it can be waited for");
        Err(Ended { code: status.code(), stderr: said.text })
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no test panics with the lock").clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// Waits for its end; its exit code.
    pub async fn ended(mut self) -> Option<i32> {
        in_time(self.child.wait()).await.expect("it can be waited for").code()
    }

    /// Sends it a signal, as `kill` does.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.pid()).expect("a process id");
        // SAFETY: no memory is touched; the process is our child and has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Ends it as `kill -9` does.
    pub async fn kill(mut self) {
        in_time(self.child.kill()).await.expect("a running process can be killed");
    }

    /// A GET of the admin API.
    pub async fn ask(&self, path: &str) -> serde_json::Value {
        call(&mut Client::connect(self.admin).await, "GET", path, "").await.1
    }
}

/// A call on an open connection to an admin API: its status and its answer.
pub async fn call(
    client: &mut Client,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let length = body.len();
    client
        .send(format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await;
    let Answer { status, body, .. } = client.answer().await;
    (status, serde_json::from_slice(&body).expect("the admin API answers in JSON"))
}

/// What a process has said so far.
struct Said {
    lines: Lines<BufReader<ChildStderr>>,
    text: String,
}

impl Said {
    async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.ok().flatten()
    }

    /// The address in the first line that has these words; `None` when the process ends instead.
    async fn address_after(&mut self, words: &str) -> Option<SocketAddr> {
        loop {
            let line = self.line().await?;
            self.text.push_str(&line);
            self.text.push('\n');
            if let Some((_, rest)) = line.split_once(words) {
                let end = rest.find(['"', ' ']).unwrap_or(rest.len());
                return rest[..end].parse().ok();
            }
        }
    }
}
