//! Many clients on a thread of their own.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::give_way::give_way;

/// Between two that come, at first: a thousand per second.
const APART: Duration = Duration::from_millis(1);
/// Addresses that they share, each of which has ports of its own.
const ADDRESSES: u8 = 8;
/// Between two looks at a crowd.
const LOOK: Duration = Duration::from_millis(20);

/// What a crowd has come to. The orders of counts do not matter: they are looked at while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    open: AtomicUsize,
    answers: AtomicUsize,
    ended: AtomicUsize,
}

/// An open connection, as long as it lives.
pub(crate) struct Open(Arc<Counts>);

/// Clients that leave when this is dropped.
pub(crate) struct Crowd {
    /// What they have come to.
    pub(crate) counts: Arc<Counts>,
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Counts {
    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Answers that were read whole.
    pub(crate) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// Connections that have come to an end.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// A connection is open.
    pub(crate) fn opened(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// An answer was read whole.
    pub(crate) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Crowd {
    /// Has so many clients come; each is what `client` makes of its number.
    pub(crate) fn begin<F>(
        count: usize,
        client: impl Fn(usize, Arc<Counts>) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        let (leave, left) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("crowd".into()).spawn(move || {
            give_way();
            runtime.block_on(async move {
                let mut clients = JoinSet::new();
                let come = async {
                    let mut apart = tokio::time::interval(APART); // catches up where it was late
                    for number in 0..count {
                        apart.tick().await;
                        clients.spawn(client(number, Arc::clone(&theirs)));
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = come => {}
                    _ = left => {}
                }
            });
        })?;
        Ok(Self { counts, thread: Some((leave, thread)) })
    }

    /// Waits until it has come to something.
    pub(crate) fn until(
        &self,
        what: &str,
        patience: Duration,
        holds: impl Fn(&Counts) -> bool,
    ) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        while !holds(&self.counts) {
            if Instant::now() > deadline {
                let counts = &self.counts;
                return Err(io::Error::other(format!("not in time: {what}; {counts:?}")));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some((leave, thread)) = self.thread.take() {
            drop(leave);
            let _ = thread.join(); // one that panicked has told so
        }
    }
}

/// A connection of one of them, whose socket takes so many bytes that it does not read.
pub(crate) async fn connect(
    address: SocketAddr,
    number: usize,
    receive_bytes: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = 2 + u8::try_from(number % usize::from(ADDRESSES)).expect("below a byte");
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
