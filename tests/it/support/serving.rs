//! The real program, serving from a config file of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::client::Client;
use super::{eventually, in_time};

/// A running `cyan serve`; it is killed when dropped.
pub struct Serving {
    /// Where clients connect.
    pub address: SocketAddr,
    /// The admin API.
    pub admin: SocketAddr,
    child: Child,
    folder: TempDir,
    log: Arc<Mutex<String>>,
}

/// The only variable in its environment.
pub const VARIABLE: (&str, &str) = ("CYAN_TEST_KEY", "from-the-environment");

impl Serving {
    /// Serves this service table; listeners and state are provided.
    pub async fn start(service: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = config(&folder, "127.0.0.1:0", service);
        std::fs::write(folder.path().join("cyan.toml"), text).expect("a file");
        let mut child = spawn(&folder);
        let log = read_log(&mut child);
        eventually("it serves", || said(&log).contains("admin API on ")).await;
        let lines = said(&log);
        let (address, admin) = (after(&lines, "serving on "), after(&lines, "admin API on "));
        Self { address, admin, child, folder, log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends it a signal, as `kill` does.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.pid()).expect("a process id");
        // SAFETY: no memory is touched; the process is our child and has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Its config file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("cyan.toml")
    }

    /// Writes another service table into its config file.
    pub fn write(&self, service: &str) {
        let text = config(&self.folder, "127.0.0.1:0", service);
        std::fs::write(self.file(), text).expect("a file");
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        said(&self.log)
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        in_time(self.child.wait()).await.expect("a child can be waited for")
    }

    /// A new client.
    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The status of a path of the admin API.
    pub async fn admin_status(&self, path: &str) -> u16 {
        Client::connect(self.admin).await.get(path, "").await.status
    }

    /// Memory that is in RAM now.
    pub fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("Linux tells");
        // Its own memory: pages of the program itself come and go with what else runs.
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = kib.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        kib.expect("a number of KiB") << 10
    }
}

/// Runs `cyan serve` on an address that is in use: what it says, and its exit code.
pub async fn serve_on(address: SocketAddr, service: &str) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = config(&folder, &address.to_string(), service);
    std::fs::write(folder.path().join("cyan.toml"), text).expect("a file");
    let output = in_time(spawn(&folder).wait_with_output()).await.expect("it ends");
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

fn config(folder: &TempDir, listen: &str, service: &str) -> String {
    format!(
        "state_dir = \"{}\"\n[listen]\nhttp = \"{listen}\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         {service}\n",
        folder.path().join("state").display()
    )
}

fn spawn(folder: &TempDir) -> Child {
    Command::new(env!("CARGO_BIN_EXE_cyan"))
        .args(["serve", "--config"])
        .arg(folder.path().join("cyan.toml"))
        .env_clear()
        .env(VARIABLE.0, VARIABLE.1)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

fn read_log(child: &mut Child) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let lines = child.stderr.take().expect("it is piped");
    let written = Arc::clone(&log);
    tokio::spawn(async move {
        let mut lines = BufReader::new(lines).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut log = written.lock().expect("no test panics with the lock");
            log.push_str(&line);
            log.push('\n');
        }
    });
    log
}

fn said(log: &Mutex<String>) -> String {
    log.lock().expect("no test panics with the lock").clone()
}

fn after(log: &str, words: &str) -> SocketAddr {
    let rest = log.split_once(words).map_or("", |(_, rest)| rest);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    rest[..end.unwrap_or(rest.len())].parse().expect("an address")
}
