//! Requests over HTTP/2, several on a connection.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;
use tokio::net::TcpStream;

use super::caller::{Doors, HOST, Heard, method, path, waits};
use super::ledger::Ledger;
use super::script::{ANSWERED, HEADER, NUMBER, Shape};
use super::told::{Ask, End, Leave};
use crate::support::tls::shake;

/// Bytes of an upload in a frame.
const FRAME_BYTES: usize = 3000;
/// Times that a request is sent anew of which Cyan says that it has not looked at it.
const UNSEEN_MAX: u32 = 3;

/// A connection that is made anew when Cyan says goodbye.
#[derive(Default)]
pub struct Http2(Option<Line>);

/// A way to send requests, and to get another one.
#[derive(Clone)]
pub struct Line {
    sender: SendRequest<Bytes>,
    doors: Doors,
    is_secure: bool,
}

impl Http2 {
    /// The connection, or a new one.
    pub async fn connected(&mut self, doors: &Doors, is_secure: bool) -> Option<Line> {
        if let Some(line) = &self.0
            && line.sender.clone().ready().await.is_ok()
        {
            return self.0.clone();
        }
        self.0 = Line::connect(doors.clone(), is_secure).await;
        self.0.clone()
    }
}

impl Line {
    async fn connect(doors: Doors, is_secure: bool) -> Option<Self> {
        let sender = if is_secure {
            let stream = shake(Arc::clone(&doors.tls_http2), doors.secure, HOST).await.ok()?;
            let (sender, connection) = h2::client::handshake(stream).await.ok()?;
            tokio::spawn(connection);
            sender
        } else {
            let stream = TcpStream::connect(doors.plain).await.ok()?;
            let _ = stream.set_nodelay(true);
            let (sender, connection) = h2::client::handshake(stream).await.ok()?;
            tokio::spawn(connection);
            sender
        };
        Some(Self { sender, doors, is_secure })
    }
}

/// Sends a request and reads its answer; anew on another connection, where Cyan says that it was not seen.
pub async fn exchange(mut line: Line, ask: &Ask, ledger: &Ledger) -> Heard {
    for _ in 0..UNSEEN_MAX {
        match attempt(&line, ask, ledger).await {
            Ok(heard) => return heard,
            Err(error) if !was_unseen(&error) => {
                return Heard::nothing(if ask.leaves.is_some() { End::Left } else { End::Nothing });
            }
            Err(_) => match Line::connect(line.doors, line.is_secure).await {
                Some(another) => line = another,
                None => break,
            },
        }
    }
    Heard::nothing(End::Nothing)
}

/// Whether the request was certainly not looked at (RFC 9113, 8.7).
fn was_unseen(error: &h2::Error) -> bool {
    match error.reason() {
        Some(h2::Reason::NO_ERROR) => error.is_go_away(),
        Some(h2::Reason::REFUSED_STREAM) => true,
        _ => false,
    }
}

async fn attempt(line: &Line, ask: &Ask, ledger: &Ledger) -> Result<Heard, h2::Error> {
    let mut sender = line.sender.clone().ready().await?;
    let body = ask.script.upload();
    let request = request(ask, if line.is_secure { "https" } else { "http" });
    let (response, mut sending) = sender.send_request(request, body.is_empty())?;
    if upload(&mut sending, ask, &body) {
        sending.send_reset(h2::Reason::CANCEL);
        return Ok(Heard::nothing(End::Left));
    }
    if ask.leaves == Some(Leave::Waiting) {
        waits(ledger, ask.number).await;
        sending.send_reset(h2::Reason::CANCEL);
        return Ok(Heard::nothing(End::Left));
    }
    let (head, stream) = response.await?.into_parts();
    let answered = head.headers.get(ANSWERED).and_then(|value| value.to_str().ok());
    let mut answer = Heard {
        status: Some(head.status.as_u16()),
        answered: answered.map(str::to_owned),
        body: Vec::new(),
        end: End::Broken,
    };
    answer.end = read(stream, ask, &mut answer.body).await;
    if answer.end == End::Left {
        sending.send_reset(h2::Reason::CANCEL);
    }
    Ok(answer)
}

fn request(ask: &Ask, scheme: &str) -> Request<()> {
    let mut request = Request::builder()
        .method(method(&ask.script))
        .uri(format!("{scheme}://{HOST}{}", path(ask)))
        .header(NUMBER, ask.number)
        .header("x-user-id", ask.user)
        .header(HEADER, ask.script.header());
    if ask.script.shape == Shape::Stream {
        request = request.header("content-type", "application/json");
    }
    request.body(()).expect("a request")
}

/// Sends the body; true when the client leaves on the way.
fn upload(sending: &mut SendStream<Bytes>, ask: &Ask, body: &[u8]) -> bool {
    let mut sent = 0;
    for piece in body.chunks(FRAME_BYTES) {
        sent += piece.len();
        if matches!(ask.leaves, Some(Leave::Upload(bytes)) if sent > bytes) {
            return true;
        }
        // An answer may have come already, and the stream may be over.
        if sending.send_data(Bytes::copy_from_slice(piece), sent == body.len()).is_err() {
            return false;
        }
    }
    false
}

async fn read(mut stream: RecvStream, ask: &Ask, body: &mut Vec<u8>) -> End {
    while let Some(frame) = stream.data().await {
        let Ok(data) = frame else { return End::Broken };
        let _ = stream.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
        if matches!(ask.leaves, Some(Leave::Answer(bytes)) if body.len() >= bytes) {
            return End::Left;
        }
    }
    match stream.trailers().await {
        Ok(_) => End::Whole,
        Err(_) => End::Broken,
    }
}
