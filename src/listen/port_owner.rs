//! Finds out who listens on a port, for the error message. Linux only; elsewhere it says nothing.

use std::net::SocketAddr;

/// `, by process PID (NAME)`, or nothing where it cannot be found out.
pub fn describe(address: SocketAddr) -> String {
    find(address).map_or_else(String::new, |(pid, name)| format!(", by process {pid} ({name})"))
}

fn find(address: SocketAddr) -> Option<(u32, String)> {
    let inodes = inodes(address.port());
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Other users' processes cannot be read; then nothing is said.
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let mut links = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        if links.any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str())) {
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// The sockets that listen on a port, as their links in `/proc/PID/fd` read.
fn inodes(port: u16) -> Vec<String> {
    const LISTENING: &str = "0A";
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [_, local, _, LISTENING, _, _, _, _, _, inode, ..] = fields.as_slice()
                && local.ends_with(&format!(":{port:04X}"))
            {
                inodes.push(format!("socket:[{inode}]"));
            }
        }
    }
    inodes
}
