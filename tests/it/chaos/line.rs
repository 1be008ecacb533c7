//! A line of the access log, as far as it is held against what clients tell.

use std::net::SocketAddr;

use serde_json::Value;

/// A line of the access log.
#[derive(Debug, Clone)]
pub struct Line {
    /// The status of the answer.
    pub status: Option<u16>,
    /// How it ended.
    pub verdict: String,
    /// The upstream to which it was sent last.
    pub upstream: Option<SocketAddr>,
    /// Another environment has served it.
    pub was_handed_over: bool,
    /// It was sent a second time.
    pub was_replayed: bool,
}

impl Line {
    /// Reads a line: the number of its request, and itself.
    pub fn read(text: &str) -> Option<(u64, Self)> {
        let line: Value = serde_json::from_str(text).ok()?;
        let number = line["request_id"].as_str()?.parse().ok()?;
        let upstream = line["upstream"].as_str();
        let line = Self {
            status: line["status"].as_u64().and_then(|status| status.try_into().ok()),
            verdict: line["verdict"].as_str()?.to_owned(),
            upstream: upstream.and_then(|url| url.strip_prefix("http://")?.parse().ok()),
            was_handed_over: line["served_by"].is_string(),
            was_replayed: line["replayed"] == true,
        };
        Some((number, line))
    }
}
