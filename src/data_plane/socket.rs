//! Looks at sockets past the HTTP engine, and sets their options.
//!
//! hyper does not read a connection while unread bytes of a pipelined request lie before it, or while an
//! upload that nobody takes blocks it; neither FIN nor RST is noticed then, and an LLM server goes on
//! generating for a client that left. poll(2) with POLLRDHUP reports both whatever lies unread.

#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;
use std::os::fd::RawFd;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

/// A peer that vanished without a word is noticed by keep-alive after about this long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Longest pause between two retransmissions. With the usual 15 of them (`net.ipv4.tcp_retries2`) a peer that
/// vanished with bytes on their way is noticed after about 50 s, not 15 min; keep-alive says nothing of it while
/// bytes are on their way. `TCP_USER_TIMEOUT` would also cut readers that pause (decision 16).
const RETRANSMIT_PAUSE_MAX: Duration = Duration::from_secs(4);

/// No delay, because tokens are small; the others, because peers vanish. All may fail without harm. What a
/// listening socket accepts inherits them.
pub fn set_options(socket: &Socket) {
    let _ = socket.set_tcp_nodelay(true);
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 3);
    let _ = socket.set_tcp_keepalive(&keep_alive);
    #[cfg(target_os = "linux")]
    limit_retransmit_pauses(socket);
}

/// Since Linux 6.15; before, it is an error.
#[cfg(target_os = "linux")]
fn limit_retransmit_pauses(socket: &Socket) {
    let ms = libc::c_int::try_from(RETRANSMIT_PAUSE_MAX.as_millis()).unwrap_or(libc::c_int::MAX);
    set_option(socket.as_raw_fd(), libc::IPPROTO_TCP, RTO_MAX_MS, &ms);
}

/// `TCP_RTO_MAX_MS` of `linux/tcp.h`.
#[cfg(target_os = "linux")]
const RTO_MAX_MS: libc::c_int = 44;

/// Of these sockets, the positions of those whose other end has gone. One system call.
pub fn gone(fds: &[RawFd]) -> Vec<usize> {
    let is_gone = |entry: &libc::pollfd| {
        entry.revents & (libc::POLLERR | libc::POLLHUP | RDHUP | libc::POLLNVAL) != 0
    };
    let polled = poll(fds, RDHUP);
    polled.iter().enumerate().filter(|(_, entry)| is_gone(entry)).map(|(index, _)| index).collect()
}

/// Of these sockets, the positions of those that broke. An end that writes no more may still read, and is no
/// such one.
pub fn broken(fds: &[RawFd]) -> Vec<usize> {
    let polled = poll(fds, 0); // errors are told unasked
    let is_broken = |(_, entry): &(usize, &libc::pollfd)| entry.revents != 0;
    polled.iter().enumerate().filter(is_broken).map(|(index, _)| index).collect()
}

/// Bytes in a socket that its other end has not taken yet; 0 where the system does not tell.
pub fn queued(fd: RawFd) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the pointer is that of a live value of the type this request writes; a bad descriptor is
    // answered with an error, which writes nothing.
    let asked = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) };
    if asked == 0 { u64::try_from(bytes).unwrap_or_default() } else { 0 }
}

/// Whether a socket has something to read, a FIN or an error included.
pub fn is_readable(fd: RawFd) -> bool {
    poll(&[fd], libc::POLLIN | RDHUP).iter().any(|entry| entry.revents != 0)
}

/// Closes the socket with a reset instead of a FIN when it is dropped. An HTTP/1.0 client takes a FIN
/// for the end of the answer, so an answer that was cut must not end with one.
pub fn reset_on_close(fd: RawFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger);
}

/// Sets an option, which may fail. `value` has the type that the option takes.
fn set_option<T: Copy>(fd: RawFd, level: libc::c_int, name: libc::c_int, value: &T) {
    #[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and the size are those of a live value, which is only read; a bad descriptor is
    // answered with an error, which changes nothing.
    let _ = unsafe { libc::setsockopt(fd, level, name, (&raw const *value).cast(), size) };
}

#[cfg(target_os = "linux")]
const RDHUP: i16 = libc::POLLRDHUP;
/// Elsewhere only full hang-ups are seen.
#[cfg(not(target_os = "linux"))]
const RDHUP: i16 = libc::POLLHUP;

fn poll(fds: &[RawFd], events: i16) -> Vec<libc::pollfd> {
    let mut entries: Vec<_> =
        fds.iter().map(|fd| libc::pollfd { fd: *fd, events, revents: 0 }).collect();
    // SAFETY: the pointer and the length are those of a live vector, and a timeout of 0 returns at once.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, 0) };
    if ready <= 0 {
        entries.iter_mut().for_each(|entry| entry.revents = 0);
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use socket2::SockRef;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn eventually(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !condition() {
            assert!(Instant::now() < deadline, "not within 5 s");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_client_that_left_is_seen_behind_unread_bytes() {
        let ((mut leaver, left), (_stayer, stayed)) = (pair(), pair());
        leaver.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let fds = [stayed.as_raw_fd(), left.as_raw_fd()];
        assert!(gone(&fds).is_empty());
        drop(leaver);
        eventually(|| gone(&fds) == [1]);
    }

    #[test]
    fn an_end_that_writes_no_more_is_not_broken_and_one_that_is_reset_is() {
        let ((quiet, heard), (leaver, left)) = (pair(), pair());
        quiet.shutdown(std::net::Shutdown::Write).unwrap();
        let fds = [heard.as_raw_fd(), left.as_raw_fd()];
        eventually(|| gone(&fds) == [0]);
        assert!(broken(&fds).is_empty());
        reset_on_close(leaver.as_raw_fd());
        drop(leaver);
        eventually(|| broken(&fds) == [1]);
    }

    #[test]
    fn what_the_other_end_does_not_take_is_queued() {
        let (client, mut server) = pair();
        assert_eq!(queued(server.as_raw_fd()), 0);
        server.set_nonblocking(true).unwrap();
        let piece = vec![0; 0x10000];
        while server.write(&piece).is_ok() {}
        let full = queued(server.as_raw_fd());
        assert!(full > 0);
        let reading =
            std::thread::spawn(move || std::io::copy(&mut { client }, &mut std::io::sink()));
        eventually(|| queued(server.as_raw_fd()) == 0);
        drop(server);
        assert!(reading.join().unwrap().unwrap() >= full);
    }

    #[test]
    fn what_is_accepted_inherits_the_options_of_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_options(&SockRef::from(&listener));
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap().0;
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
    }

    /// A pause in reading is no silence of the peer: `write_stall` is the limit on it, however long it is.
    #[cfg(target_os = "linux")]
    #[test]
    fn retransmissions_have_a_limit_and_a_pause_in_reading_has_none() {
        let socket =
            Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        set_options(&socket);
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
        let (mut ms, mut size): (libc::c_int, libc::socklen_t) = (0, 4);
        // SAFETY: the pointers are those of live values of the types this call writes.
        let asked = unsafe {
            let value = (&raw mut ms).cast();
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                RTO_MAX_MS,
                value,
                &raw mut size,
            )
        };
        let error = std::io::Error::last_os_error();
        if asked == 0 {
            assert_eq!(u128::try_from(ms).unwrap(), RETRANSMIT_PAUSE_MAX.as_millis());
        } else {
            assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT), "Linux before 6.15");
        }
    }

    #[test]
    fn a_resting_connection_is_readable_once_the_peer_closed() {
        let (client, server) = pair();
        assert!(!is_readable(client.as_raw_fd()));
        drop(server);
        eventually(|| is_readable(client.as_raw_fd()));
    }
}
