//! Makes connections to upstreams.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::connection::{Http1Connection, Http2Connection};
use crate::connect;
use crate::data_plane::client_io::Carrier;
use crate::data_plane::descriptors::is_exhaustion;
use crate::data_plane::exchange::Stage;
use crate::data_plane::panics::Counted;
use crate::data_plane::socket;
use crate::model::addresses::Destination;
use crate::model::environment::{EnvironmentId, EnvironmentSpec, Protocol, UpstreamTls};
use crate::model::upstream::{Upstream, UpstreamAddress};
use crate::tls::client::{TlsClientError, client_config, server_name};

/// Read buffers grow with the largest piece ever read and never shrink, so they are kept small.
pub const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// What an upstream may send on one stream of HTTP/2 while its client takes nothing.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// The same for all streams together: never reached, since there are at most 16. It is this large because h2
/// ends a connection on which small frames wait that nobody reads, at half of it, counting 256 bytes less
/// their own for each. Tokens are small frames, and a client that pauses must not cost the others
/// their connection: with this, 16 streams may be full of frames of 30 bytes.
const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// Runs hyper's HTTP/2 tasks on the core they belong to.
#[derive(Clone, Copy)]
pub struct OnThisCore;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnThisCore {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            let _counted = Counted;
            future.await;
        });
    }
}

/// A connection just made.
pub enum Dialed {
    /// HTTP/1.1.
    Http1(Http1Connection),
    /// HTTP/2.
    Http2(Http2Connection),
}

/// Why no connection could be made. The text goes to operators; it holds no secret, but addresses,
/// which clients must not learn.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address yet.
    Unresolved(String),
    /// The system refused: refused, unreachable, reset.
    Io(String, io::Error),
    /// TLS cannot be set up.
    Tls(TlsClientError),
    /// It does not speak HTTP/2.
    NotHttp2(String),
    /// The HTTP handshake failed.
    Http(hyper::Error),
}

impl DialError {
    /// Whose failure it is: a process without descriptors says nothing of the upstream.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Io(_, error) if is_exhaustion(error) => Stage::Exhausted,
            _ => Stage::Connect,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(host) => write!(f, "the name `{host}` has no address"),
            Self::Io(upstream, error) => write!(f, "{upstream}: {error}"),
            Self::Tls(error) => error.fmt(f),
            Self::NotHttp2(upstream) => {
                write!(f, "{upstream} does not speak HTTP/2; set `protocol` to `http1`")
            }
            Self::Http(error) => error.fmt(f),
        }
    }
}

/// TLS settings towards upstreams, made once per environment and protocol.
#[derive(Default)]
pub struct TlsSettings {
    made: RefCell<HashMap<(EnvironmentId, Protocol), Made>>,
}

/// Settings, and what they were made from.
type Made = (UpstreamTls, Arc<ClientConfig>);

impl TlsSettings {
    /// The settings of an environment.
    ///
    /// # Errors
    /// When its files did not hold what they should.
    pub fn of(
        &self,
        environment: EnvironmentId,
        spec: &EnvironmentSpec,
        protocol: Protocol,
    ) -> Result<Arc<ClientConfig>, DialError> {
        if let Some((tls, config)) = self.made.borrow().get(&(environment, protocol))
            && *tls == spec.tls
        {
            return Ok(Arc::clone(config));
        }
        let config = client_config(&spec.tls, protocol).map_err(DialError::Tls)?;
        let made = (spec.tls.clone(), Arc::clone(&config));
        self.made.borrow_mut().insert((environment, protocol), made);
        Ok(config)
    }
}

/// Connects to an upstream; over TLS if `tls` is given. The connection's task runs on this core.
///
/// # Errors
/// When no address could be connected to, or a handshake failed.
pub async fn dial(
    upstream: &Upstream,
    spec: &EnvironmentSpec,
    tls: Option<Arc<ClientConfig>>,
    protocol: Protocol,
) -> Result<Dialed, DialError> {
    let (carrier, destination) = carry(upstream, spec, tls, protocol).await?;
    match protocol {
        Protocol::Http1 => handshake_http1(carrier, destination).await.map(Dialed::Http1),
        Protocol::Http2 => handshake_http2(carrier, destination).await.map(Dialed::Http2),
    }
    .map_err(DialError::Http)
}

/// Connects to an upstream; over TLS if `tls` is given. What is spoken then is up to the caller. Each begins
/// with another one of the addresses, so that all of them get connections. The exchange keeps the limit.
///
/// # Errors
/// When no address could be connected to, or TLS failed.
pub async fn carry(
    upstream: &Upstream,
    spec: &EnvironmentSpec,
    tls: Option<Arc<ClientConfig>>,
    protocol: Protocol,
) -> Result<(Carrier, Destination), DialError> {
    let failed = |error| DialError::Io(upstream.spec.to_string(), error);
    let addresses = upstream.addresses.load();
    match &upstream.spec.address {
        UpstreamAddress::Unix(path) => {
            let io = connect::unix(path).await.map_err(failed)?;
            Ok((Carrier::Unix(io), addresses.destination(None)))
        }
        UpstreamAddress::Tcp { host, .. } if addresses.is_empty() => {
            Err(DialError::Unresolved(host.to_string()))
        }
        UpstreamAddress::Tcp { .. } => {
            let connecting = connect::tcp(&addresses, upstream.addresses.turn());
            let (io, address) = connecting.await.map_err(failed)?;
            socket::set_options(&SockRef::from(&io));
            let carrier = match tls {
                None => Carrier::Tcp(io),
                Some(config) => handshake_tls(upstream, spec, config, protocol, io).await?,
            };
            Ok((carrier, addresses.destination(Some(address))))
        }
    }
}

async fn handshake_tls(
    upstream: &Upstream,
    spec: &EnvironmentSpec,
    config: Arc<ClientConfig>,
    protocol: Protocol,
    io: TcpStream,
) -> Result<Carrier, DialError> {
    let name = server_name(&upstream.spec, &spec.tls).map_err(DialError::Tls)?;
    let connected = tokio_rustls::TlsConnector::from(config).connect(name, io).await;
    let stream = connected.map_err(|error| DialError::Io(upstream.spec.to_string(), error))?;
    // Without ALPN an upstream would get the preface of HTTP/2 as a malformed request.
    if protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(DialError::NotHttp2(upstream.spec.to_string()));
    }
    Ok(Carrier::Tls(Box::new(stream.into())))
}

async fn handshake_http1(
    carrier: Carrier,
    destination: Destination,
) -> hyper::Result<Http1Connection> {
    let fd = carrier.fd();
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_BYTES_MAX);
    let (sender, connection) = builder.handshake(TokioIo::new(carrier)).await?;
    // One task per connection, not per request; it ends with its sender or its peer.
    tokio::task::spawn_local(connection.with_upgrades());
    Ok(Http1Connection { sender, fd, destination, is_reused: false })
}

async fn handshake_http2(
    carrier: Carrier,
    destination: Destination,
) -> hyper::Result<Http2Connection> {
    let mut builder = http2::Builder::new(OnThisCore);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    let (sender, mut connection) = builder.handshake(TokioIo::new(carrier)).await?;
    let streams_allowed = Rc::new(Cell::new(u32::MAX));
    let allowed = Rc::clone(&streams_allowed);
    tokio::task::spawn_local(std::future::poll_fn(move |cx| {
        let ended = Pin::new(&mut connection).poll(cx);
        // Only the connection knows what its upstream has allowed meanwhile.
        let streams = connection.current_max_send_streams();
        allowed.set(u32::try_from(streams).unwrap_or(u32::MAX));
        ended
    }));
    let streams = Rc::default();
    Ok(Http2Connection { sender, streams, streams_allowed, idle_since: None, destination })
}
