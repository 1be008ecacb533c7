//! Byte streams, whatever carries them; a client's knows more.
//!
//! It knows four things that the HTTP engine does not tell: when the first byte of a request head came
//! (so that a slow head can be told from an idle connection), that a refused request's body should
//! be read for a moment before the socket closes, or the client would see a reset instead of the reply
//! (HTTP/2 is always read on so),
//! interim answers, which hyper cannot write itself: they go out between what it writes, and only
//! when all of that is written, so that they never stand inside an answer; and whether the client takes
//! what is written, which nobody else sees once hyper holds the end of an answer.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::frame_watch::{FrameCredit, FrameWatch};

/// Most bytes read and thrown away before a connection with a refused body is closed.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of interim answers that wait for a client; beyond them they are dropped.
const INTERIM_BYTES_MAX: usize = 16 * 1024;

/// What the stream and its core tell each other. Only one thread ever touches it; the atomics are
/// there because an upgraded stream has to be `Send`.
#[derive(Debug, Default)]
pub struct IoState {
    is_head_begun: AtomicBool,
    is_lingering: AtomicBool,
    is_upload_left: AtomicBool,
    has_interim: AtomicBool,
    interim: Mutex<Interim>,
    is_blocked: AtomicBool,
    written: AtomicU64,
    /// Who goes on when it is not blocked any more.
    blocked: Mutex<Option<Waker>>,
    /// What an HTTP/2 client may still have us do for nothing.
    pub credit: FrameCredit,
}

/// Interim answers that were not written yet, and the task that writes them.
#[derive(Debug, Default)]
struct Interim {
    bytes: Vec<u8>,
    writer: Option<Waker>,
}

impl IoState {
    /// Interim answers may come; this is who writes them.
    pub fn expect_interim(&self, writer: &Waker) {
        let mut interim = self.interim.lock().unwrap_or_else(PoisonError::into_inner);
        interim.bytes.clear(); // of a request before, whose answer has come
        self.has_interim.store(false, Ordering::Relaxed);
        match &mut interim.writer {
            Some(known) => known.clone_from(writer),
            none => *none = Some(writer.clone()),
        }
    }

    /// An interim answer is to be written.
    pub fn push_interim(&self, head: &[u8]) {
        let mut interim = self.interim.lock().unwrap_or_else(PoisonError::into_inner);
        if interim.bytes.len() + head.len() <= INTERIM_BYTES_MAX {
            interim.bytes.extend_from_slice(head);
            self.has_interim.store(true, Ordering::Relaxed);
        }
        if let Some(writer) = &interim.writer {
            writer.wake_by_ref();
        }
    }

    /// What is to be written.
    fn take_interim(&self) -> Vec<u8> {
        if !self.has_interim.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let mut interim = self.interim.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut interim.bytes)
    }

    /// Whether bytes wait for room in the socket.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    /// Bytes that the socket has taken.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits until no bytes wait for room in the socket; for one task at a time. Cancel safe.
    pub fn poll_unblocked(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_blocked() {
            return Poll::Ready(());
        }
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        *blocked = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes note of whether the socket has room.
    fn note_room(&self, has_room: bool) {
        if self.is_blocked.swap(!has_room, Ordering::Relaxed) && has_room {
            let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waker) = blocked.take() {
                waker.wake();
            }
        }
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = written {
            self.written.fetch_add(*count as u64, Ordering::Relaxed);
        }
        self.note_room(written.is_ready());
    }

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

    /// Nobody takes the rest of a request's body any more, or a new request begins.
    pub fn leave_upload(&self, is_left: bool) {
        self.is_upload_left.store(is_left, Ordering::Relaxed);
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
    /// Interim answers being written.
    interim: Vec<u8>,
    interim_written: usize,
    /// The engine has nothing unwritten: this is the end of an answer, or of nothing.
    is_flushed: bool,
    /// Of HTTP/2.
    frames: Option<FrameWatch>,
}

/// What carries bytes, of clients and of upstreams.
pub enum Carrier {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A unix socket.
    Unix(UnixStream),
    /// TLS over a unix socket.
    UnixTls(Box<TlsStream<UnixStream>>),
}

impl Carrier {
    /// The socket below.
    pub fn fd(&self) -> RawFd {
        match self {
            Self::Tcp(io) => io.as_raw_fd(),
            Self::Tls(io) => io.get_ref().0.as_raw_fd(),
            Self::Unix(io) => io.as_raw_fd(),
            Self::UnixTls(io) => io.get_ref().0.as_raw_fd(),
        }
    }
}

impl ClientIo {
    /// A stream of which some bytes have been read already.
    pub fn new(carrier: Carrier, ahead: Vec<u8>, state: Arc<IoState>) -> Self {
        state.is_head_begun.store(!ahead.is_empty(), Ordering::Relaxed);
        Self {
            carrier,
            ahead,
            state,
            lingered_bytes: 0,
            interim: Vec::new(),
            interim_written: 0,
            is_flushed: true,
            frames: None,
        }
    }

    /// Writes interim answers, where they do not fall into the middle of another; what does is dropped.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            let interim = self.state.take_interim();
            if interim.is_empty() || !self.is_flushed {
                return Poll::Ready(Ok(()));
            }
            (self.interim, self.interim_written) = (interim, 0);
        }
        while self.interim_written < self.interim.len() {
            let rest = &self.interim[self.interim_written..];
            let written = Pin::new(&mut self.carrier).poll_write(cx, rest);
            self.state.note_written(&written);
            let count = ready!(written)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim_written += count;
        }
        self.interim = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// The same, looking at the frames of HTTP/2 that come.
    pub fn watched(self) -> Self {
        Self { frames: Some(FrameWatch::default()), ..self }
    }

    /// Looks at what has been read.
    fn look(&mut self, read: &[u8]) -> io::Result<()> {
        let has_credit =
            self.frames.as_mut().is_none_or(|frames| frames.pass(read, &self.state.credit));
        if has_credit { Ok(()) } else { Err(io::Error::other("too many frames for nothing")) }
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
            let before = buffer.filled().len();
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            if self.ahead.is_empty() {
                self.ahead = Vec::new(); // its memory would stay as long as the connection
            }
            return Poll::Ready(self.look(&buffer.filled()[before..]));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.carrier).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.state.is_head_begun.store(true, Ordering::Relaxed);
            self.look(&buffer.filled()[before..])?;
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
        ready!(self.poll_interim(cx))?;
        self.is_flushed = false;
        let written = Pin::new(&mut self.carrier).poll_write(cx, bytes);
        self.state.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        self.is_flushed = false;
        let written = Pin::new(&mut self.carrier).poll_write_vectored(cx, slices);
        self.state.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_flushed = true; // hyper flushes when it has nothing left to write
        ready!(self.poll_interim(cx))?;
        let flushed = Pin::new(&mut self.carrier).poll_flush(cx);
        self.state.note_room(flushed.is_ready());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.carrier).poll_shutdown(cx);
        self.state.note_room(shut.is_ready());
        ready!(shut)?;
        if self.frames.is_some() || self.state.is_upload_left.load(Ordering::Relaxed) {
            // A client of HTTP/2 writes while it reads: acknowledgements, windows. One of HTTP/1 may be in the
            // middle of a body that its upstream has refused. What comes to a closed socket is answered by
            // a reset, and the client loses answers that it has not read yet.
            self.state.linger();
        }
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
            Carrier::UnixTls($io) => $call,
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
            Self::UnixTls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Some streams were once cut when a process was taken over: what a client wrote to the closed socket was
    /// answered by a reset, before the client had read its last answers.
    #[tokio::test]
    async fn an_http2_client_may_write_until_it_has_read_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let carrier = Carrier::Tcp(listener.accept().await.unwrap().0);
        let mut io = ClientIo::new(carrier, Vec::new(), Arc::default()).watched();
        let ending = tokio::spawn(async move { io.shutdown().await });
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "nothing more comes");
        for _ in 0..100 {
            client.write_all(b"an acknowledgement").await.expect("it is read still");
            tokio::task::yield_now().await;
        }
        assert!(!ending.is_finished(), "it waits for the client to leave");
        drop(client);
        ending.await.unwrap().unwrap();
    }
}
