//! One `GET` of an upstream, bounded in time and in what is read of the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::exchange;
use crate::model::environment::{Protocol, UpstreamTls};
use crate::model::upstream::{UpstreamAddress, UpstreamSpec};
use crate::tls::client::{client_config, server_name};

/// How long an upstream may take for one answer, its name looked up and TLS spoken.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Most bytes of an answer. Lists of models of hosted APIs have some hundred kilobytes.
const ANSWER_BYTES_MAX: usize = 2 << 20;

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The body; null where it is no JSON.
    pub(super) json: Value,
}

/// Asks for `path`. Errors are words for people.
pub(super) async fn get(upstream: &UpstreamSpec, path: &str) -> Result<Answer, String> {
    match timeout(ANSWER_LIMIT, exchange(upstream, path)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", ANSWER_LIMIT.as_secs())),
    }
}

async fn exchange(upstream: &UpstreamSpec, path: &str) -> Result<Answer, String> {
    let host = HeaderValue::from_str(&upstream.authority()).map_err(|error| error.to_string())?;
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = path.parse().map_err(|_| format!("`{path}` is no path"))?;
    request.headers_mut().insert(header::HOST, host);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    let answer = match &upstream.address {
        UpstreamAddress::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(|error| error.to_string())?;
            exchange::over(stream, request).await
        }
        UpstreamAddress::Tcp { host, port } => {
            let stream = TcpStream::connect((&**host, *port)).await;
            let stream = stream.map_err(|error| error.to_string())?;
            if upstream.tls {
                let (connector, name) = tls(upstream)?;
                let stream = connector.connect(name, stream).await;
                let stream = stream.map_err(|error| format!("TLS: {error}"))?;
                exchange::over(stream, request).await
            } else {
                exchange::over(stream, request).await
            }
        }
    };
    let (head, body) = answer.map_err(|error| format!("broken answer: {error}"))?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let json = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
    Ok(Answer { status: head.status.as_u16(), json: json.unwrap_or_default() })
}

fn tls(upstream: &UpstreamSpec) -> Result<(TlsConnector, ServerName<'static>), String> {
    let tls = UpstreamTls::default();
    let config = client_config(&tls, Protocol::Http1).map_err(|error| error.to_string())?;
    let name = server_name(upstream, &tls).map_err(|error| error.to_string())?;
    Ok((TlsConnector::from(Arc::clone(&config)), name))
}
