//! How long each part of an exchange may take. Defaults suit LLM servers: long answers are normal,
//! long silence is not.

use std::time::Duration;

/// Limits on time towards the upstreams of one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first SYN to an open connection, TLS included. Default 1 s.
    pub connect: Duration,
    /// From the request sent to the head of the answer. Default 600 s, what the SDKs wait themselves.
    pub response_head: Duration,
    /// Between two chunks of an answer. Default 300 s.
    pub idle: Duration,
    /// From request head to the first content of a streamed answer of an LLM's API. Heads, pings and
    /// comments are not content. Default 600 s; `None` for no limit.
    pub first_content: Option<Duration>,
    /// Between two contents of such a stream; beyond it the exchange counts as `stalled`, at once. It is
    /// not cut: `idle` does that, when nothing comes at all. Default 30 s; `None` for never.
    pub stalled: Option<Duration>,
    /// From request head to last byte; `None` (the default) for no limit.
    pub total: Option<Duration>,
    /// A client that is waited for this long is let go; each 16 KiB that it takes of the waiting answer make
    /// up for 30 s. Default 60 s.
    pub write_stall: Duration,
    /// A tunnel (WebSocket) without a byte in either direction. Default 3600 s.
    pub tunnel_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            response_head: Duration::from_secs(600),
            idle: Duration::from_secs(300),
            first_content: Some(Duration::from_secs(600)),
            stalled: Some(Duration::from_secs(30)),
            total: None,
            write_stall: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(3600),
        }
    }
}

/// Limits on time towards clients, for one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// A TLS handshake. Default 5 s.
    pub handshake: Duration,
    /// From the first byte of a request head to its last. Default 10 s.
    pub head: Duration,
    /// A connection without a request. Default 90 s: above the 60 s that most client pools keep one.
    pub idle: Duration,
    /// A request body that brings no byte. Default 30 s.
    pub body_idle: Duration,
    /// Age at which an HTTP/2 connection is asked to be made anew; `None` for never. Default 10 min.
    pub http2_age: Option<Duration>,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            body_idle: Duration::from_secs(30),
            http2_age: Some(Duration::from_secs(600)),
        }
    }
}
