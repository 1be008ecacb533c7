//! The admin listener: a TCP address or a unix socket.
//!
//! Whoever is slow here must not keep anybody from rolling back: connections are bounded in number, and
//! a connection that sends no request, or takes none of its answer, is let go.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::patience::Patient;
use crate::listen::{self, Bound};
use crate::model::listener::ListenAddress;

/// Most connections at once; beyond it accepting pauses.
const CONNECTIONS_MAX: usize = 256;
/// Time for a request head, and for an idle connection to bring the next.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Time without a byte taken after which a connection is let go.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// Pause after a failed accept: it fails for want of file descriptors, which takes a moment to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the admin API cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("admin.address: {0}")]
pub struct ListenError(#[from] listen::ListenError);

/// A bound admin listener.
#[derive(Debug)]
pub struct AdminListener {
    socket: Socket,
    address: ListenAddress,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, Option<UnixPath>),
}

/// Removes the socket's file when the listener goes.
#[derive(Debug)]
struct UnixPath(PathBuf);

impl Drop for UnixPath {
    fn drop(&mut self) {
        // It may be gone already; the next start replaces a stale one anyway.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl AdminListener {
    /// Listens on `address`; who connects waits for `serve`. Needs no runtime yet.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        let bound = listen::bind(address, 1)?.swap_remove(0);
        let given = bound.address().map(ListenAddress::Tcp);
        let path = match address {
            // A service manager's own is there for the next process, too.
            ListenAddress::Unix(path) if !listen::is_handed_over(address) => {
                Some(UnixPath(path.clone()))
            }
            ListenAddress::Unix(_) | ListenAddress::Tcp(_) => None,
        };
        let socket = match bound {
            Bound::Unix(listener) => Socket::Unix(listener, path),
            Bound::Tcp(listener) => Socket::Tcp(listener),
        };
        Ok(Self { socket, address: given.unwrap_or_else(|| address.clone()) })
    }

    /// Where it listens; the port is the real one if 0 was asked for.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Serves `router` until it is dropped.
    pub(super) async fn serve(self, router: Router) {
        let (acceptor, _path) = match self.socket {
            Socket::Tcp(listener) => {
                (net::TcpListener::from_std(listener).map(Acceptor::Tcp), None)
            }
            Socket::Unix(listener, path) => {
                (net::UnixListener::from_std(listener).map(Acceptor::Unix), path)
            }
        };
        match acceptor {
            Ok(acceptor) => acceptor.accept_all(router).await,
            Err(error) => {
                // Without the admin API users are still served; ending the process would help nobody.
                tracing::error!(%error, address = %self.address, "the admin API is not served");
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The socket at work in a runtime.
enum Acceptor {
    Tcp(net::TcpListener),
    Unix(net::UnixListener),
}

impl Acceptor {
    async fn accept_all(self, router: Router) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let place = place.expect("nobody closes this semaphore");
            if let Err(error) = self.accept(router.clone(), place).await {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Takes one connection, and has a task of its own converse with it.
    async fn accept(&self, router: Router, place: OwnedSemaphorePermit) -> std::io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An event is worth more early than a packet full; without it, it is only late.
                let _ = stream.set_nodelay(true);
                tokio::spawn(converse(stream, router, place));
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(converse(stream, router, place));
            }
        }
        Ok(())
    }
}

/// One connection from its first request to its last.
async fn converse<S>(stream: S, router: Router, _place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Patient::new(stream, WRITE_LIMIT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(64 << 10)
        .serve_connection(io, TowerToHyperService::new(router));
    // Clients that break off are their own affair.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let address = ListenAddress::Unix(path.clone());
        drop(UnixListener::bind(&path).unwrap()); // leaves its file behind
        let listener = AdminListener::bind(&address).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let error = AdminListener::bind(&address).unwrap_err().to_string();
        assert!(error.contains("it is in use"), "{error}");
        drop(listener);
        assert!(!path.exists());
        std::fs::write(&path, "data").unwrap();
        let error = AdminListener::bind(&address).unwrap_err().to_string();
        assert!(error.contains("is no socket; move it away"), "{error}");
    }

    #[test]
    fn a_taken_port_is_named() {
        let address = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let first = AdminListener::bind(&address).unwrap();
        let error = AdminListener::bind(first.address()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("admin.address: cannot listen on {}", first.address())));
    }
}
