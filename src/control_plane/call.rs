//! One call over a connection of its own, for probes, smoke tests and hooks.
//!
//! A fresh connection each time: the question of a probe is whether one can be made, a pooled one would
//! answer another, and the others call too rarely to need a pool. Nothing here has a time limit; who
//! calls sets one around it. Cancel safe: a call that is dropped takes its connection with it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use crate::connect;
use crate::model::addresses::AddressSet;
use crate::model::environment::{EnvironmentSpec, HostPolicy, Protocol, Secret, UpstreamTls};
use crate::model::header_id::HeaderId;
use crate::model::upstream::{Upstream, UpstreamAddress, UpstreamSpec};
use crate::tls::client::{TlsClientError, client_config, server_name};

/// How often a name that is being looked up is tried again.
const NAME_EVERY: Duration = Duration::from_millis(20);

/// How a group of upstreams is spoken to, with the authorities of their config.
pub(super) struct Caller {
    protocol: Protocol,
    tls: UpstreamTls,
    config: Result<Arc<ClientConfig>, TlsClientError>,
}

/// An answer whose body is still to be read. Its connection ends with it.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    _driver: Driver,
}

/// Most bytes of an answer that are read to say what it was.
const BEGINNING_BYTES_MAX: usize = 4096;

impl Answer {
    /// The first bytes of its body; one that breaks off has said what it has said.
    pub(super) async fn beginning(mut self) -> Vec<u8> {
        let mut read = Vec::new();
        while read.len() < BEGINNING_BYTES_MAX {
            let Some(Ok(frame)) = self.response.body_mut().frame().await else { break };
            if let Ok(data) = frame.into_data() {
                read.extend_from_slice(&data);
            }
        }
        read.truncate(BEGINNING_BYTES_MAX);
        read
    }
}

/// A connection's driver; it ends with the call.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Caller {
    pub(super) fn new(protocol: Protocol, tls: &UpstreamTls) -> Self {
        Self { protocol, tls: tls.clone(), config: client_config(tls, protocol) }
    }

    /// As requests to this environment are sent.
    pub(super) fn of(environment: &EnvironmentSpec) -> Self {
        Self::new(environment.protocol, &environment.tls)
    }

    /// A `GET` of `path` without a body, in the form that the protocol wants, to be completed.
    pub(super) fn request(
        &self,
        upstream: &UpstreamSpec,
        authority: &str,
        path: &str,
    ) -> Result<Request<Full<Bytes>>, String> {
        let scheme = if upstream.tls { "https" } else { "http" };
        let uri = match self.protocol {
            Protocol::Http1 => path.to_owned(),
            Protocol::Http2 => format!("{scheme}://{authority}{path}"),
        };
        let uri: Uri = uri.parse().map_err(|_| format!("`{path}` is no path"))?;
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        if self.protocol == Protocol::Http1 {
            let host = HeaderValue::from_str(authority);
            let host = host.map_err(|_| format!("`{authority}` is no host"))?;
            let headers = request.headers_mut();
            headers.insert(header::HOST, host);
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(request)
    }

    /// Sends it, and answers when the head of the answer is there. Errors are words for people.
    pub(super) async fn call(
        &self,
        upstream: &UpstreamSpec,
        addresses: &[SocketAddr],
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, String> {
        match &upstream.address {
            UpstreamAddress::Unix(path) => {
                let stream = connect::unix(path).await.map_err(|error| in_words(&error))?;
                self.over(stream, upstream, request).await
            }
            UpstreamAddress::Tcp { .. } => {
                let stream = tcp(addresses).await.map_err(|error| in_words(&error))?;
                self.over(stream, upstream, request).await
            }
        }
    }

    /// Speaks TLS first where the upstream wants it.
    async fn over<S>(
        &self,
        stream: S,
        upstream: &UpstreamSpec,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if !upstream.tls {
            return self.send(stream, request).await;
        }
        let config = self.config.as_ref().map_err(ToString::to_string)?;
        let name = server_name(upstream, &self.tls).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        let stream = stream.map_err(|error| format!("TLS: {error}"))?;
        self.send(stream, request).await
    }

    async fn send<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Answer, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        let failed = |error: hyper::Error| format!("broken answer: {error}");
        // hyper wants its connection driven beside the request; the guard ends that with the call.
        match self.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(stream).await.map_err(failed)?;
                let driver = Driver(tokio::spawn(connection).abort_handle());
                let response = sender.send_request(request).await.map_err(failed)?;
                Ok(Answer { response, _driver: driver })
            }
            Protocol::Http2 => {
                let executor = TokioExecutor::new();
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(executor, stream)
                        .await
                        .map_err(failed)?;
                let driver = Driver(tokio::spawn(connection).abort_handle());
                let response = sender.send_request(request).await.map_err(failed)?;
                Ok(Answer { response, _driver: driver })
            }
        }
    }
}

/// What upstreams of an environment see in `Host` when no client has said anything.
pub(super) fn authority(environment: &EnvironmentSpec, upstream: &UpstreamSpec) -> String {
    match &environment.host {
        HostPolicy::Fixed(host) => host.to_string(),
        HostPolicy::Preserve | HostPolicy::Upstream => upstream.authority(),
    }
}

/// Sets headers that are not to be printed.
pub(super) fn set_headers(
    headers: &mut HeaderMap,
    set: &[(HeaderId, Secret)],
) -> Result<(), String> {
    for (id, secret) in set {
        let value = HeaderValue::from_str(secret.expose());
        let mut value = value.map_err(|_| format!("`{}` has no valid value", id.name()))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(id.name()), value);
    }
    Ok(())
}

/// The addresses of an upstream. A name that is being looked up is waited for.
pub(super) async fn addresses(upstream: &Upstream) -> Arc<AddressSet> {
    loop {
        let addresses = upstream.addresses.load();
        if !addresses.is_empty() || matches!(upstream.spec.address, UpstreamAddress::Unix(_)) {
            return addresses;
        }
        tokio::time::sleep(NAME_EVERY).await;
    }
}

/// Whether a connection can be made, for upstreams that have no path to ask for.
pub(super) async fn connects(upstream: &Upstream, within: Duration) -> Result<String, String> {
    let connected = async {
        match &upstream.spec.address {
            UpstreamAddress::Unix(path) => connect::unix(path).await.map(drop),
            UpstreamAddress::Tcp { .. } => tcp(&addresses(upstream).await).await.map(drop),
        }
    };
    match tokio::time::timeout(within, connected).await {
        Ok(Ok(())) => Ok("accepts connections".to_owned()),
        Ok(Err(error)) => Err(in_words(&error)),
        Err(_) => Err(format!("no connection in {within:?}")),
    }
}

/// Connects to one of the addresses, beginning with any: that all of them look well to one who always asks the
/// same would say little.
async fn tcp(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    Ok(connect::tcp(addresses, fastrand::usize(..)).await?.0)
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "no such socket".to_owned(),
        _ => error.to_string(),
    }
}
