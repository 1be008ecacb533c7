//! An answer that goes on: server-sent events, written by a task of its own.
//!
//! A task, because a body is only asked while the connection takes bytes, and a follower that takes
//! none has to lose events and not its place.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use tokio::sync::mpsc;

/// Between two comments on a quiet stream, so that neither side takes it for dead.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The comment.
pub(super) const STILL_HERE: &str = ": still here\n\n";
/// Pieces that wait for a connection; what feeds the task holds the rest.
const PIECES_MAX: usize = 16;

/// The answer, and where its pieces go. The pieces' end ends it.
pub(super) fn answer() -> (mpsc::Sender<Bytes>, Response) {
    let (pieces, body) = mpsc::channel(PIECES_MAX);
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (pieces, (head, Body::new(Pieces(body))).into_response())
}

/// A body made of pieces.
struct Pieces(mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
