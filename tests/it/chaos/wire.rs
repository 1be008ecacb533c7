//! HTTP/1.1 by hand, for both ends: every byte is seen, and how a body ended is never guessed.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest head, and line of a chunk.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A connection, and what has come over it and was not asked for yet.
pub struct Wire<S> {
    /// The socket.
    pub stream: S,
    ahead: Vec<u8>,
}

/// A head.
#[derive(Debug)]
pub struct Head {
    /// Its first line.
    pub first: String,
    fields: Vec<(String, String)>,
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By its length.
    Length(usize),
    /// In chunks.
    Chunks,
    /// By the end of the connection.
    UntilClose,
}

/// How reading a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As its framing says.
    Whole,
    /// Before.
    Broken,
    /// The reader has had enough.
    Enough,
}

/// How somebody reads a body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// The pause after each piece.
    pub pause: Option<Duration>,
    /// Bytes after which nothing more is read.
    pub enough: Option<usize>,
}

impl Head {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The status of an answer.
    pub fn status(&self) -> Option<u16> {
        self.first.split(' ').nth(1)?.parse().ok()
    }

    /// How the body is framed; `otherwise` where the head does not say.
    pub fn framing(&self, otherwise: Framing) -> Framing {
        if self.field("transfer-encoding") == Some("chunked") {
            return Framing::Chunks;
        }
        let length = self.field("content-length").and_then(|length| length.parse().ok());
        length.map_or(otherwise, Framing::Length)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A wire over a connection.
    pub fn over(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// Sends bytes; false when nobody takes them any more.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Reads a head; `None` when the connection ends before.
    pub async fn head(&mut self) -> Option<Head> {
        let text = String::from_utf8(self.until(b"\r\n\r\n").await?).ok()?;
        let mut lines = text.trim_end().split("\r\n");
        let first = lines.next()?.to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Some(Head { first, fields: fields.collect() })
    }

    /// Reads a body into `into`, as far as it comes.
    pub async fn body(&mut self, framing: Framing, how: Reading, into: &mut Vec<u8>) -> Ended {
        match framing {
            Framing::Length(length) => self.piece(length, how, into).await,
            Framing::UntilClose => match self.piece(usize::MAX, how, into).await {
                Ended::Broken => Ended::Whole,
                ended => ended,
            },
            Framing::Chunks => self.chunks(how, into).await,
        }
    }

    /// Whether the other side has closed a connection at rest.
    pub async fn was_closed(&mut self) -> bool {
        let mut byte = [0];
        let looked = self.stream.read(&mut byte);
        tokio::select! {
            biased;
            _ = looked => true,
            () = std::future::ready(()) => false,
        }
    }

    /// Waits until the other side closes.
    pub async fn until_closed(&mut self) {
        while self.fill().await {}
    }

    async fn chunks(&mut self, how: Reading, into: &mut Vec<u8>) -> Ended {
        loop {
            let Some(line) = self.until(b"\r\n").await else { return Ended::Broken };
            let line = String::from_utf8_lossy(&line);
            let Ok(size) = usize::from_str_radix(line.trim_end(), 16) else { return Ended::Broken };
            let ended = self.piece(size, how, into).await;
            if ended != Ended::Whole {
                return ended;
            }
            if self.until(b"\r\n").await.as_deref() != Some(b"\r\n") {
                return Ended::Broken;
            }
            if size == 0 {
                return Ended::Whole;
            }
        }
    }

    /// The next `length` bytes.
    async fn piece(&mut self, length: usize, how: Reading, into: &mut Vec<u8>) -> Ended {
        let mut missing = length;
        while missing > 0 {
            if self.ahead.is_empty() && !self.fill().await {
                return Ended::Broken;
            }
            let came = missing.min(self.ahead.len());
            into.extend(self.ahead.drain(..came));
            missing -= came;
            if how.enough.is_some_and(|enough| into.len() >= enough) {
                return Ended::Enough;
            }
            if let Some(pause) = how.pause {
                tokio::time::sleep(pause).await;
            }
        }
        Ended::Whole
    }

    async fn until(&mut self, wanted: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.ahead.windows(wanted.len()).position(|window| window == wanted);
            if let Some(at) = found {
                return Some(self.ahead.drain(..at + wanted.len()).collect());
            }
            if self.ahead.len() > HEAD_BYTES_MAX || !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.ahead).await, Ok(1..))
    }
}
