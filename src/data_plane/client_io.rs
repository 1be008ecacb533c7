//! Byte streams, whatever carries them; a client's knows more.
//!
//! It knows two things that the HTTP engine does not tell: when the first byte of a request head came
//! (so that a slow head can be told from an idle connection), and that a refused request's body should
//! be read for a moment before the socket closes, or the client would see a reset instead of the reply.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// Most bytes read and thrown away before a connection with a refused body is closed.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// What the stream and its core tell each other. Only one thread ever touches it; the atomics are
/// there because an upgraded stream has to be `Send`.
#[derive(Debug, Default)]
pub struct IoState {
    is_head_begun: AtomicBool,
    is_lingering: AtomicBool,
}

impl IoState {
    /// A request head is awaited from here on.
    pub fn await_head(&self) {
        self.is_head_begun.store(false, Ordering::Relaxed);
    }

    /// Its first byte has come.
    pub fn begin_head(&self) {
        self.is_head_begun.store(true, Ordering::Relaxed);
    }

    /// Whether a byte has come since.
    pub fn is_head_begun(&self) -> bool {
        self.is_head_begun.load(Ordering::Relaxed)
    }

    /// Read on for a moment before closing.
    pub fn linger(&self) {
        self.is_lingering.store(true, Ordering::Relaxed);
    }

    /// Whether it reads on before closing.
    pub fn is_lingering(&self) -> bool {
        self.is_lingering.load(Ordering::Relaxed)
    }
}

/// The stream.
pub struct ClientIo {
    carrier: Carrier,
    /// Bytes read before the protocol was known.
    ahead: Vec<u8>,
    state: Arc<IoState>,
    lingered_bytes: usize,
}

/// What carries bytes, of clients and of upstreams.
pub enum Carrier {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A unix socket.
    Unix(UnixStream),
}

impl Carrier {
    /// The socket below.
    pub fn fd(&self) -> RawFd {
        match self {
            Self::Tcp(io) => io.as_raw_fd(),
            Self::Tls(io) => io.get_ref().0.as_raw_fd(),
            Self::Unix(io) => io.as_raw_fd(),
        }
    }
}

impl ClientIo {
    /// A stream of which some bytes have been read already.
    pub fn new(carrier: Carrier, ahead: Vec<u8>, state: Arc<IoState>) -> Self {
        state.is_head_begun.store(!ahead.is_empty(), Ordering::Relaxed);
        Self { carrier, ahead, state, lingered_bytes: 0 }
    }

    /// Reads and throws away what a refused request still sends, up to a limit. The core's tick ends it
    /// when it takes too long.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waste = [0; 4096];
        while self.lingered_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(&mut self.carrier).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.lingered_bytes += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            if self.ahead.is_empty() {
                self.ahead = Vec::new(); // its memory would stay as long as the connection
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.carrier).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.state.is_head_begun.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.carrier).poll_shutdown(cx))?;
        if self.state.is_lingering() { self.poll_linger(cx) } else { Poll::Ready(Ok(())) }
    }
}

/// Calls the same method of whichever stream there is.
macro_rules! carried {
    ($self:ident, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Carrier::Tcp($io) => $call,
            Carrier::Tls($io) => $call,
            Carrier::Unix($io) => $call,
        }
    };
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        carried!(self, io => Pin::new(io).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        carried!(self, io => Pin::new(io).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        carried!(self, io => Pin::new(io).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
            Self::Unix(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}
