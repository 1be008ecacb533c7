//! One exchange as a client sees it, on a kept connection or a new one.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::TrafficOptions;
use super::reading::Reading;
use crate::model::verdict::Verdict;

/// Connections that may rest; more are closed after use.
const IDLE_MAX: usize = 1024;

/// Who asks, and for what kind of answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) user: u32,
    pub(super) streams: bool,
}

/// What a client saw of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The value of `x-deployment`, where the answer had one.
    pub environment: Option<String>,
    /// The value of `x-cyan-exchange`, where the answer had one.
    pub exchange: Option<String>,
    /// How it ended.
    pub verdict: Verdict,
    /// Whether its words are right, as far as an emulated server says so.
    pub is_right: bool,
    /// From the start of the request to the first content, if there was any.
    pub first_token: Option<Duration>,
    /// From the start of the request to the end of the answer.
    pub total: Duration,
}

impl Seen {
    fn nothing(verdict: Verdict, total: Duration) -> Self {
        let (environment, exchange, first_token) = (None, None, None);
        Self { environment, exchange, verdict, is_right: false, first_token, total }
    }

    /// Whether the answer has come to its end.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.verdict, Verdict::Complete | Verdict::Length)
    }

    /// An answer that was not waited for any longer.
    pub(super) fn late(after: Duration) -> Self {
        Self::nothing(Verdict::Timeout, after)
    }
}

pub(super) struct Client {
    to: SocketAddr,
    user_header: &'static str,
    header: Option<(String, String)>,
    idle: RefCell<Vec<SendRequest<Body>>>,
}

type Body = Full<Bytes>;

/// The exchange broke before an answer began.
struct NoAnswer;

impl Client {
    pub(super) fn new(options: &TrafficOptions) -> Self {
        let TrafficOptions { to, user_header, header, .. } = options.clone();
        Self { to, user_header, header, idle: RefCell::default() }
    }

    pub(super) async fn ask(&self, question: Question) -> Seen {
        let started = Instant::now();
        match self.send(question).await {
            Ok((sender, response)) => self.read(sender, response, started).await,
            Err(NoAnswer) => Seen::nothing(Verdict::ConnectError, started.elapsed()),
        }
    }

    /// Sends on a kept connection; on a new one where there is none, or where the kept one turns out to
    /// be closed before anything was written.
    async fn send(
        &self,
        question: Question,
    ) -> Result<(SendRequest<Body>, Response<Incoming>), NoAnswer> {
        let mut request = self.request(question);
        while let Some(mut sender) = self.take_idle() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(NoAnswer),
                },
            }
        }
        let stream = TcpStream::connect(self.to).await.map_err(|_| NoAnswer)?;
        // Without it small requests wait for acknowledgements; an error would show in the exchange.
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|_| NoAnswer)?;
        // Ends with the connection, which ends with its sender; errors reach us through the answer.
        tokio::task::spawn_local(connection);
        let response = sender.send_request(request).await.map_err(|_| NoAnswer)?;
        Ok((sender, response))
    }

    async fn read(
        &self,
        sender: SendRequest<Body>,
        response: Response<Incoming>,
        started: Instant,
    ) -> Seen {
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (environment, exchange) = (header("x-deployment"), header("x-cyan-exchange"));
        let mut reading = Reading::new(response.status(), response.headers());
        let mut body = response.into_body();
        let mut first_token = None;
        let is_whole = loop {
            match body.frame().await {
                None => break true,
                Some(Err(_)) => break false,
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        reading.feed(data);
                    }
                    if first_token.is_none() && reading.has_content() {
                        first_token = Some(started.elapsed());
                    }
                }
            }
        };
        if is_whole && self.idle.borrow().len() < IDLE_MAX {
            self.idle.borrow_mut().push(sender);
        }
        Seen {
            environment,
            exchange,
            verdict: reading.verdict(is_whole),
            is_right: !reading.is_wrong(),
            first_token,
            total: started.elapsed(),
        }
    }

    /// The connection that rested least: the oldest ones may close in peace.
    fn take_idle(&self) -> Option<SendRequest<Body>> {
        self.idle.borrow_mut().pop()
    }

    fn request(&self, Question { user, streams }: Question) -> Request<Body> {
        let text = format!(
            r#"{{"model":"mock-llm","messages":[{{"role":"user","content":"Hello."}}],"stream":{streams}}}"#
        );
        let mut request = Request::post("/v1/chat/completions")
            .header("host", self.to.to_string())
            .header("content-type", "application/json")
            .header(self.user_header, format!("user-{user}"));
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        request
            .body(Full::new(Bytes::from(text)))
            .expect("a header that was given is well-formed, as the rest is")
    }
}
