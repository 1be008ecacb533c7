//! What is told of one exchange when it has ended: to the access log, to whoever watches, to a tracer.
//!
//! Only what an operator may see: never a body, a query, a credential or a sticky key.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::answer::{FinishReason, Inspection, Tokens};
use crate::model::name::Name;
use crate::model::trace_context::TraceContext;
use crate::model::verdict::Verdict;

/// One exchange that has ended.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one exchange")]
pub struct ExchangeRecord {
    /// When it ended.
    pub ended_at: SystemTime,
    /// The id of the request, as in `X-Request-Id`.
    pub request_id: Box<str>,
    /// The exchange's own number, as at the end of `X-Cyan-Exchange`.
    pub exchange: u64,
    /// The service; `None` when no service answers to the host and path.
    pub service: Option<Name>,
    /// The environment it counts for.
    pub environment: Option<Name>,
    /// The environment that served it, where that is another one.
    pub served_by: Option<Name>,
    /// `http://127.0.0.1:8001`
    pub upstream: Option<Arc<str>>,
    /// The source of the sticky key (`header:x-user-id`, `cookie`); `None` when there was no key.
    pub sticky: Option<Box<str>>,
    /// The client named the environment.
    pub is_forced: bool,
    /// The client says that it tries again (`x-stainless-retry-count` above 0).
    pub is_client_retry: bool,
    /// It was sent a second time.
    pub was_replayed: bool,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Method and path, without the query; `None` when there was no head in order.
    pub target: Option<Box<(String, String)>>,
    /// Of the answer; 0 when there was none.
    pub status: u16,
    /// How it ended.
    pub verdict: Verdict,
    /// Why Cyan refused it, if it did.
    pub refused: Option<&'static str>,
    /// Why attempts to reach an upstream failed, each with its address; short.
    pub problem: Option<Box<str>>,
    /// The answer was a stream of events.
    pub is_stream: bool,
    /// Why the model stopped.
    pub finish: Option<FinishReason>,
    /// Whether the answer's words were read.
    pub inspection: Inspection,
    /// Tokens.
    pub tokens: Tokens,
    /// Time to make the connection, if one was made for it.
    pub connect: Option<Duration>,
    /// Request head to the head of the answer.
    pub response_head: Option<Duration>,
    /// Request head to the first content of a stream.
    pub ttft: Option<Duration>,
    /// The longest time between two content events.
    pub gap_max: Option<Duration>,
    /// Time per output token after the first.
    pub tpot: Option<Duration>,
    /// Request head to the end.
    pub total: Duration,
    /// Bytes of the request body passed on.
    pub request_bytes: u64,
    /// Bytes of the answer passed on.
    pub response_bytes: u64,
    /// The code of a WebSocket's close frame.
    pub close_code: Option<u16>,
    /// `grpc-status`.
    pub grpc_status: Option<u16>,
    /// The trace it belongs to, if it does; its span there is `exchange`.
    pub trace: Option<TraceContext>,
}

/// A record that has everything, for tests of those who print it.
#[cfg(test)]
pub(crate) fn specimen() -> ExchangeRecord {
    let name = |text| Some(Name::new(text).expect("a name"));
    let ms = |ms| Some(Duration::from_millis(ms));
    ExchangeRecord {
        ended_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_270_867_042),
        request_id: "r-1".into(),
        exchange: 255,
        service: name("chat"),
        environment: name("green"),
        served_by: name("blue"),
        upstream: Some("http://127.0.0.1:8001".into()),
        sticky: Some("header:x-user-id".into()),
        is_forced: false,
        is_client_retry: false,
        was_replayed: false,
        client: Some(IpAddr::from([127, 0, 0, 1])),
        target: Some(Box::new(("POST".to_owned(), "/v1/chat/completions".to_owned()))),
        status: 200,
        verdict: Verdict::Complete,
        refused: Some("draining"),
        problem: Some("http://127.0.0.1:8001: connection refused".into()),
        is_stream: true,
        finish: Some(FinishReason::Stop),
        inspection: Inspection::Read,
        tokens: Tokens {
            input: Some(20),
            cached: Some(4),
            output: Some(7),
            is_output_estimated: false,
        },
        connect: ms(1),
        response_head: ms(10),
        ttft: Some(Duration::from_micros(12_345)),
        gap_max: ms(30),
        tpot: ms(20),
        total: Duration::from_millis(150),
        request_bytes: 300,
        response_bytes: 4000,
        close_code: Some(1000),
        grpc_status: Some(0),
        trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    }
}
