//! One request on a fresh connection, whatever carries it.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends `request` over `stream`; answers when the head of the answer is there.
///
/// # Errors
/// When the connection breaks before.
pub(super) async fn over<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the answer's body; its errors reach us through the answer.
    tokio::spawn(connection);
    sender.send_request(request).await
}
