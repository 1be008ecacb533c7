//! The admin listener: a TCP address or a unix socket.
//!
//! Whoever is slow here must not keep anybody from rolling back: connections are bounded in number, and
//! a connection that sends no request, or takes none of its answer, is let go.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::patience::Patient;
use crate::listen::{self, Bound, Listening, SocketSet};
use crate::model::listener::ListenAddress;

/// Most connections at once; beyond it accepting pauses.
const CONNECTIONS_MAX: usize = 256;
/// Time for a request head, and for an idle connection to bring the next.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// With fewer places left it is crowded: who comes then has less time for a head, and one request, so that
/// a silent crowd holds up others for seconds at most, and nobody is hurried when it has gone.
const CROWDED_BELOW: usize = CONNECTIONS_MAX / 2;
/// Time for a request head then.
const CROWDED_HEAD_LIMIT: Duration = Duration::from_millis(500);
/// Time without a byte taken after which a connection is let go.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// Time to finish answers after another process has taken over; streams of events have no end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Pause after a failed accept: it fails for want of file descriptors, which takes a moment to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the admin API cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("admin.address: {0}")]
pub struct ListenError(#[from] listen::ListenError);

/// A bound admin listener. The file of a unix socket stays when it is dropped; `SocketSet::close` removes it.
#[derive(Debug)]
pub struct AdminListener {
    sockets: Vec<Bound>,
    address: ListenAddress,
}

impl AdminListener {
    /// Listens on `address`; who connects waits for `serve`. Needs no runtime yet. Sockets that another
    /// process has made are looked for in `inherited`; copies to be lent to the next one go to `kept`.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(
        address: &ListenAddress,
        inherited: &mut SocketSet,
        kept: &mut SocketSet,
    ) -> Result<Self, ListenError> {
        let bound = match inherited.take(address) {
            Some(listening) => listening,
            None => listen::bind(address, 1)?,
        };
        let given = bound.given().map_or_else(|| address.clone(), ListenAddress::Tcp);
        let bound = Listening { address: address.clone(), ..bound };
        kept.keep(&bound).map_err(|error| listen::ListenError::Refused {
            address: address.to_string(),
            problem: error.to_string(),
        })?;
        Ok(Self { sockets: bound.sockets, address: given })
    }

    /// Where it listens; the port is the real one if 0 was asked for.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Serves `router` until it is dropped, or until `leaving` says that another process serves it: then
    /// answers under way are finished, and every connection is closed.
    pub(super) async fn serve(self, router: Router, leaving: watch::Receiver<bool>) {
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            match Acceptor::new(socket) {
                Ok(acceptor) => {
                    accepting.spawn(acceptor.accept_all(router.clone(), leaving.clone()));
                }
                // Without the admin API users are still served; ending the process would help nobody.
                Err(error) => {
                    tracing::error!(%error, address = %self.address, "the admin API is not served");
                }
            }
        }
        while accepting.join_next().await.is_some() {}
    }
}

/// The socket at work in a runtime.
enum Acceptor {
    Tcp(net::TcpListener),
    Unix(net::UnixListener),
}

impl Acceptor {
    fn new(socket: Bound) -> std::io::Result<Self> {
        match socket {
            Bound::Tcp(listener) => net::TcpListener::from_std(listener).map(Self::Tcp),
            Bound::Unix(listener) => net::UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    async fn accept_all(self, router: Router, mut leaving: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut conversations = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = has_left(&mut leaving) => break,
                _ = conversations.join_next(), if !conversations.is_empty() => continue,
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    let is_crowded = places.available_permits() < CROWDED_BELOW;
                    let talk = converse(stream, router.clone(), leaving.clone(), is_crowded);
                    conversations.spawn(async move {
                        talk.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin listener cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self); // who comes now is the other process' to answer
        while conversations.join_next().await.is_some() {}
    }

    /// The next connection, when there is a place for it. Cancel safe.
    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> std::io::Result<(Box<dyn Duplex>, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.expect("nobody closes this semaphore");
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An event is worth more early than a packet full; without it, it is only late.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), place))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), place))
            }
        }
    }
}

/// A connection of either kind.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// One connection from its first request to its last.
async fn converse(
    stream: Box<dyn Duplex>,
    router: Router,
    mut leaving: watch::Receiver<bool>,
    is_crowded: bool,
) {
    let head_limit = if is_crowded { CROWDED_HEAD_LIMIT } else { HEAD_LIMIT };
    let io = TokioIo::new(Patient::new(stream, WRITE_LIMIT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .keep_alive(!is_crowded)
        .max_buf_size(64 << 10)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = has_left(&mut leaving) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST_ANSWERS, connection).await.unwrap_or(Ok(()))
        }
    };
    // Clients that break off are their own affair.
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

/// Waits until another process serves the admin API. Cancel safe.
async fn has_left(leaving: &mut watch::Receiver<bool>) {
    if leaving.wait_for(|is_leaving| *is_leaving).await.is_err() {
        std::future::pending::<()>().await; // nobody will ever say so
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn bind(address: &ListenAddress, kept: &mut SocketSet) -> Result<AdminListener, ListenError> {
        AdminListener::bind(address, &mut SocketSet::default(), kept)
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let address = ListenAddress::Unix(path.clone());
        drop(UnixListener::bind(&path).unwrap()); // leaves its file behind
        let mut kept = SocketSet::default();
        let listener = bind(&address, &mut kept).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let error = bind(&address, &mut SocketSet::default()).unwrap_err().to_string();
        assert!(error.contains("it is in use"), "{error}");
        drop(listener);
        kept.close();
        assert!(!path.exists());
        std::fs::write(&path, "data").unwrap();
        let error = bind(&address, &mut SocketSet::default()).unwrap_err().to_string();
        assert!(error.contains("is no socket; move it away"), "{error}");
    }

    #[test]
    fn a_taken_port_is_named() {
        let address = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let mut kept = SocketSet::default();
        let first = bind(&address, &mut kept).unwrap();
        let error = bind(first.address(), &mut kept).unwrap_err().to_string();
        assert!(error.starts_with(&format!("admin.address: cannot listen on {}", first.address())));
    }
}
