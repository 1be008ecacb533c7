//! Calls of the admin API, over HTTP like everybody's.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A change is answered after a second at the latest; this is for a machine that is busy.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Calls `path`; the answer is JSON.
///
/// # Errors
/// A sentence that names the call, when it is not answered or answered by a refusal.
pub(super) async fn call(
    admin: SocketAddr,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Value, String> {
    let failed = |problem: String| format!("{method} http://{admin}{path}: {problem}");
    let request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header("host", admin.to_string())
        .header("content-type", "application/json")
        .header("x-cyan-actor", "demo")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| failed(error.to_string()))?;
    match timeout(ANSWER_MAX, exchange(admin, request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(problem)) => Err(failed(problem)),
        Err(_) => Err(failed(format!("no answer within {} s", ANSWER_MAX.as_secs()))),
    }
}

async fn exchange(admin: SocketAddr, request: Request<Full<Bytes>>) -> Result<Value, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let stream = TcpStream::connect(admin).await.map_err(|e| text(&e))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| text(&e))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|e| text(&e))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        if !status.is_success() {
            return Err(format!("answered {status}: {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|e| text(&e))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end first; the answer is then complete or an error by itself.
        _ = connection => exchange.await,
    }
}
