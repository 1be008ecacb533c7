//! One probe: a fresh connection, one request, the answer in words.
//!
//! The path is asked for as written, without the environment's prefix.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{self, HeaderValue};

use super::super::call::{Caller, addresses, authority, set_headers};
use super::super::quote::{Secrets, quote};
use crate::model::environment::EnvironmentSpec;
use crate::model::upstream::Upstream;

/// Asks the upstreams of one environment.
pub(super) struct Prober {
    environment: Arc<EnvironmentSpec>,
    path: Arc<str>,
    caller: Caller,
    secrets: Secrets,
}

impl Prober {
    /// Knows the environment's authorities for as long as its instructions stay.
    pub(super) fn new(environment: &Arc<EnvironmentSpec>, path: &Arc<str>) -> Self {
        Self {
            environment: Arc::clone(environment),
            path: Arc::clone(path),
            caller: Caller::of(environment),
            secrets: Secrets::of(environment.set_headers.iter().map(|(_, secret)| secret)),
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
                let quoted = quote(&answer, &self.secrets);
                let quoted = quoted.map_or_else(String::new, |text| format!(" \"{text}\""));
                Err(format!("{}{quoted}", status.as_u16()))
            }
        }
    }

    async fn exchange(&self, upstream: &Upstream) -> Result<(http::StatusCode, Vec<u8>), String> {
        let request = self.request(upstream)?;
        let addresses = addresses(upstream).await;
        let answer = self.caller.call(&upstream.spec, &addresses, request).await?;
        Ok((answer.response.status(), answer.beginning().await))
    }

    /// The request as the environment's upstreams expect it, credentials included.
    fn request(&self, upstream: &Upstream) -> Result<Request<Full<Bytes>>, String> {
        let authority = authority(&self.environment, &upstream.spec);
        let mut request = self.caller.request(&upstream.spec, &authority, &self.path)?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("cyan-probe"));
        set_headers(headers, &self.environment.set_headers)?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::Response;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use rcgen::CertifiedKey;
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::net::{TcpListener, UnixListener};
    use tokio_rustls::TlsAcceptor;

    use super::super::super::call::connects;
    use super::*;
    use crate::model::environment::{HostPolicy, Protocol};
    use crate::model::name::Name;
    use crate::model::pem_file::PemFile;
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

        let mut own = environment(Protocol::Http1);
        own.tls.ca_file = Some(PemFile::new("ca.pem".into(), cert.pem().as_bytes()));
        own.tls.server_name = Some("localhost".into());
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

    /// One whose backlog is full takes no connection and refuses none.
    #[tokio::test]
    async fn a_silent_address_hides_no_other() {
        let silent =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        silent.listen(0).unwrap();
        let silent_address = silent.local_addr().unwrap().as_socket().unwrap();
        let mut filling = Vec::new();
        while let Ok(connected) = tokio::time::timeout(
            Duration::from_millis(100),
            tokio::net::TcpStream::connect(silent_address),
        )
        .await
        {
            filling.push(connected.unwrap());
        }
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec: UpstreamSpec = format!("http://{silent_address}").parse().unwrap();
        let upstream = Upstream::new(UpstreamId(1), spec, Instant::now());
        upstream.addresses.store(vec![silent_address, good.local_addr().unwrap()]);
        tokio::spawn(async move {
            while let Ok((stream, _)) = good.accept().await {
                tokio::spawn(serve(stream, false));
            }
        });
        let prober = Prober::new(&Arc::new(environment(Protocol::Http1)), &"/health".into());
        for _ in 0..4 {
            let passed = prober.ask(&upstream, TIMEOUT).await.unwrap();
            assert!(passed.starts_with("200 in "), "{passed}");
        }
        let connects = connects(&upstream, TIMEOUT).await;
        assert_eq!(connects.unwrap(), "accepts connections");
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
}
