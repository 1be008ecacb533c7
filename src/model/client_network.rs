//! Which addresses are one client: an IPv4 address, or an IPv6 network of 64 bits.
//!
//! Whoever has an address of IPv6 has a whole network to choose from. An IPv4 address that is written as one of
//! IPv6 stays itself, or all of them would be one client.

use std::net::IpAddr;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A number for the client at an address: the same for all its addresses, and one that nobody can foresee who
/// does not know the seed.
pub fn hash(address: IpAddr, seed: u64) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => xxh3_64_with_seed(&address.octets(), seed),
        IpAddr::V6(address) => xxh3_64_with_seed(&address.octets()[..8], seed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_client_and_an_address_of_ipv4_too() {
        let hash = |text: &str| hash(text.parse().unwrap(), 7);
        assert_eq!(hash("2001:db8::1"), hash("2001:db8::ffff:2"));
        assert_ne!(hash("2001:db8::1"), hash("2001:db8:0:1::1"));
        assert_ne!(hash("192.0.2.1"), hash("192.0.2.2"));
        assert_eq!(hash("192.0.2.1"), hash("::ffff:192.0.2.1"));
        assert_ne!(hash("::ffff:192.0.2.1"), hash("::ffff:192.0.2.2"));
    }
}
