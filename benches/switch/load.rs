//! What goes on while the weights move: requests in a closed loop, and streams that are reopened.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock;
use crate::http::{self, Client};
use crate::upstream::{LAST_EVENT, NAMES};

/// Keep-alive connections, each asks again as soon as it has its answer.
pub(crate) const CONNECTIONS: usize = 64;
/// Streams open at any time.
pub(crate) const STREAMS: usize = 200;
/// Different sticky keys, so that each weight splits them.
const USERS: usize = 4096;
/// Streams begin this far apart, so that they do not end together.
const STREAM_EVERY: Duration = Duration::from_millis(10);
/// After a failure, so that a proxy that refuses is not asked a million times.
const PAUSE: Duration = Duration::from_millis(20);
/// Failures that are kept in words.
const FAILURES_SHOWN_MAX: usize = 5;

/// A request or stream that came to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The environment that answered.
    pub(crate) environment: usize,
    /// Right before its head was written.
    pub(crate) written_ns: u64,
    /// When the kernel of the environment had its head.
    pub(crate) arrived_ns: u64,
    /// When its answer had been read.
    pub(crate) done_ns: u64,
}

/// Everything that a run has seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests answered.
    pub(crate) requests: Vec<Seen>,
    /// Streams that came to their terminator.
    pub(crate) streams: Vec<Seen>,
    /// Requests without a whole answer of status 200.
    pub(crate) failed: u64,
    /// Streams that ended in another way.
    pub(crate) cut: u64,
    /// The first failures, in words.
    pub(crate) failures: Vec<String>,
}

/// Which kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Stream,
}

/// Load on `address` until it is over; streams that are open then come to their end.
pub(crate) async fn run(address: SocketAddr, is_over: Arc<AtomicBool>) -> Tally {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut clients = JoinSet::new();
    for number in 0..CONNECTIONS + STREAMS {
        let (tally, is_over) = (Rc::clone(&tally), Arc::clone(&is_over));
        clients.spawn_local(async move {
            let kind = if number < CONNECTIONS { Kind::Request } else { Kind::Stream };
            if kind == Kind::Stream {
                let turn = u32::try_from(number - CONNECTIONS).unwrap_or(u32::MAX);
                tokio::time::sleep(STREAM_EVERY * turn).await;
            }
            let mut client = None;
            for user in (number..).step_by(CONNECTIONS + STREAMS) {
                if is_over.load(Ordering::Relaxed) {
                    break; // the flag orders nothing
                }
                let seen = ask(&mut client, address, kind, user % USERS).await;
                let is_ok = seen.is_ok();
                tally.borrow_mut().count(kind, seen);
                if !is_ok {
                    client = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
    while clients.join_next().await.is_some() {}
    tally.take()
}

/// One request on a connection that is made where there is none.
async fn ask(
    client: &mut Option<Client>,
    address: SocketAddr,
    kind: Kind,
    user: usize,
) -> io::Result<Seen> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(address).await?),
    };
    let (path, is_whole): (_, fn(&[u8]) -> bool) = match kind {
        Kind::Request => ("/", http::is_whole),
        Kind::Stream => ("/stream", http::is_ended),
    };
    let request = http::get(path, user);
    let written_ns = clock::now_ns();
    let answer = client.exchange(&request, is_whole).await?;
    let done_ns = clock::now_ns();
    let body = http::body(answer);
    if kind == Kind::Stream && !body.ends_with(LAST_EVENT) {
        return Err(io::Error::other("a stream ended without its last event"));
    }
    let (environment, arrived_ns) =
        origin(&body).ok_or_else(|| io::Error::other(format!("an answer of nobody: {body}")))?;
    Ok(Seen { environment, written_ns, arrived_ns, done_ns })
}

/// What an environment says of itself in its first line: its name and when the request came.
fn origin(body: &str) -> Option<(usize, u64)> {
    let (name, at_ns) = body.lines().next()?.split_once(' ')?;
    Some((NAMES.iter().position(|known| *known == name)?, at_ns.parse().ok()?))
}

impl Tally {
    fn count(&mut self, kind: Kind, seen: io::Result<Seen>) {
        match (kind, seen) {
            (Kind::Request, Ok(seen)) => self.requests.push(seen),
            (Kind::Stream, Ok(seen)) => self.streams.push(seen),
            (kind, Err(error)) => {
                let count = if kind == Kind::Request { &mut self.failed } else { &mut self.cut };
                *count += 1;
                if self.failures.len() < FAILURES_SHOWN_MAX {
                    self.failures.push(format!("{kind:?}: {error}"));
                }
            }
        }
    }
}
