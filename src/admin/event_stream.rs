//! An answer that goes on, as server-sent events do, written by a task of its own.
//!
//! A task, because a body is only asked while the connection takes bytes, and a follower that takes
//! none has to lose events and not its place.

use std::convert::Infallible;
use std::error::Error;
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

/// A piece of an answer; an error breaks the answer off, so that nobody takes a part for the whole.
pub(super) type Piece<E = Infallible> = Result<Bytes, E>;

/// An answer of events, and where its pieces go. The pieces' end ends it.
pub(super) fn answer() -> (mpsc::Sender<Piece>, Response) {
    answer_of("text/event-stream", PIECES_MAX)
}

/// The same of another type, with fewer pieces that wait.
pub(super) fn answer_of<E>(
    content_type: &'static str,
    pieces_max: usize,
) -> (mpsc::Sender<Piece<E>>, Response)
where
    E: Error + Send + Sync + 'static,
{
    let (pieces, body) = mpsc::channel(pieces_max);
    let head = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")];
    (pieces, (head, Body::new(Pieces(body))).into_response())
}

/// A body made of pieces.
struct Pieces<E>(mpsc::Receiver<Piece<E>>);

impl<E> http_body::Body for Pieces<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
