//! Requests of one client beyond its rate are refused, before anything else is done with them.

use std::net::IpAddr;

use super::head::{Peer, RequestHead};
use super::key;
use super::{Exchange, Refusal};
use crate::model::client_network;
use crate::model::service::ServiceSpec;
use crate::model::sticky::KeySource;

impl Exchange {
    /// Counts the request against its client, where its service limits that.
    pub(super) fn check_rate(
        &self,
        head: &impl RequestHead,
        service: &ServiceSpec,
    ) -> Result<(), Refusal> {
        let Some(rate) = &service.requests_per_client else { return Ok(()) };
        let Some(client) = client(head, &rate.by, self.client, &self.peer) else { return Ok(()) };
        let taken = self.recorder.rates.take(service.name.as_str(), client, rate, self.began);
        taken.map_err(|wait| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Refusal::RequestsPerClient(u32::try_from(seconds).unwrap_or(u32::MAX))
        })
    }
}

/// A number for the client: its name, or its address where it has none. A proxy in front that does not say whom
/// it speaks for, and a unix socket, are no clients.
fn client(
    head: &impl RequestHead,
    by: &[KeySource],
    address: Option<IpAddr>,
    peer: &Peer,
) -> Option<u64> {
    let mut names = by.iter().take_while(|source| **source != KeySource::ClientAddress);
    let name = names.find_map(|source| key::lookup(head, source, 0, None));
    if let Some(name) = name {
        return Some(name.hash);
    }
    let address = address?;
    let is_proxy = peer.trusted.iter().any(|net| net.contains(&address));
    (!is_proxy).then(|| client_network::hash(address, 0))
}
