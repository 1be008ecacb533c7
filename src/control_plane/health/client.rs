//! One probe: a fresh connection, one request, the answer in words.
//!
//! A fresh connection each time, since the question is whether one can be made, and a pooled one
//! would answer another. The path is asked for as written, without the environment's prefix.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use crate::model::environment::{EnvironmentSpec, HostPolicy, Protocol};
use crate::model::upstream::{Upstream, UpstreamAddress};
use crate::tls::client::{TlsClientError, client_config, server_name};

/// Most bytes of an answer that are read to say what it was.
const ANSWER_BYTES_MAX: usize = 4096;

/// Most characters of an answer that are quoted.
const QUOTED_CHARS_MAX: usize = 80;

/// How often a name that is being looked up is tried again within a probe's time.
const NAME_EVERY: Duration = Duration::from_millis(20);

/// Asks the upstreams of one environment.
pub(super) struct Prober {
    environment: Arc<EnvironmentSpec>,
    path: Arc<str>,
    tls: Result<Arc<ClientConfig>, TlsClientError>,
}

/// A connection's driver; it ends with the probe.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Prober {
    /// Reads the environment's authorities once, for as long as its instructions stay.
    pub(super) fn new(environment: &Arc<EnvironmentSpec>, path: &Arc<str>) -> Self {
        Self {
            environment: Arc::clone(environment),
            path: Arc::clone(path),
            tls: client_config(&environment.tls, environment.protocol),
        }
    }

    /// Asks once. Both sides of the answer are words for people: `200 in 3 ms`, `connection
    /// refused`.
    pub(super) async fn ask(
        &self,
        upstream: &Upstream,
        timeout: Duration,
    ) -> Result<String, String> {
        let began = Instant::now();
        match tokio::time::timeout(timeout, self.exchange(upstream)).await {
            Err(_) => Err(format!("no answer in {timeout:?}")),
            Ok(Err(problem)) => Err(problem),
            Ok(Ok((status, answer))) => {
                let ms = began.elapsed().as_millis();
                if status.is_success() || status.is_redirection() {
                    return Ok(format!("{} in {ms} ms", status.as_u16()));
                }
                let quoted = quote(&answer);
                let quoted = quoted.map_or_else(String::new, |text| format!(" \"{text}\""));
                Err(format!("{}{quoted}", status.as_u16()))
            }
        }
    }

    async fn exchange(&self, upstream: &Upstream) -> Result<(http::StatusCode, Bytes), String> {
        let request = self.request(upstream)?;
        let (response, _driver) = match &upstream.spec.address {
            UpstreamAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| in_words(&error))?;
                self.over(stream, upstream, request).await?
            }
            UpstreamAddress::Tcp { .. } => {
                let stream = connect(upstream).await?;
                self.over(stream, upstream, request).await?
            }
        };
        let status = response.status();
        Ok((status, beginning(response.into_body()).await))
    }

    /// Speaks TLS first where the upstream wants it.
    async fn over<S>(
        &self,
        stream: S,
        upstream: &Upstream,
        request: Request<Empty<Bytes>>,
    ) -> Result<(Response<Incoming>, Driver), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if !upstream.spec.tls {
            return self.send(stream, request).await;
        }
        let config = self.tls.as_ref().map_err(ToString::to_string)?;
        let name = server_name(&upstream.spec, &self.environment.tls);
        let name = name.map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        let stream = stream.map_err(|error| format!("TLS: {error}"))?;
        self.send(stream, request).await
    }

    async fn send<S>(
        &self,
        stream: S,
        request: Request<Empty<Bytes>>,
    ) -> Result<(Response<Incoming>, Driver), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        let failed = |error: hyper::Error| format!("broken answer: {error}");
        // hyper wants its connection driven beside the request; the guard ends that with the probe.
        match self.environment.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(stream).await.map_err(failed)?;
                let driver = Driver(tokio::spawn(connection).abort_handle());
                Ok((sender.send_request(request).await.map_err(failed)?, driver))
            }
            Protocol::Http2 => {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                        .await
                        .map_err(failed)?;
                let driver = Driver(tokio::spawn(connection).abort_handle());
                Ok((sender.send_request(request).await.map_err(failed)?, driver))
            }
        }
    }

    /// The request as the environment's upstreams expect it, credentials included.
    fn request(&self, upstream: &Upstream) -> Result<Request<Empty<Bytes>>, String> {
        let authority = match &self.environment.host {
            HostPolicy::Fixed(host) => host.to_string(),
            HostPolicy::Preserve | HostPolicy::Upstream => upstream.spec.authority(),
        };
        let scheme = if upstream.spec.tls { "https" } else { "http" };
        let uri = match self.environment.protocol {
            Protocol::Http1 => self.path.to_string(),
            Protocol::Http2 => format!("{scheme}://{authority}{}", self.path),
        };
        let uri: Uri = uri.parse().map_err(|_| format!("`{}` is no path", self.path))?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        if self.environment.protocol == Protocol::Http1 {
            let host = HeaderValue::from_str(&authority);
            headers.insert(header::HOST, host.map_err(|_| format!("`{authority}` is no host"))?);
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static("cyan-probe"));
        for (name, secret) in &self.environment.set_headers {
            let value = HeaderValue::from_str(secret.expose());
            let mut value = value.map_err(|_| format!("`{}` has no valid value", name.name()))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name.name()), value);
        }
        Ok(request)
    }
}

/// Connects to the first address that answers. A name that is being looked up is waited for; the
/// probe's own timeout bounds that.
async fn connect(upstream: &Upstream) -> Result<TcpStream, String> {
    let addresses: Arc<Vec<SocketAddr>> = loop {
        let addresses = upstream.addresses.load_full();
        if !addresses.is_empty() {
            break addresses;
        }
        tokio::time::sleep(NAME_EVERY).await;
    };
    let mut problem = String::new();
    for address in addresses.iter() {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => problem = in_words(&error),
        }
    }
    Err(problem)
}

/// The first bytes of an answer; a body that breaks off has said what it has said.
async fn beginning(mut body: Incoming) -> Bytes {
    let mut read = Vec::new();
    while read.len() < ANSWER_BYTES_MAX {
        let Some(Ok(frame)) = body.frame().await else { break };
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    read.truncate(ANSWER_BYTES_MAX);
    read.into()
}

/// What an answer says in one short line: the message of an error object, else its first line.
fn quote(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let said = serde_json::from_slice::<Value>(answer).ok().and_then(|json| {
        let places = ["/error/message", "/error", "/message", "/detail", "/status"];
        places.iter().find_map(|place| json.pointer(place)?.as_str().map(str::to_owned))
    });
    let said = said.unwrap_or_else(|| text.lines().next().unwrap_or_default().to_owned());
    let said: String = said.trim().chars().filter(|c| !c.is_control()).collect();
    if said.is_empty() {
        return None;
    }
    if said.chars().count() <= QUOTED_CHARS_MAX {
        return Some(said);
    }
    Some(said.chars().take(QUOTED_CHARS_MAX - 1).chain(['…']).collect())
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "no such socket".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::service::service_fn;
    use rcgen::CertifiedKey;
    use tokio::net::{TcpListener, UnixListener};
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::model::name::Name;
    use crate::model::upstream::{UpstreamId, UpstreamSpec};

    const TIMEOUT: Duration = Duration::from_secs(5);

    async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
        let host = request.headers().get(header::HOST).cloned();
        let authority = host.map_or_else(
            || request.uri().authority().map(ToString::to_string),
            |host| host.to_str().ok().map(str::to_owned),
        );
        let status = if request.uri().path() == "/health" { 200 } else { 404 };
        let mut response = Response::new(format!("for {}\nmore", authority.unwrap_or_default()));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Ok(response)
    }

    async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, http2: bool) {
        let (stream, service) = (TokioIo::new(stream), service_fn(hello));
        let _ = if http2 {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.serve_connection(stream, service).await
        } else {
            hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
        };
    }

    fn environment(protocol: Protocol) -> EnvironmentSpec {
        let mut environment = EnvironmentSpec::new(Name::new("green").unwrap(), vec![]);
        environment.protocol = protocol;
        environment
    }

    async fn ask(
        environment: EnvironmentSpec,
        spec: UpstreamSpec,
        path: &str,
    ) -> Result<String, String> {
        let upstream = Upstream::new(UpstreamId(1), spec, Instant::now());
        Prober::new(&Arc::new(environment), &path.into()).ask(&upstream, TIMEOUT).await
    }

    #[tokio::test]
    async fn both_protocols_are_spoken_over_tcp() {
        for http2 in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, http2));
                }
            });
            let spec: UpstreamSpec = format!("http://{address}").parse().unwrap();
            let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
            let passed = ask(environment(protocol), spec.clone(), "/health").await.unwrap();
            assert!(passed.starts_with("200 in "), "{passed}");
            let mut fixed = environment(protocol);
            fixed.host = HostPolicy::Fixed("llm.test".into());
            let failed = ask(fixed, spec, "/other").await.unwrap_err();
            assert_eq!(failed, "404 \"for llm.test\"");
        }
    }

    #[tokio::test]
    async fn tls_is_verified_as_for_requests() {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, false).await;
                    }
                });
            }
        });
        let spec: UpstreamSpec = format!("https://127.0.0.1:{port}").parse().unwrap();
        let distrusted = ask(environment(Protocol::Http1), spec.clone(), "/health").await;
        let distrusted = distrusted.unwrap_err();
        assert!(distrusted.starts_with("TLS: invalid peer certificate"), "{distrusted}");

        let dir = tempfile::tempdir().unwrap();
        let mut own = environment(Protocol::Http1);
        own.tls.ca_file = Some(dir.path().join("ca.pem"));
        own.tls.server_name = Some("localhost".into());
        std::fs::write(dir.path().join("ca.pem"), cert.pem()).unwrap();
        let passed = ask(own, spec, "/health").await.unwrap();
        assert!(passed.starts_with("200 in "), "{passed}");
    }

    #[tokio::test]
    async fn unix_sockets_are_asked_and_their_absence_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("llm.sock");
        let spec: UpstreamSpec = format!("unix:{}", path.display()).parse().unwrap();
        let missing = ask(environment(Protocol::Http1), spec.clone(), "/health").await;
        assert_eq!(missing.unwrap_err(), "no such socket");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, false));
            }
        });
        let passed = ask(environment(Protocol::Http1), spec, "/health").await.unwrap();
        assert!(passed.starts_with("200 in "), "{passed}");
    }

    #[tokio::test]
    async fn refusal_and_silence_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec: UpstreamSpec =
            format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let upstream = Upstream::new(UpstreamId(1), spec, Instant::now());
        let prober = Prober::new(&Arc::new(environment(Protocol::Http1)), &"/health".into());
        let silent = prober.ask(&upstream, Duration::from_millis(50)).await;
        assert_eq!(silent.unwrap_err(), "no answer in 50ms");
        drop(listener);
        assert_eq!(prober.ask(&upstream, TIMEOUT).await.unwrap_err(), "connection refused");
    }

    #[test]
    fn answers_are_quoted_in_one_short_line() {
        for (answer, quoted) in [
            (r#"{"error":{"message":"Loading model","code":503}}"#, Some("Loading model")),
            (r#"{"error":"no slot"}"#, Some("no slot")),
            (r#"{"status":"loading"}"#, Some("loading")),
            ("Bad Gateway\r\n<html>", Some("Bad Gateway")),
            ("\u{1b}[31mred", Some("[31mred")),
            ("", None),
            ("{}", Some("{}")),
        ] {
            assert_eq!(quote(answer.as_bytes()).as_deref(), quoted, "{answer}");
        }
        assert_eq!(quote(&[b'x'; 200]).unwrap().chars().count(), QUOTED_CHARS_MAX);
    }
}
