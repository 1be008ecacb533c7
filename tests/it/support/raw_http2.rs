//! An HTTP/2 client without a library.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::frames::{END_HEADERS, END_STREAM, HEADERS, PREFACE, frame, head};
use super::in_time;

/// A connection on which frames are written by hand.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects by prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut stream = in_time(TcpStream::connect(address)).await.expect("it accepts");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        stream.write_all(PREFACE).await.expect("it reads");
        Self(stream)
    }

    /// Sends bytes; the proxy may have closed.
    pub async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        in_time(self.0.write_all(frame)).await
    }

    /// A request on this stream, in literals without indexing.
    pub async fn request(&mut self, stream: u32) -> io::Result<()> {
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("GET"))).await
    }

    /// Both directions by themselves.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.0.into_split()
    }

    /// Reads until the proxy ends the connection. Whether it said GOAWAY before.
    pub async fn end(&mut self) -> bool {
        let mut read = Vec::new();
        // A reset says the same as an end.
        let _ = in_time(self.0.read_to_end(&mut read)).await;
        let mut rest = &read[..];
        while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
            if *kind == 7 {
                return true;
            }
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            rest = after.get(length..).unwrap_or_default();
        }
        false
    }
}
