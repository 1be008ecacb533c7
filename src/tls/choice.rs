//! Which of several certificates a client sees.
//!
//! The one made out to the name it asks for (SNI): exactly, else by a wildcard, in the order of the
//! config; else the first. Of two for the same name, the first whose key the client can verify is taken,
//! so that an ECDSA certificate may stand before an RSA one for old clients. All are walked through: there
//! are few, and a handshake costs a thousand times as much.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use crate::model::certificate_hosts::CertificateHosts;

/// The certificates of a listener, the first for whoever asks for none of them.
#[derive(Debug)]
pub(super) struct Choice {
    certificates: Vec<Certificate>,
    /// By certificate; empty when there is only one, which leaves no other to be meant.
    hosts: Vec<Arc<CertificateHosts>>,
}

impl Choice {
    /// A choice of at least one.
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        let hosts = match certificates.len() {
            1 => Vec::new(),
            count => (0..count).map(|own| Arc::new(hosts_of(&certificates, own))).collect(),
        };
        Self { certificates, hosts }
    }

    /// All of them, in the order of the config.
    pub(super) fn all(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The hosts of the certificate that a client was shown which asked for `name`.
    pub(super) fn hosts_for(&self, name: &str) -> Option<Arc<CertificateHosts>> {
        self.hosts.get(self.find(name, |_| true)).cloned()
    }

    fn find(&self, name: &str, can_use: impl Fn(&Certificate) -> bool) -> usize {
        let name = name.to_ascii_lowercase();
        let position = |covers: &dyn Fn(&Certificate) -> bool| {
            self.certificates.iter().position(|own| covers(own) && can_use(own))
        };
        position(&|own| own.names.has(&name))
            .or_else(|| position(&|own| own.names.cover(&name)))
            .unwrap_or(0)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let can_use = |own: &Certificate| can_verify(&own.key, hello.signature_schemes());
        let found = hello.server_name().map_or(0, |name| self.find(name, can_use));
        Some(Arc::clone(&self.certificates[found].key))
    }
}

fn can_verify(key: &CertifiedKey, schemes: &[SignatureScheme]) -> bool {
    key.key.choose_scheme(schemes).is_some()
}

fn hosts_of(certificates: &[Certificate], own: usize) -> CertificateHosts {
    let others = certificates.iter().enumerate().filter(|(other, _)| *other != own);
    let others = others.map(|(_, certificate)| certificate.names.clone()).collect();
    CertificateHosts::new(certificates[own].names.clone(), others)
}
