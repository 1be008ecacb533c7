//! Binds listeners, public ones and the admin API's.
//!
//! One socket per core on the same address, so that the kernel spreads new connections and no core wakes
//! another; but never beside another process, and never in place of somebody's file.

mod handed_over;
mod port_owner;
mod socket_set;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

pub use self::socket_set::{Listening, SocketSet};
use crate::model::listener::ListenAddress;

/// Connections the kernel may hold for us before they are accepted.
pub const BACKLOG: i32 = 4096;

/// A bound socket of one core.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error(
        "cannot listen on {address}: it is in use{by}; stop that process or choose another port"
    )]
    Busy {
        /// The address.
        address: String,
        /// `, by PID (NAME)` where that can be found out.
        by: String,
    },
    /// The system refused.
    #[error("cannot listen on {address}: {problem}")]
    Refused {
        /// The address.
        address: String,
        /// What the system said.
        problem: String,
    },
}

/// Binds one TCP socket per core or one unix socket, or takes those that a service manager has made for
/// this address. A port of 0 becomes the same free port for all of them.
///
/// # Errors
/// When the address is in use or not to be had.
pub fn bind(address: &ListenAddress, cores: usize) -> Result<Listening, ListenError> {
    let refused = |error: io::Error| ListenError::Refused {
        address: address.to_string(),
        problem: format!("the service manager's socket cannot be used: {error}"),
    };
    let taken = handed_over::take(address).map_err(refused)?;
    let is_ours = taken.is_empty();
    let sockets = if is_ours { bind_anew(address, cores)? } else { taken };
    Ok(Listening { address: address.clone(), sockets, is_ours })
}

/// To be called when every listener is bound: closes what else a service manager has made, with a warning.
pub fn close_rest() {
    handed_over::close_rest();
}

fn bind_anew(address: &ListenAddress, cores: usize) -> Result<Vec<Bound>, ListenError> {
    match address {
        ListenAddress::Tcp(address) => bind_tcp(*address, cores).map_err(|error| {
            let shown = address.to_string();
            if error.kind() == io::ErrorKind::AddrInUse {
                ListenError::Busy { address: shown, by: port_owner::describe(*address) }
            } else {
                ListenError::Refused { address: shown, problem: error.to_string() }
            }
        }),
        ListenAddress::Unix(path) => bind_unix(path).map(|socket| vec![socket]),
    }
}

fn bind_tcp(address: SocketAddr, cores: usize) -> io::Result<Vec<Bound>> {
    // Sockets that share a port would also share it with a second Cyan, silently. So the port is asked
    // for exclusively first.
    let probe = tcp_socket(address, false)?;
    let address = SocketAddr::new(address.ip(), local_port(&probe)?);
    drop(probe);
    (0..cores)
        .map(|_| {
            let socket = tcp_socket(address, true)?;
            socket.listen(BACKLOG)?;
            Ok(Bound::Tcp(socket.into()))
        })
        .collect()
}

fn tcp_socket(address: SocketAddr, shares_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(shares_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if !shares_port {
        socket.listen(1)?; // two sockets may be bound to one address; only listening tells
    }
    Ok(socket)
}

fn local_port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?;
    Ok(address.as_socket().map_or(0, |address| address.port()))
}

fn bind_unix(path: &Path) -> Result<Bound, ListenError> {
    let address = format!("unix:{}", path.display());
    if UnixStream::connect(path).is_ok() {
        return Err(ListenError::Busy { address, by: String::new() });
    }
    let listen = || {
        // A socket that nobody answers on is left over from a process that was killed. Anything else of
        // that name is somebody's file.
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                let problem = "a file of that name exists and is no socket; move it away";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        listener.set_nonblocking(true)?;
        Ok(Bound::Unix(listener))
    };
    listen().map_err(|error| ListenError::Refused { address, problem: error.to_string() })
}

impl Bound {
    /// Takes over a socket that another process has made.
    ///
    /// # Errors
    /// When it is no listening stream socket.
    pub fn adopt(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            let problem = "it is no listening stream socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        socket.set_nonblocking(true)?;
        socket.set_cloexec(true)?; // hooks and evaluations are no heirs
        let address = socket.local_addr()?;
        if address.is_unix() {
            Ok(Self::Unix(UnixListener::from(OwnedFd::from(socket))))
        } else if address.as_socket().is_some() {
            Ok(Self::Tcp(TcpListener::from(socket)))
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// The same socket once more.
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
        })
    }

    /// The address with the port that was given.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Where it listens: the port that was given, or the path.
    fn listen_address(&self) -> Option<ListenAddress> {
        match self {
            Self::Tcp(_) => self.address().map(ListenAddress::Tcp),
            Self::Unix(listener) => {
                let address = listener.local_addr().ok()?;
                address.as_pathname().map(|path| ListenAddress::Unix(path.to_owned()))
            }
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_shared_by_our_cores_and_by_nobody_else() {
        let any = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let bound = bind(&any, 3).unwrap();
        let address = bound.given().unwrap();
        assert_eq!(bound.sockets.len(), 3);
        assert!(bound.sockets.iter().all(|socket| socket.address() == Some(address)));
        let error = bind(&ListenAddress::Tcp(address), 1).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {address}: it is in use")), "{error}");
        if cfg!(target_os = "linux") {
            assert!(error.contains(&format!("by process {}", std::process::id())), "{error}");
        }
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let address = ListenAddress::Unix(folder.path().join("cyan.sock"));
        let first = bind(&address, 2).unwrap();
        assert!(matches!(bind(&address, 1), Err(ListenError::Busy { .. })));
        drop(first);
        assert!(bind(&address, 1).is_ok());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        let error = bind(&ListenAddress::Unix(path.clone()), 1).unwrap_err().to_string();
        assert!(error.contains("is no socket; move it away"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
