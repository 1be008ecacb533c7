//! The proxy whose word is tested.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error_of::Times;

/// From start to the first accepted connection, and from the signal to the end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running Cyan; it ends on drop.
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    child: Child,
    dir: TempDir,
}

impl Running {
    /// Starts it before one upstream, with an access log.
    pub(crate) fn start(program: &Path, upstream: SocketAddr) -> io::Result<Self> {
        let dir = TempDir::with_prefix("timing-")?;
        let (first, second) =
            (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let (address, admin) = (first.local_addr()?, second.local_addr()?);
        drop((first, second));
        let at = dir.path().display();
        let config = format!(
            "workers = 1\nstate_dir = \"{at}/state\"\n[listen]\nhttp = \"{address}\"\n[admin]\naddress = \
             \"{admin}\"\n[access_log]\npath = \"{at}/access.log\"\n[service.llm.environment.blue]\n\
             upstreams = [\"http://{upstream}\"]\n"
        );
        let file = dir.path().join("cyan.toml");
        std::fs::write(&file, config)?;
        let log = dir.path().join("output.log");
        let child = Command::new(program)
            .arg("serve")
            .arg("--config")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let mut running = Self { address, child, dir };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline || running.child.try_wait()?.is_some() {
                let said = std::fs::read_to_string(&log)?;
                return Err(io::Error::other(format!("cyan does not listen; it said: {said}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    /// Ends it; what its log says, by request id.
    pub(crate) fn stop(mut self) -> io::Result<HashMap<String, Times>> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        // SAFETY: the child was started here and has not been waited for, so the number is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(io::Error::other("cyan does not end"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.dir.path().join("access.log"))?;
        log.lines().map(times_of).collect()
    }
}

fn times_of(line: &str) -> io::Result<(String, Times)> {
    let line: serde_json::Value = serde_json::from_str(line)?;
    let ms = |name: &str| Duration::from_secs_f64(line[name].as_f64().unwrap_or_default() / 1e3);
    let id = line["request_id"].as_str().unwrap_or_default().to_owned();
    Ok((id, Times { ttft: ms("ttft_ms"), gap_max: ms("gap_max_ms") }))
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
