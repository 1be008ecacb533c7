//! The addresses of an upstream, which change under open connections when its name does.
//!
//! A connection to an address that the name has no longer carries what it carries to the end, and nothing
//! more after that. Every use of a connection asks, so the answer is one look at a number until something
//! has changed.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

/// The addresses of one upstream.
#[derive(Debug)]
pub struct Addresses {
    set: ArcSwap<AddressSet>,
    /// That of the set.
    generation: AtomicU32,
    turn: AtomicUsize,
}

/// The addresses at one time.
#[derive(Debug)]
pub struct AddressSet {
    list: Vec<SocketAddr>,
    generation: u32,
    /// The generation that brought the last new address.
    grown: u32,
}

/// Where a connection leads.
#[derive(Debug, Clone, Copy)]
pub struct Destination {
    /// Nothing for a unix socket.
    address: Option<SocketAddr>,
    generation: u32,
}

impl Addresses {
    /// None, or those that are known without a look-up.
    pub fn new(list: Vec<SocketAddr>) -> Self {
        Self {
            set: ArcSwap::from_pointee(AddressSet { list, generation: 0, grown: 0 }),
            generation: AtomicU32::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Those of now.
    pub fn load(&self) -> Arc<AddressSet> {
        self.set.load_full()
    }

    /// Puts others in their place. For one writer at a time.
    pub fn store(&self, list: Vec<SocketAddr>) {
        let before = self.set.load();
        let generation = before.generation + 1;
        let has_grown = list.iter().any(|address| !before.contains(address));
        let grown = if has_grown { generation } else { before.grown };
        self.set.store(Arc::new(AddressSet { list, generation, grown }));
        // Release, and acquire in `is_as_made`: who sees the number sees the set.
        self.generation.store(generation, Ordering::Release);
    }

    /// Where the next connection begins: one after the other, so that all get their share.
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) // only the spread matters
    }

    /// Whether a connection leads to one of them, and may be given more to carry.
    pub fn has(&self, destination: &Destination) -> bool {
        self.is_as_made(destination) || self.set.load().has(destination)
    }

    /// Whether a connection may be kept for later: not one from before an address was added, so that those
    /// made instead find that one too.
    pub fn may_rest(&self, destination: &Destination) -> bool {
        self.is_as_made(destination) || {
            let set = self.set.load();
            set.has(destination) && set.grown <= destination.generation
        }
    }

    fn is_as_made(&self, destination: &Destination) -> bool {
        self.generation.load(Ordering::Acquire) == destination.generation
    }
}

impl AddressSet {
    /// A connection to one of them, or to a unix socket.
    pub fn destination(&self, address: Option<SocketAddr>) -> Destination {
        Destination { address, generation: self.generation }
    }

    fn has(&self, destination: &Destination) -> bool {
        destination.address.is_none_or(|address| self.contains(&address))
    }
}

impl Deref for AddressSet {
    type Target = [SocketAddr];

    fn deref(&self) -> &[SocketAddr] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_a_removed_address_gets_nothing_more_and_what_is_older_than_an_added_one_does_not_rest()
     {
        let [one, two, three] = [1, 2, 3].map(|n| SocketAddr::from(([10, 0, 0, n], 80)));
        let addresses = Addresses::new(vec![one, two]);
        let set = addresses.load();
        let [to_one, to_two, unix] =
            [Some(one), Some(two), None].map(|address| set.destination(address));
        let seen =
            || [to_one, to_two, unix].map(|to| (addresses.has(&to), addresses.may_rest(&to)));
        assert_eq!(seen(), [(true, true); 3]);
        addresses.store(vec![one]);
        assert_eq!(seen(), [(true, true), (false, false), (true, true)], "one is removed");
        addresses.store(vec![one, three]);
        assert_eq!(seen(), [(true, false), (false, false), (true, false)], "one is added");
        addresses.store(vec![one, two, three]);
        assert!(addresses.has(&to_two), "it is back");
        let to_three = addresses.load().destination(Some(three));
        addresses.store(vec![three]);
        assert!(addresses.may_rest(&to_three) && !addresses.has(&to_one));
    }
}
