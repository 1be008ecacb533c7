//! Answers that Cyan gives itself, and why.
//!
//! The body has the shape that LLM clients read errors from (`error.message`, `error.type`,
//! `error.code`), so that a user of an SDK sees the sentence and not only a status.

use std::fmt;

use super::edits::Edits;
use crate::model::header_id::HeaderId;

/// The methods that are served.
pub const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Why Cyan answers itself. `reason` is the metric label and the `code` in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request breaks a rule of HTTP; the text names it.
    Malformed(&'static str),
    /// `CONNECT` and `TRACE` are not served.
    Method,
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// No service answers to this host and path.
    UnknownHost(String),
    /// The connection was made for hosts of another certificate than the one that has this host.
    Misdirected(String),
    /// An allowed client named an environment that does not exist.
    UnknownEnvironment(String),
    /// The body is longer than the service allows, in bytes.
    BodyTooLarge(u64),
    /// The client has sent as many requests as it may, for so many seconds.
    RequestsPerClient(u32),
    /// The environment has as many requests as it may.
    InFlightMax(String),
    /// Cyan has no file descriptor for a connection to an upstream.
    Descriptors,
    /// No connection to any upstream. Which, and why not, is for operators: what they are told of a failure
    /// names addresses that users must not learn.
    Connect,
    /// The connection was lost before an answer; the text says how.
    Lost(String),
    /// The environment has no upstreams at all.
    NoUpstream(String),
    /// No head of an answer in time, in milliseconds.
    HeadTimeout(u128),
    /// The whole exchange took too long, in milliseconds.
    TotalTimeout(u128),
    /// The client stopped sending its body.
    BodyStalled,
    /// The client left, or took its request back, in the middle of its body.
    BodyCut,
    /// The environment is being drained and its deadline has passed, or Cyan ends.
    Draining,
}

impl Refusal {
    /// The status sent to the client.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::BodyCut => 400,
            Self::UnknownHost(_) | Self::UnknownEnvironment(_) => 404,
            Self::Method => 405,
            Self::BodyStalled => 408,
            Self::BodyTooLarge(_) => 413,
            Self::Expectation => 417,
            Self::Misdirected(_) => 421,
            Self::RequestsPerClient(_) => 429,
            Self::TransferCoding => 501,
            Self::Connect | Self::Lost(_) => 502,
            Self::InFlightMax(_) | Self::Descriptors | Self::NoUpstream(_) | Self::Draining => 503,
            Self::HeadTimeout(_) | Self::TotalTimeout(_) => 504,
        }
    }

    /// The metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Method => "method",
            Self::TransferCoding => "transfer_coding",
            Self::Expectation => "expectation",
            Self::UnknownHost(_) => "unknown_host",
            Self::Misdirected(_) => "misdirected",
            Self::UnknownEnvironment(_) => "unknown_environment",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::RequestsPerClient(_) => "requests_per_client",
            Self::InFlightMax(_) => "in_flight_max",
            Self::Descriptors => "descriptors",
            Self::Connect => "connect",
            Self::Lost(_) => "lost",
            Self::NoUpstream(_) => "no_upstream",
            Self::HeadTimeout(_) => "head_timeout",
            Self::TotalTimeout(_) => "total_timeout",
            Self::BodyStalled => "body_stalled",
            Self::BodyCut => "body_cut",
            Self::Draining => "draining",
        }
    }

    /// Whether the connection of HTTP/1 ends with it: where the request that follows begins is in doubt, or
    /// the client may take what it sends next for a tunnel.
    pub fn ends_connection(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::Method | Self::TransferCoding)
    }

    /// Seconds after which it is worth trying again, where that is so.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::RequestsPerClient(seconds) => Some(*seconds),
            _ => (self.status() == 503).then_some(1),
        }
    }

    /// The headers that belong to it.
    pub fn edit(&self, was_replayed: bool, edits: &mut Edits) {
        edits.set(HeaderId::CONTENT_TYPE, &[b"application/json"]);
        if let Some(seconds) = self.retry_after_s() {
            edits.set(HeaderId::RETRY_AFTER, &[seconds.to_string().as_bytes()]);
        }
        if *self == Self::Method {
            edits.set(HeaderId::ALLOW, &[METHODS.as_bytes()]);
        }
        if was_replayed {
            edits.set(HeaderId::X_SHOULD_RETRY, &[b"false"]); // it was tried twice already
        }
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        let kind = match self.status() {
            429 => "rate_limit_error",
            ..500 => "invalid_request_error",
            _ => "proxy_error",
        };
        serde_json::json!({
            "error": { "message": self.to_string(), "type": kind, "code": self.reason() }
        })
        .to_string()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(rule) => write!(f, "malformed request: {rule}"),
            Self::Method => f.write_str("this method is not served; CONNECT and TRACE are refused"),
            Self::TransferCoding => f.write_str(
                "this transfer coding is not supported; use `chunked` or Content-Length",
            ),
            Self::Expectation => {
                f.write_str("unknown expectation; only `100-continue` is understood")
            }
            Self::UnknownHost(host) => write!(
                f,
                "no service answers to host `{host}` and this path; see `hosts` and `paths` in the config"
            ),
            Self::Misdirected(host) => write!(
                f,
                "host `{host}` has another certificate than this connection; open one of its own"
            ),
            Self::UnknownEnvironment(known) => {
                write!(f, "the environment asked for does not exist; configured: {known}")
            }
            Self::BodyTooLarge(max) => {
                write!(f, "the body is longer than {max} bytes; see `body_max` of the service")
            }
            Self::RequestsPerClient(seconds) => {
                write!(f, "too many requests of this client; the next may come in {seconds} s")
            }
            Self::InFlightMax(environment) => {
                write!(f, "environment `{environment}` is at its limit of requests in flight")
            }
            Self::Descriptors => f.write_str(
                "the proxy has no file descriptor left; raise its limit (LimitNOFILE, ulimit -n)",
            ),
            Self::Connect => f.write_str("no upstream could be connected to"),
            Self::Lost(problem) => {
                write!(f, "the upstream closed the connection before it answered: {problem}")
            }
            Self::NoUpstream(environment) => {
                write!(f, "environment `{environment}` has no upstreams; add one")
            }
            Self::HeadTimeout(ms) => write!(f, "the upstream did not answer within {ms} ms"),
            Self::TotalTimeout(ms) => write!(f, "the answer was not finished within {ms} ms"),
            Self::BodyStalled => f.write_str("the request body stopped coming"),
            Self::BodyCut => f.write_str("the request body ended before its end"),
            Self::Draining => f.write_str("this environment is being shut down"),
        }
    }
}
