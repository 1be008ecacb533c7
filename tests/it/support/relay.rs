//! Puts another kind of socket before a server that a test has already.

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::{AbortHandle, JoinSet};

/// A server that passes bytes on; it stops when dropped, with all its connections.
pub struct Relay {
    /// Where it listens, if that is a TCP address.
    pub address: SocketAddr,
    running: AbortHandle,
}

impl Relay {
    /// A relay at work.
    pub fn running(address: SocketAddr, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { address, running: tokio::spawn(work).abort_handle() }
    }

    /// Listens on a unix socket.
    pub fn on_unix(path: &Path, plain: SocketAddr) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        Self::running(plain, async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(pass(stream, plain));
            }
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Passes bytes in both directions until both sides have ended.
pub async fn pass<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, plain: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(plain).await else { return };
    let _ = server.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
}
