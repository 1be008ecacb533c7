//! What a process holds, as Linux tells it.

use std::collections::HashSet;
use std::fs;

/// The state of a listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// Its open file descriptors.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("Linux tells").count()
}

/// Its memory that is in RAM and no file's, in bytes.
pub fn memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux tells");
    let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = kib.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.expect("a number of KiB") << 10
}

/// Its TCP connections.
pub fn connections(pid: u32) -> usize {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("Linux tells");
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets: HashSet<_> = links
        .filter_map(|link| {
            let link = link.to_str()?.to_owned();
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("Linux tells");
    let open = table.lines().skip(1).filter(|line| {
        let mut fields = line.split_whitespace();
        let (state, inode) = (fields.nth(3), fields.nth(5));
        state != Some(LISTENING) && inode.is_some_and(|inode| sockets.contains(inode))
    });
    open.count()
}
