//! How an emulated server is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::distribution::{Delay, TokenCount};
use super::faults::Faults;

/// How an emulated server is set up. The defaults answer 32 tokens in about a third of a second.
#[derive(Debug, Clone)]
pub struct MockOptions {
    /// First word of each answer, and the value of `x-mock-upstream`.
    pub name: String,
    /// Second word of each answer.
    pub version: String,
    /// The one model that `/v1/models` names. Requests may ask for any.
    pub model: String,
    /// Where it listens; port 0 for a free one.
    pub listen: SocketAddr,
    /// A second listener that no fault closes, for `/mock/…` while connections are refused.
    pub control: Option<SocketAddr>,
    /// Threads that serve connections, at least 1.
    pub workers: usize,
    /// From the head of a request to the first token.
    pub ttft: Delay,
    /// How many times as long the first token of a user's first request takes; 1 is no difference. Above
    /// it the server has a prefix cache, and who comes from elsewhere meets it empty.
    pub cold_factor: f64,
    /// Between two tokens.
    pub gap: Delay,
    /// Tokens of an answer, unless the request asks for fewer.
    pub tokens: TokenCount,
    /// What all randomness starts from.
    pub seed: u64,
    /// Whether a request's randomness follows from its `x-request-id` instead of its number.
    pub seed_by_request_id: bool,
    /// Whether each event of a stream begins with the comment `: sent NANOSECONDS` (unix time).
    pub stamp: bool,
    /// Faults at the start.
    pub faults: Faults,
    /// Headers that identify a user, the first present one counts.
    pub sticky_headers: Vec<String>,
    /// Closes connections that rest this long, unannounced; uvicorn does after 5 s.
    pub idle_close: Option<Duration>,
}

impl MockOptions {
    /// A server with a name, a version `mock-1.0`, and everything else at its default.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "mock-1.0".to_owned(),
            model: "mock-llm".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            control: None,
            workers: 1,
            ttft: Delay::fixed(Duration::from_millis(20)),
            cold_factor: 1.0,
            gap: Delay::fixed(Duration::from_millis(10)),
            tokens: TokenCount::fixed(32),
            seed: 0,
            seed_by_request_id: false,
            stamp: false,
            faults: Faults::default(),
            sticky_headers: vec!["x-session-id".to_owned(), "x-user-id".to_owned()],
            idle_close: None,
        }
    }

    /// The same server without any delay: an answer is written as fast as the client reads.
    #[must_use]
    pub fn instant(self) -> Self {
        Self { ttft: Delay::fixed(Duration::ZERO), gap: Delay::fixed(Duration::ZERO), ..self }
    }
}
