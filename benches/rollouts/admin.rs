//! Calls of the admin API, and what a rollout says of itself there.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cyan::model::rfc3339;
use serde_json::Value;

/// The API answers within a few seconds in every case.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// The admin API of a proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin(pub(crate) SocketAddr);

/// An entry of the journal, as far as it matters here.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Entry {
    /// Milliseconds of Unix time at which it was decided.
    pub(crate) at_ms: u64,
    /// A stable code.
    pub(crate) kind: String,
    /// In words.
    pub(crate) text: String,
}

impl Admin {
    /// Calls, on a connection of its own; what is no success is an error that says what was answered.
    pub(crate) fn call(self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let mut stream = TcpStream::connect(self.0)?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: \
             application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let failed = || io::Error::other(format!("{method} {path}: {answer}"));
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(failed)?;
        if !head.starts_with("HTTP/1.1 2") {
            return Err(failed());
        }
        serde_json::from_str(body).map_err(io::Error::other)
    }

    /// Where the last rollout stands.
    pub(crate) fn rollout(self) -> io::Result<Value> {
        self.call("GET", "/v1/services/llm/rollout", "")
    }

    /// What happened to rollouts, oldest first.
    pub(crate) fn journal(self) -> io::Result<Vec<Entry>> {
        let page = self.call("GET", "/v1/journal?service=llm&limit=200", "")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entry = |entry: &Value| Entry {
            at_ms: rfc3339::parse(&text(&entry["at"])).unwrap_or(0),
            kind: text(&entry["kind"]),
            text: text(&entry["text"]),
        };
        let entries = page["entries"].as_array().into_iter().flatten();
        Ok(entries.rev().map(entry).filter(|entry| entry.kind.starts_with("rollout_")).collect())
    }
}
