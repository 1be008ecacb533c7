//! Speaks to the collector: one POST, over a connection of its own, in bounded time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use prost::Message;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::resolved::OtlpSpec;
use crate::model::environment::{Protocol, UpstreamTls};
use crate::model::upstream::{UpstreamAddress, UpstreamSpec};
use crate::tls::client::{TlsClientError, client_config, server_name};

/// Time a push may take.
const PUSH_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A page of a collector.
pub(super) struct Collector {
    upstream: UpstreamSpec,
    request: Request<()>,
    tls: Result<Arc<ClientConfig>, TlsClientError>,
    /// While pushes fail: how much was lost since one succeeded.
    outage: Option<u64>,
    /// How much was lost since the start.
    lost: Arc<AtomicU64>,
    what: &'static str,
}

/// Why a push failed.
#[derive(Debug)]
pub(super) enum Problem {
    /// It may succeed later.
    ForNow(String),
    /// The collector will not take it.
    ForGood(String),
}

impl Collector {
    /// The page for `what`: `traces` or `metrics`. What is lost is added to `lost`.
    pub(super) fn new(spec: &OtlpSpec, what: &'static str, lost: Arc<AtomicU64>) -> Self {
        let mut request = Request::post(format!("{}/v1/{what}", spec.path))
            .header(header::HOST, spec.upstream.authority())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, concat!("cyan/", env!("CARGO_PKG_VERSION")));
        for (name, secret) in &spec.headers {
            if let Ok(mut value) = HeaderValue::from_str(secret.expose()) {
                value.set_sensitive(true);
                request = request.header(name.name(), value);
            }
        }
        let request = request.body(()).expect("address, path and names are checked in the config");
        let tls = client_config(&UpstreamTls::default(), Protocol::Http1);
        Self { upstream: spec.upstream.clone(), request, tls, outage: None, lost, what }
    }

    /// Pushes a message. Takes 5 s at most.
    pub(super) async fn push(&self, message: &impl Message) -> Result<(), Problem> {
        let body = Full::new(Bytes::from(message.encode_to_vec()));
        let request = self.request.clone().map(|()| body);
        match tokio::time::timeout(PUSH_LIMIT, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(Problem::ForNow(format!("no answer in {PUSH_LIMIT:?}"))),
        }
    }

    /// Says once that pushing fails, and once that it succeeds again with what was `lost` meanwhile.
    pub(super) fn tell(&mut self, result: &Result<(), Problem>, lost: u64) {
        // Relaxed: a count that orders nothing.
        self.lost.fetch_add(lost, Ordering::Relaxed);
        let (upstream, what) = (&self.upstream, self.what);
        match (result, &mut self.outage) {
            (Err(Problem::ForNow(problem) | Problem::ForGood(problem)), outage @ None) => {
                *outage = Some(lost);
                tracing::warn!(
                    "cannot push {what} to {upstream}: {problem}; trying on, what does not fit is lost"
                );
            }
            (Ok(()), outage @ Some(_)) => {
                let lost = outage.take().unwrap_or_default() + lost;
                tracing::info!(lost, "{what} are pushed to {upstream} again");
            }
            (_, Some(sum)) => *sum += lost,
            (Ok(()), None) if lost > 0 => {
                tracing::warn!(lost, "{what} were lost: {upstream} takes them too slowly");
            }
            (Ok(()), None) => {}
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(), Problem> {
        let failed = |error: std::io::Error| Problem::ForNow(error.to_string());
        let UpstreamAddress::Tcp { host, port } = &self.upstream.address else {
            return Err(Problem::ForGood("it is no TCP address".to_owned()));
        };
        let stream = TcpStream::connect((&**host, *port)).await.map_err(failed)?;
        if !self.upstream.tls {
            return send(stream, request).await;
        }
        let config = self.tls.as_ref().map_err(|error| Problem::ForGood(error.to_string()))?;
        let name = server_name(&self.upstream, &UpstreamTls::default());
        let name = name.map_err(|error| Problem::ForGood(error.to_string()))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        send(stream.map_err(failed)?, request).await
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| Problem::ForNow(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        judge(status, &body.map(http_body_util::Collected::to_bytes).unwrap_or_default())
    };
    // The connection is driven beside the exchange, and let go with it.
    tokio::pin!(exchange);
    tokio::select! {
        result = &mut exchange => result,
        _ = connection => exchange.await,
    }
}

/// What an answer means, as the specification of OTLP over HTTP has it.
fn judge(status: StatusCode, body: &[u8]) -> Result<(), Problem> {
    if status.is_success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).collect();
    let problem = match said.chars().take(80).collect::<String>() {
        said if said.is_empty() => status.to_string(),
        said => format!("{status}: {said}"),
    };
    match status.as_u16() {
        429 | 502 | 503 | 504 => Err(Problem::ForNow(problem)),
        _ => Err(Problem::ForGood(problem)),
    }
}
