//! The threads of an emulated server: one accepts and serves, further ones only serve.
//!
//! Each thread has its own single-threaded runtime, so that a connection, its answers and their
//! timers never leave their core.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

use super::answer::answer;
use super::connection::serve;
use super::faults::{Connections, Faults, FaultsError};
use super::options::MockOptions;
use super::shared::Shared;
use super::stats::Stats;

/// Connections that may wait for a serving thread; a thread this far behind is overloaded.
const WAITING_CONNECTIONS_MAX: usize = 1024;

/// Connections that the kernel may hold before they are accepted: thousands connect at once in a bench.
const BACKLOG: i32 = 4096;

/// An emulated LLM server on its own threads. It stops when it is dropped, its connections with it.
#[derive(Debug)]
pub struct MockLlm {
    address: SocketAddr,
    control: Option<SocketAddr>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartMockError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; choose another address, or port 0 for a free one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The faults cannot be acted out.
    #[error(transparent)]
    Faults(#[from] FaultsError),
    /// A thread or its runtime could not be made.
    #[error("cannot start a thread for the emulated server: {0}")]
    Thread(io::Error),
}

impl MockLlm {
    /// Starts a server; it accepts connections when this returns.
    ///
    /// # Errors
    /// When an address cannot be listened on, the faults make no sense, or the system has no thread.
    pub fn start(options: MockOptions) -> Result<Self, StartMockError> {
        options.faults.check()?;
        let (listener, address) = listen(options.listen)?;
        let (control, control_address) = match options.control.map(listen).transpose()? {
            Some((listener, address)) => (Some(listener), Some(address)),
            None => (None, None),
        };
        let workers_further = options.workers.saturating_sub(1);
        let shared = Arc::new(Shared::new(options));
        let stop = watch::Sender::new(false);
        let mut threads = Vec::new();
        let mut workers = Vec::new();
        for _ in 0..workers_further {
            let (connections, waiting) = mpsc::channel(WAITING_CONNECTIONS_MAX);
            workers.push(connections);
            let context = Arc::clone(&shared);
            threads.push(spawn(stop.subscribe(), || serve_handed_over(context, waiting))?);
        }
        let context = Arc::clone(&shared);
        threads.push(spawn(stop.subscribe(), move || async move {
            if let Some(control) = control {
                spawn_local(accept_control(Arc::clone(&context), control));
            }
            accept(context, listener, address, workers).await;
        })?);
        Ok(Self { address, control: control_address, shared, stop, threads })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its control listener listens, if it has one.
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control
    }

    /// Its address as the beginning of a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces all faults; returns when the listener has followed. May be called from any runtime.
    ///
    /// # Errors
    /// When the faults cannot be acted out; then the old ones stay.
    pub async fn set_faults(&self, faults: Faults) -> Result<(), FaultsError> {
        faults.check()?;
        self.shared.set_faults(faults).await;
        Ok(())
    }

    /// What it has seen so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.report()
    }
}

impl Drop for MockLlm {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on stderr; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// Runs `work` on a thread of its own until it ends or `stop` says so; then everything that it spawned
/// is dropped.
fn spawn<W, F>(mut stop: watch::Receiver<bool>, work: W) -> Result<JoinHandle<()>, StartMockError>
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartMockError::Thread)?;
    let run = move || {
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, async {
            tokio::select! {
                () = work() => {}
                // An error means that the handle is gone, which is as good as its word.
                _ = stop.wait_for(|stops| *stops) => {}
            }
        });
    };
    std::thread::Builder::new()
        .name("mock-llm".to_owned())
        .spawn(run)
        .map_err(StartMockError::Thread)
}

fn listen(address: SocketAddr) -> Result<(StdListener, SocketAddr), StartMockError> {
    let open = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = StdListener::from(socket);
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open().map_err(|source| StartMockError::Listen { address, source })
}

/// Accepts connections, and opens and closes the listener as the faults say.
async fn accept(
    shared: Arc<Shared>,
    first: StdListener,
    address: SocketAddr,
    workers: Vec<mpsc::Sender<StdStream>>,
) {
    let mut faults = shared.faults.subscribe();
    let mut listener = TcpListener::from_std(first).ok();
    let mut turn = 0;
    loop {
        let connections = faults.borrow_and_update().connections;
        if connections == Connections::Refuse {
            listener = None;
        } else if listener.is_none() {
            let opened = listen(address).ok();
            listener = opened.and_then(|(listener, _)| TcpListener::from_std(listener).ok());
        }
        shared.is_listening.send_replace(connections != Connections::Refuse);
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = faults.changed() => if changed.is_err() { return },
            // Errors here are of the connection (it left again) or of the whole system; both pass.
            accepted = accepted => if let Ok((stream, _)) = accepted {
                if connections == Connections::Close {
                    continue; // dropping it closes it
                }
                hand_over(&shared, stream, &workers, &mut turn).await;
            },
        }
    }
}

/// Gives each thread its share of connections, this one included.
async fn hand_over(
    shared: &Arc<Shared>,
    stream: TcpStream,
    workers: &[mpsc::Sender<StdStream>],
    turn: &mut usize,
) {
    *turn = (*turn + 1) % (workers.len() + 1);
    match workers.get(*turn) {
        None => drop(spawn_local(serve_one(Arc::clone(shared), stream))),
        Some(worker) => {
            if let Ok(stream) = stream.into_std() {
                // A closed channel means that the server stops.
                let _ = worker.send(stream).await;
            }
        }
    }
}

async fn serve_handed_over(shared: Arc<Shared>, mut waiting: mpsc::Receiver<StdStream>) {
    while let Some(stream) = waiting.recv().await {
        if let Ok(stream) = TcpStream::from_std(stream) {
            spawn_local(serve_one(Arc::clone(&shared), stream));
        }
    }
}

async fn accept_control(shared: Arc<Shared>, listener: StdListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            spawn_local(serve_one(Arc::clone(&shared), stream));
        }
    }
}

async fn serve_one(shared: Arc<Shared>, stream: TcpStream) {
    let _open = OpenConnection::count(&shared);
    let idle_close = shared.options.idle_close;
    // How a connection ends is the client's business, or that of a fault.
    let _ = serve(stream, idle_close, |link: Rc<_>, request| {
        answer(Arc::clone(&shared), link, request)
    })
    .await;
}

/// Counts a connection as open until it is dropped.
struct OpenConnection(Arc<Shared>);

impl OpenConnection {
    fn count(shared: &Arc<Shared>) -> Self {
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        shared.counters.connections_open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.counters.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}
