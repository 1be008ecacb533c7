//! One connection to an emulated server: what its answers may do to it beyond HTTP.
//!
//! HTTP/1.1 or, by prior knowledge, HTTP/2: the first bytes tell. The [`Link`] is the short wire
//! between an answer and its connection, over which it is reset, or closed when the answer is done.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::body::MockBody;
use super::stats::unix_ns;

/// The first bytes of an HTTP/2 connection; no method of HTTP/1.1 begins like this.
const PREFACE_START: [u8; 3] = *b"PRI";

/// What an answer may tell its connection, and the other way round. One thread serves both.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Whether the socket is closed by RST instead of FIN.
    pub(super) reset: Cell<bool>,
    /// Closes the connection, unannounced, when the answer in progress is done.
    pub(super) close_after: Notify,
    /// Requests whose answer is not finished.
    pub(super) busy: Cell<u32>,
    first_byte: Cell<Option<u64>>,
}

impl Link {
    /// When the first byte of the request that was just read arrived, in unix nanoseconds.
    pub(super) fn take_first_byte(&self) -> u64 {
        self.first_byte.take().unwrap_or_else(unix_ns)
    }
}

/// An answer that breaks the connection instead of ending.
#[derive(Debug, thiserror::Error)]
#[error("the fault drawn for this request breaks its connection")]
pub(super) struct Broken;

/// Serves one connection until it ends, however it ends.
///
/// # Errors
/// What hyper or the socket report; of interest to nobody but a curious reader, since faults break
/// connections on purpose.
pub(super) async fn serve<F, A>(
    stream: TcpStream,
    idle_close: Option<Duration>,
    answer: F,
) -> Result<(), Box<dyn std::error::Error>>
where
    F: Fn(Rc<Link>, Request<Incoming>) -> A,
    A: Future<Output = Result<Response<MockBody>, Broken>> + 'static,
{
    stream.set_nodelay(true)?;
    let link = Rc::new(Link::default());
    let mut socket = Socket { stream, link: Rc::clone(&link), start: [0; 3], start_unread: 0 };
    let is_http2 = socket.peek_preface().await?;
    let io = TokioIo::new(socket);
    let service = service_fn(|request| answer(Rc::clone(&link), request));
    if is_http2 {
        let builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
        return Ok(builder.serve_connection(io, service).await?);
    }
    let mut builder = hyper::server::conn::http1::Builder::new();
    if let Some(idle) = idle_close {
        builder.timer(TokioTimer::new()).header_read_timeout(idle);
    }
    let mut connection = pin!(builder.serve_connection(io, service));
    loop {
        tokio::select! {
            result = connection.as_mut() => return Ok(result?),
            () = link.close_after.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}

/// hyper's HTTP/2 server needs somewhere to run its streams: the thread of the connection.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        // Detached: it ends with its stream, and with the thread at the latest.
        drop(tokio::task::spawn_local(async move {
            future.await;
        }));
    }
}

/// A socket that notes when requests begin and can end by RST.
struct Socket {
    stream: TcpStream,
    link: Rc<Link>,
    start: [u8; 3],
    start_unread: usize,
}

impl Socket {
    /// Reads the first three bytes, keeps them for whoever reads next, and says whether they begin an
    /// HTTP/2 preface.
    async fn peek_preface(&mut self) -> io::Result<bool> {
        let mut start = [0; 3];
        self.stream.read_exact(&mut start).await?;
        self.link.first_byte.set(Some(unix_ns()));
        (self.start, self.start_unread) = (start, start.len());
        Ok(start == PREFACE_START)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start_unread > 0 {
            let from = self.start.len() - self.start_unread;
            let count = self.start_unread.min(into.remaining());
            into.put_slice(&self.start[from..from + count]);
            self.start_unread -= count;
            return Poll::Ready(Ok(()));
        }
        let filled = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        let has_read = into.filled().len() > filled;
        if has_read && self.link.busy.get() == 0 && self.link.first_byte.get().is_none() {
            self.link.first_byte.set(Some(unix_ns()));
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.reset.get() {
            return Poll::Ready(Ok(())); // a FIN now would spoil the RST that `drop` sends
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.link.reset.get() {
            // A socket that cannot linger for zero seconds ends by FIN: the fault is then a cut.
            let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}
