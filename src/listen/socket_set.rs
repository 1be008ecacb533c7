//! Listening sockets by the address that the config has for them: those at work, to be lent to a process
//! that takes over, and those that such a process was lent.
//!
//! A socket that is closed resets the clients that wait in it. So every socket of a set that is used at
//! all is accepted from, whatever the number of cores is now.

use std::io;

use super::Bound;
use crate::model::listener::ListenAddress;

/// Listening sockets of some addresses.
#[derive(Debug, Default)]
pub struct SocketSet {
    list: Vec<Listening>,
}

/// The sockets of one address.
#[derive(Debug)]
pub struct Listening {
    /// The address as the config has it; a port of 0 stays 0.
    pub address: ListenAddress,
    /// The sockets, one or more.
    pub sockets: Vec<Bound>,
    /// Whether a unix socket's file goes when Cyan ends; a service manager's own stays.
    pub is_ours: bool,
}

impl SocketSet {
    /// Takes sockets in.
    pub fn add(&mut self, listening: Listening) {
        self.list.push(listening);
    }

    /// Takes copies in.
    ///
    /// # Errors
    /// When the process may not have more descriptors.
    pub fn keep(&mut self, listening: &Listening) -> io::Result<()> {
        let sockets = listening.sockets.iter().map(Bound::try_clone).collect::<io::Result<_>>()?;
        let (address, is_ours) = (listening.address.clone(), listening.is_ours);
        self.list.push(Listening { address, sockets, is_ours });
        Ok(())
    }

    /// Gives out the sockets of an address: those for which the config has the same words, else those
    /// that have it in truth, since a port of 0 has become another one.
    pub fn take(&mut self, address: &ListenAddress) -> Option<Listening> {
        let in_truth = |listening: &Listening| {
            let given = listening.sockets.first().and_then(Bound::address);
            given.map(ListenAddress::Tcp).as_ref() == Some(address)
        };
        let index = self.list.iter().position(|listening| listening.address == *address);
        let index = index.or_else(|| self.list.iter().position(in_truth))?;
        Some(self.list.remove(index))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Listening> {
        self.list.iter()
    }

    /// Closes them for good, with the files of unix sockets.
    pub fn close(self) {
        for Listening { address, is_ours, .. } in &self.list {
            if let (ListenAddress::Unix(path), true) = (address, is_ours) {
                // It may be gone already; the next start replaces a stale one anyway.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl Listening {
    /// The port that was given, for a TCP address.
    pub fn given(&self) -> Option<std::net::SocketAddr> {
        self.sockets.first().and_then(Bound::address)
    }

    /// What each core accepts from. Cores that are more than sockets share one; sockets that are more
    /// than cores are spread.
    ///
    /// # Errors
    /// When the process may not have more descriptors.
    pub fn share(self, cores: usize) -> io::Result<Vec<Vec<Bound>>> {
        let mut by_core: Vec<Vec<Bound>> = (0..cores).map(|_| Vec::new()).collect();
        let count = self.sockets.len();
        for (core, held) in by_core.iter_mut().enumerate().skip(count) {
            held.push(self.sockets[core % count].try_clone()?);
        }
        for (index, socket) in self.sockets.into_iter().enumerate() {
            by_core[index % cores].push(socket);
        }
        Ok(by_core)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bind;
    use super::*;

    fn tcp(text: &str) -> ListenAddress {
        ListenAddress::Tcp(text.parse().unwrap())
    }

    #[test]
    fn every_socket_is_accepted_from_and_every_core_has_one() {
        for (sockets, cores, expected) in [
            (2, 2, vec![1, 1]),
            (4, 2, vec![2, 2]),
            (3, 2, vec![2, 1]),
            (1, 3, vec![1, 1, 1]),
            (2, 5, vec![1, 1, 1, 1, 1]),
        ] {
            let listening = bind(&tcp("127.0.0.1:0"), sockets).unwrap();
            let shared = listening.share(cores).unwrap();
            let counts: Vec<usize> = shared.iter().map(Vec::len).collect();
            assert_eq!(counts, expected, "{sockets} sockets, {cores} cores");
        }
    }

    #[test]
    fn sockets_are_found_by_the_words_of_the_config_and_by_the_port_that_was_given() {
        let mut set = SocketSet::default();
        set.add(bind(&tcp("127.0.0.1:0"), 1).unwrap());
        let second = bind(&tcp("127.0.0.1:0"), 1).unwrap();
        let given = ListenAddress::Tcp(second.given().unwrap());
        set.add(second);
        assert_eq!(set.take(&given).unwrap().address, tcp("127.0.0.1:0"));
        assert!(set.take(&given).is_none(), "a socket is given out once");
        assert!(set.take(&tcp("127.0.0.1:0")).is_some());
        assert!(set.take(&tcp("127.0.0.1:0")).is_none());
    }

    #[test]
    fn a_unix_sockets_file_goes_with_it_unless_it_is_somebody_elses() {
        let folder = tempfile::tempdir().unwrap();
        for is_ours in [true, false] {
            let path = folder.path().join("cyan.sock");
            let mut set = SocketSet::default();
            let listening = bind(&ListenAddress::Unix(path.clone()), 1).unwrap();
            set.add(Listening { is_ours, ..listening });
            set.close();
            assert_eq!(path.exists(), !is_ours);
        }
    }
}
