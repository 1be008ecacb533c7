//! Speaks to the admin API: one connection per call, over TCP or a unix socket, never without a limit
//! on time.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::admin_address::{AdminAddress, Endpoint};
use super::exchange;
use super::exit_code;
use super::failure::Failure;
use crate::admin::api::ACTOR_HEADER;
use crate::admin::problem::Problem;
use crate::config::duration;
use crate::model::environment::Secret;

/// Time a connection may take. The admin API is near.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Time an answer may take. A change is answered after a second at the latest.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What a look at something has shown.
#[derive(Debug)]
pub enum Look<T> {
    /// What is there.
    Seen(T),
    /// Nobody answers now: Cyan starts anew, or a balancer before it finds none.
    Away(Failure),
}

/// A caller of the admin API.
#[derive(Debug)]
pub struct Client {
    /// Where it is.
    pub address: AdminAddress,
    /// What it asks for, if it does.
    pub token: Option<Secret>,
    /// On whose behalf we call: `cli:ana`.
    pub actor: String,
}

impl Client {
    /// What is at `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, Bytes::new(), ANSWER_LIMIT).await
    }

    /// What is at `path`, if anybody answers now.
    pub async fn look<T: DeserializeOwned>(&self, path: &str) -> Result<Look<T>, Failure> {
        let answer = self.exchange_whole(Method::GET, path, Bytes::new(), ANSWER_LIMIT).await;
        let (status, body) = match answer {
            Ok(answer) => answer,
            // The other failures are of the command line.
            Err(failure) if is_passing(failure.exit_code) => return Ok(Look::Away(failure)),
            Err(failure) => return Err(failure),
        };
        match status {
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Ok(Look::Away(self.refusal(status, &body))),
            _ => self.read(status, &body).map(Look::Seen),
        }
    }

    /// Asks for a change that takes `limit` at most.
    pub async fn change<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
        limit: Duration,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Failure::unexpected(format!("cannot write the request: {error}")))?;
        self.call(method, path, body.into(), limit).await
    }

    /// An answer that goes on, with its head checked: server-sent events.
    pub async fn open(&self, path: &str) -> Result<Incoming, Failure> {
        let answer = self.send(Method::GET, path, Bytes::new());
        let answer = timeout(ANSWER_LIMIT, answer).await.map_err(|_| self.late(ANSWER_LIMIT))??;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let status = answer.status();
        let body = timeout(ANSWER_LIMIT, self.body(answer)).await;
        Err(self.refusal(status, &body.map_err(|_| self.late(ANSWER_LIMIT))??))
    }

    /// What is at `path` in words, and whether that is good news.
    pub async fn words(&self, path: &str, limit: Duration) -> Result<(bool, String), Failure> {
        let (status, body) = self.exchange_whole(Method::GET, path, Bytes::new(), limit).await?;
        let words = String::from_utf8_lossy(&body).trim().to_owned();
        Ok((status.is_success(), words))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<T, Failure> {
        let (status, body) = self.exchange_whole(method, path, body, limit).await?;
        self.read(status, &body)
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, Failure> {
        if !status.is_success() {
            return Err(self.refusal(status, body));
        }
        serde_json::from_slice(body).map_err(|error| {
            Failure::unexpected(format!("cannot read the answer of {}: {error}", self.address))
                .hint("is it a Cyan of another version? see `cyan --version`")
        })
    }

    /// A call with its whole answer, whatever it is.
    async fn exchange_whole(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let exchange = async {
            let answer = self.send(method, path, body).await?;
            Ok::<_, Failure>((answer.status(), self.body(answer).await?))
        };
        timeout(limit, exchange).await.map_err(|_| self.late(limit))?
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let request = self.request(method, path, body)?;
        match &self.address.endpoint {
            Endpoint::Tcp(authority) => {
                self.exchange(self.connected(TcpStream::connect(authority)).await?, request).await
            }
            Endpoint::Unix(path) => {
                self.exchange(self.connected(UnixStream::connect(path)).await?, request).await
            }
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let host = match &self.address.endpoint {
            Endpoint::Tcp(authority) => authority,
            Endpoint::Unix(_) => "localhost",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(ACTOR_HEADER, &self.actor);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        request
            .body(Full::new(body))
            .map_err(|error| Failure::usage(format!("cannot make a request of this: {error}")))
    }

    async fn connected<S>(
        &self,
        connecting: impl Future<Output = std::io::Result<S>>,
    ) -> Result<S, Failure> {
        match timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.unreachable(&error.to_string())),
            Err(_) => Err(self.unreachable("no connection within 3 s")),
        }
    }

    async fn exchange<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        exchange::over(stream, request).await.map_err(|error| {
            self.unreachable(&format!("the connection broke before an answer: {error}"))
        })
    }

    async fn body(&self, answer: Response<Incoming>) -> Result<Bytes, Failure> {
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| {
            self.unreachable(&format!("the connection broke within the answer: {error}"))
        })?;
        Ok(body.to_bytes())
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => problem.into(),
            Err(_) => Failure::unexpected(format!("{} answered {status}", self.address))
                .hint("is that the admin API, and not a service? its default port is 9901"),
        }
    }

    fn unreachable(&self, why: &str) -> Failure {
        let message = format!("cannot reach the admin API at {}: {why}", self.address);
        let hint = "start Cyan with `cyan serve`, or name the address with --admin or CYAN_ADMIN";
        Failure { exit_code: exit_code::UNREACHABLE, message, hint: Some(hint.to_owned()) }
    }

    fn late(&self, limit: Duration) -> Failure {
        let message = format!("no answer from {} within {}", self.address, duration::spoken(limit));
        let hint = "it may still happen; look with `cyan status`";
        Failure { exit_code: exit_code::STILL_RUNNING, message, hint: Some(hint.to_owned()) }
    }
}

/// Nobody could be reached, or was too slow.
fn is_passing(code: u8) -> bool {
    matches!(code, exit_code::UNREACHABLE | exit_code::STILL_RUNNING)
}
