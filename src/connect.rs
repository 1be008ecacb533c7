//! Connects to the socket of an upstream, for requests and for probes alike.
//!
//! Of a name with several addresses one may be silent while the others are well. So the next one is tried
//! after a failure or a quarter of a second, and those before go on (RFC 8305, section 5): no address takes
//! the time of the others. A unix socket with a full backlog says so at once, where TCP waits; here it is
//! waited for. Nothing has a limit on time; who calls sets one around it. Cancel safe: all attempts end
//! with the call.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

/// After this the next address is tried (`Connection Attempt Delay` of RFC 8305, section 8).
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// Attempts at once. Beyond them the oldest gives way, which has had two seconds.
const AT_ONCE_MAX: usize = 8;

/// Pauses before a full backlog is tried again. A busy server accepts within milliseconds.
const BACKLOG_PAUSE_MIN: Duration = Duration::from_millis(1);
const BACKLOG_PAUSE_MAX: Duration = Duration::from_millis(128);

/// Connects to one of these addresses, and says to which. `first` is the place of the one to begin with,
/// counted round and round.
///
/// # Errors
/// The last failure, when all have failed.
pub async fn tcp(addresses: &[SocketAddr], first: usize) -> io::Result<(TcpStream, SocketAddr)> {
    one_of(addresses, first, TcpStream::connect, || tokio::time::sleep(NEXT_AFTER)).await
}

/// Connects to a unix socket.
///
/// # Errors
/// Whatever the system says, except for a full backlog.
pub async fn unix(path: &Path) -> io::Result<UnixStream> {
    let mut pause = BACKLOG_PAUSE_MIN;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        // Jitter, so that those who wait do not all come again at once.
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        pause = (pause * 2).min(BACKLOG_PAUSE_MAX);
    }
}

/// The next address is begun with after a failure, or when `late` is over.
async fn one_of<T, F, L>(
    addresses: &[SocketAddr],
    first: usize,
    connect: impl Fn(SocketAddr) -> F,
    late: impl Fn() -> L,
) -> io::Result<(T, SocketAddr)>
where
    F: Future<Output = io::Result<T>>,
    L: Future<Output = ()>,
{
    let count = addresses.len();
    let mut waiting = (0..count).map(|place| addresses[(first % count + place) % count]);
    let mut under_way = Vec::new();
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address");
    loop {
        if let Some(address) = waiting.next() {
            if under_way.len() == AT_ONCE_MAX {
                under_way.remove(0);
            }
            under_way.push((address, Box::pin(connect(address))));
        } else if under_way.is_empty() {
            return Err(failure);
        }
        let ended = tokio::select! {
            biased;
            ended = first_end(&mut under_way) => ended,
            () = late(), if waiting.len() > 0 => continue,
        };
        match ended {
            (address, Ok(connected)) => return Ok((connected, address)),
            (_, Err(error)) => failure = error,
        }
    }
}

/// Takes the first out that has ended. Cancel safe.
async fn first_end<T, F: Future<Output = T>>(
    under_way: &mut Vec<(SocketAddr, Pin<Box<F>>)>,
) -> (SocketAddr, T) {
    poll_fn(|cx| {
        for index in 0..under_way.len() {
            let (address, attempt) = &mut under_way[index];
            if let Poll::Ready(ended) = attempt.as_mut().poll(cx) {
                let address = *address;
                under_way.remove(index);
                return Poll::Ready((address, ended));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{pending, ready};

    use tokio::net::UnixListener;

    use super::*;

    /// What an address does.
    #[derive(Clone, Copy)]
    enum Does {
        Connects,
        /// When it is looked at for the second time.
        ConnectsLater,
        Fails,
        Nothing,
    }
    use Does::{Connects, ConnectsLater, Fails, Nothing};

    /// Connects to addresses that do this, where the time until the next one is always over. Returns the place
    /// of the one that is connected to, and those of the ones that were begun with.
    async fn at_once(does: &[Does], first: usize) -> (Option<usize>, Vec<usize>) {
        let begun = RefCell::new(Vec::new());
        let addresses: Vec<_> =
            (0..).take(does.len()).map(|n: u16| SocketAddr::from(([10, 0, 0, 0], n))).collect();
        let connect = |address: SocketAddr| {
            let place = usize::from(address.port());
            begun.borrow_mut().push(place);
            async move {
                match does[place] {
                    Connects => Ok(()),
                    ConnectsLater => {
                        tokio::task::yield_now().await;
                        Ok(())
                    }
                    Fails => Err(io::ErrorKind::ConnectionRefused.into()),
                    Nothing => pending().await,
                }
            }
        };
        let connected = one_of(&addresses, first, connect, || ready(())).await;
        (connected.ok().map(|((), address)| address.port().into()), begun.into_inner())
    }

    #[tokio::test]
    async fn the_next_is_tried_after_a_failure_or_in_time_and_those_before_go_on() {
        for (does, first, found, begun) in [
            (&[Connects, Nothing][..], 0, Some(0), &[0][..]),
            (&[Connects, Nothing], 1, Some(0), &[1, 0]),
            (&[Connects, Fails], 7, Some(0), &[1, 0]),
            (&[ConnectsLater, Nothing, Connects], 0, Some(0), &[0, 1]),
            (&[Fails, ConnectsLater, Nothing], 0, Some(1), &[0, 1, 2]),
            (&[Fails, Fails], 3, None, &[1, 0]),
            (&[ConnectsLater], 3, Some(0), &[0]),
            (&[], 3, None, &[]),
        ] {
            assert_eq!(at_once(does, first).await, (found, begun.to_vec()));
        }
        let mut silent = [Nothing; 20];
        silent[19] = Connects;
        assert_eq!(at_once(&silent, 0).await.0, Some(19), "however many are silent");
    }

    #[tokio::test]
    async fn the_next_is_not_tried_before_its_time() {
        let begun = RefCell::new(0);
        let connect = |_| {
            *begun.borrow_mut() += 1;
            pending::<io::Result<()>>()
        };
        let addresses = [SocketAddr::from(([10, 0, 0, 1], 80)); 2];
        let connecting = one_of(&addresses, 0, connect, pending);
        tokio::select! {
            biased;
            _ = connecting => panic!("nobody answers"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(*begun.borrow(), 1);
    }

    #[tokio::test]
    async fn a_full_backlog_of_a_unix_socket_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("llm.sock");
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(1).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into()).unwrap();
        let mut waiting: tokio::task::JoinSet<_> = (0..10)
            .map(|_| {
                let path = path.clone();
                async move { unix(&path).await.map(drop) }
            })
            .collect();
        let accepting = tokio::spawn(async move {
            loop {
                listener.accept().await.unwrap();
            }
        });
        let all = async {
            while let Some(connected) = waiting.join_next().await {
                connected.unwrap().expect("nobody is refused");
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("all get in");
        accepting.abort();
        drop(folder);
        assert_eq!(unix(&path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
