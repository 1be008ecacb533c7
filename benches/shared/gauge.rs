//! What a running proxy holds: by the kernel, and by its own count.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::process::Cyan;

/// Memory of a process and those below it that is in RAM.
pub(crate) fn resident_kib(pid: u32) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kib = number.and_then(|number| number.trim().parse::<f64>().ok());
    let mut sum = kib.ok_or_else(|| io::Error::other("the kernel does not tell VmRSS"))?;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = std::fs::read_to_string(thread?.path().join("children"))?;
        for child in children.split_whitespace() {
            sum += resident_kib(child.parse().map_err(io::Error::other)?)?;
        }
    }
    Ok(sum)
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
