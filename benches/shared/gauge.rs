//! What a running `cyan` holds: by the kernel, and by its own count.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::process::Cyan;

/// Memory of the process that is in RAM.
pub(crate) fn resident_kib(cyan: &Cyan) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cyan.child.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kib = number.and_then(|number| number.trim().parse().ok());
    kib.ok_or_else(|| io::Error::other("the kernel does not tell VmRSS"))
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
