//! A new process takes over from a running one, and no client notices.
//!
//! The new one (`claim`) is told to by `--takeover` and connects to a socket in the state directory, on
//! which the running one (`offer`) waits. They agree step by step (`message`):
//!
//! | the new one | the running one |
//! |---|---|
//! | says hello | lends every listening socket |
//! | has bound and read all it needs: prepared | writes everything down; judges and writes no more; the state is free |
//! | has restored the state, its cores stand at the gate: ready | lets go |
//! | opens the gate: serving | stops accepting, finishes what is in flight, ends |
//!
//! They stay connected until the one before has ended (`farewell`).
//!
//! What must stay true: at every moment somebody accepts on every socket; until it hears `serving` the
//! running one goes on as if nothing had been, should the other go; and the new one accepts nobody
//! before it was let. So whoever is killed, and whenever, the other one serves.

pub mod claim;
pub mod farewell;
pub mod message;
pub mod offer;

use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use crate::listen::SocketSet;

/// The socket in the state directory.
const FILE_NAME: &str = "takeover.sock";

/// Every listening socket of a process.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Where users connect.
    pub public: SocketSet,
    /// Where the admin API is.
    pub admin: SocketSet,
}

/// Where a Cyan with this state directory waits for the next one.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE_NAME)
}

/// Whether the process at the other end belongs to the same user. A mode of 0600 says so too, but not
/// between the making of the socket and the setting of its mode.
fn is_one_of_us(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == ours)
}
