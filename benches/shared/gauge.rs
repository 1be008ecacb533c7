//! What a running proxy holds and takes: by the kernel, and by its own count.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::Cyan;

/// Memory of a process and those below it that is in RAM.
pub(crate) fn resident_kib(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kib = number.and_then(|number| number.trim().parse::<f64>().ok());
    let mut sum = kib.ok_or_else(|| io::Error::other("the kernel does not tell VmRSS"))?;
    for child in children(pid)? {
        sum += resident_kib(child)?;
    }
    Ok(sum)
}

/// How long its threads, and those of the processes below it, have had a core.
pub(crate) fn time_on_core(pid: u32) -> io::Result<Duration> {
    let mut sum = threads(pid)?.iter().map(|thread| ran(thread)).sum();
    for child in children(pid)? {
        sum += time_on_core(child)?;
    }
    Ok(sum)
}

/// The same of one thread, from the scheduler (`/proc/PID/task/TID/schedstat`). One may have ended meanwhile.
pub(crate) fn ran(thread: &Path) -> Duration {
    let stat = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let ran = stat.split_whitespace().next().and_then(|ran| ran.parse().ok());
    Duration::from_nanos(ran.unwrap_or_default())
}

/// Where the kernel tells of its threads.
pub(crate) fn threads(pid: u32) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(format!("/proc/{pid}/task"))?.map(|entry| Ok(entry?.path())).collect()
}

fn children(pid: u32) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for thread in threads(pid)? {
        let children = fs::read_to_string(thread.join("children"))?;
        for child in children.split_whitespace() {
            pids.push(child.parse().map_err(io::Error::other)?);
        }
    }
    Ok(pids)
}

/// Client connections that Cyan says are open, those of normal requests included.
pub(crate) fn client_connections(cyan: &Cyan) -> io::Result<String> {
    let mut stream = TcpStream::connect(cyan.admin)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    let count = page.lines().find_map(|line| line.strip_prefix("cyan_client_connections "));
    Ok(count.unwrap_or("not told how many").to_owned())
}
