//! Which connections may come in: each counts against its listener and, where that is limited, against
//! the address it comes from.
//!
//! Counts by address are the same on all cores and need no lock: a table of fixed size, in which an
//! address has the place that a keyed hash gives it. Two addresses in one place count together, which
//! among thousands of clients hardly happens, and nobody can choose whom to meet. 256 KiB per listener
//! with a limit, whoever attacks.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use crate::model::client_network;

/// Places of the table; a power of two.
const PLACES: usize = 1 << 16;

/// Said to a client that has too many connections, before it is let go. Over TLS nothing can be said.
pub const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n\
retry-after: 1\r\nconnection: close\r\ncontent-length: 131\r\n\r\n\
{\"error\":{\"message\":\"too many connections from this address\",\"type\":\"invalid_request_error\",\
\"code\":\"connections_per_address_max\"}}\n";

/// Open connections by address.
#[derive(Debug)]
pub struct AddressCounts {
    places: Box<[AtomicU32]>,
    seed: u64,
    max: u32,
}

/// A connection counted against its address; dropping it counts it out.
#[derive(Debug)]
pub struct AddressPlace {
    counts: Arc<AddressCounts>,
    index: usize,
}

/// What a connection holds as long as it is open.
#[derive(Debug)]
pub struct Admission {
    /// Counts it against its listener's limit.
    pub permit: OwnedSemaphorePermit,
    /// Counts it against its address, where that is limited.
    pub address: Option<AddressPlace>,
}

impl AddressCounts {
    /// At most `max` connections of one address.
    pub fn new(max: u32, seed: u64) -> Arc<Self> {
        let places = (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Self { places, seed, max })
    }

    /// Counts one more of this address, unless it has as many as it may.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<AddressPlace> {
        let index = self.index(address);
        let below_max = |count: u32| (count < self.max).then_some(count + 1);
        // Relaxed: the limit bounds a number, it orders nothing.
        let (relaxed, place) = (Ordering::Relaxed, &self.places[index]);
        place.fetch_update(relaxed, relaxed, below_max).ok()?;
        Some(AddressPlace { counts: Arc::clone(self), index })
    }

    fn index(&self, address: IpAddr) -> usize {
        let hash = client_network::hash(address, self.seed);
        usize::try_from(hash % PLACES as u64).expect("a remainder of 65536")
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        self.counts.places[self.index].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_connections_and_no_more() {
        let counts = AddressCounts::new(2, 7);
        let first = counts.enter(address("192.0.2.1"));
        let second = counts.enter(address("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(counts.enter(address("192.0.2.1")).is_none());
        assert!(counts.enter(address("192.0.2.2")).is_some(), "another address");
        drop(first);
        assert!(counts.enter(address("192.0.2.1")).is_some());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let counts = AddressCounts::new(1, 7);
        let _held = counts.enter(address("2001:db8::1"));
        assert!(counts.enter(address("2001:db8::ffff:2")).is_none());
        assert!(counts.enter(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn the_answer_has_the_length_that_it_says() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
