//! TLS towards clients: made from files at the start, and made anew while Cyan serves.
//!
//! New settings are prepared as a whole and then put in place by one store. Each handshake takes the
//! settings of its moment; connections that stand keep theirs. Files that cannot be used leave everything
//! as it was.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use super::certificate::{Certificate, CertificateError};
use super::choice::Choice;
use super::pem::{self, PemError};
use crate::model::certificate_hosts::CertificateHosts;
use crate::model::listener::{ClientCertificates, ListenerTls, TlsVersion};
use crate::model::reading::Reading;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsServerError {
    /// A certificate or its key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The authorities of clients.
    #[error(transparent)]
    Authorities(#[from] PemError),
    /// The protocol itself could not be set up.
    #[error("TLS cannot be set up: {0}; report this with the output of `cyan --version`")]
    Setup(String),
}

/// TLS of the listeners, as it is now.
#[derive(Debug)]
pub struct ServerTls {
    now: ArcSwap<Settings>,
}

/// Settings of one moment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The last reading that found them so.
    reading: Reading,
    spec: ListenerTls,
    config: Arc<ServerConfig>,
    choice: Arc<Choice>,
    /// Who is let in, as it was read; with other authorities, sessions begin anew.
    authorities: Vec<Vec<u8>>,
}

impl ServerTls {
    /// Reads every file.
    ///
    /// # Errors
    /// When a file is unreadable, or a certificate does not fit its key.
    pub fn new(spec: &ListenerTls) -> Result<Self, TlsServerError> {
        let now = ArcSwap::from_pointee(Settings::read(Reading::default(), spec, None)?);
        Ok(Self { now })
    }

    /// The settings for a handshake that begins now.
    pub fn now(&self) -> Arc<Settings> {
        self.now.load_full()
    }

    /// Reads every file anew, as a part of `reading`. Nothing changes before the result is put in place.
    ///
    /// # Errors
    /// As [`ServerTls::new`].
    pub fn prepare(
        &self,
        reading: Reading,
        spec: &ListenerTls,
    ) -> Result<Settings, TlsServerError> {
        Settings::read(reading, spec, Some(&self.now.load()))
    }

    /// Puts prepared settings in place. Returns those before, or `None` when nothing is different, or what is
    /// in place was read later; then the present ones stay, and with them the sessions that can be resumed.
    pub fn replace(&self, next: Settings) -> Option<Arc<Settings>> {
        let next = Arc::new(next);
        let newer = |now: &Arc<Settings>| match (next.reading > now.reading, next.is_same(now)) {
            (false, _) => Arc::clone(now),
            // What stays was found so later: a reading in between does not take its place.
            (true, true) => Arc::new(Settings { reading: next.reading, ..Settings::clone(now) }),
            (true, false) => Arc::clone(&next),
        };
        let before = self.now.rcu(newer);
        let is_news = next.reading > before.reading && !next.is_same(&before);
        is_news.then_some(before)
    }
}

impl Settings {
    /// What they were made from.
    pub fn spec(&self) -> &ListenerTls {
        &self.spec
    }

    /// For rustls.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The certificates that are presented, in the order of the config.
    pub fn certificates(&self) -> &[Certificate] {
        self.choice.all()
    }

    /// The hosts of a connection whose client asked for `name`; `None` where there is one certificate.
    pub fn hosts_for(&self, name: &str) -> Option<Arc<CertificateHosts>> {
        self.choice.hosts_for(name)
    }

    fn read(
        reading: Reading,
        spec: &ListenerTls,
        before: Option<&Self>,
    ) -> Result<Self, TlsServerError> {
        let certificates: Result<Vec<_>, _> = spec.certificates().map(Certificate::read).collect();
        let choice = Arc::new(Choice::new(certificates?));
        let setup = |error: rustls::Error| TlsServerError::Setup(error.to_string());
        let (verifier, authorities) = spec.clients.as_ref().map(verifier).transpose()?.unzip();
        let authorities = authorities.unwrap_or_default();
        let builder = ServerConfig::builder_with_provider(pem::provider())
            .with_protocol_versions(versions(spec.version_min))
            .map_err(setup)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&choice) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let before = before.filter(|before| {
            before.authorities == authorities && before.spec.clients == spec.clients
        });
        config.ticketer = match before {
            Some(before) => Arc::clone(&before.config.ticketer),
            None => tickets().map_err(setup)?,
        };
        Ok(Self { reading, spec: spec.clone(), config: Arc::new(config), choice, authorities })
    }

    fn is_same(&self, other: &Self) -> bool {
        let certificates = self.certificates().iter().zip(other.certificates());
        self.spec == other.spec
            && self.authorities == other.authorities
            && certificates.fold(true, |same, (own, other)| same && own.is_same(other))
    }
}

/// Tickets let a client resume its session without Cyan keeping anything. Their keys are made anew every
/// six hours, and a ticket is good for twelve; a ticket outlives a renewed certificate, but not other
/// authorities of clients, which a resumed session would not be held against.
fn tickets() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    rustls::crypto::ring::Ticketer::new()
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match min {
        TlsVersion::Tls12 => &FROM_12,
        TlsVersion::Tls13 => &FROM_12[..1],
    }
}

/// Who checks the certificates of clients, and the authorities it knows.
type Verifier = (Arc<dyn ClientCertVerifier>, Vec<Vec<u8>>);

fn verifier(clients: &ClientCertificates) -> Result<Verifier, TlsServerError> {
    let roots = pem::authorities(&clients.ca_file)?;
    let names = roots.roots.iter();
    let known = names
        .map(|anchor| [&anchor.subject[..], &anchor.subject_public_key_info[..]].concat())
        .collect();
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), pem::provider());
    let builder = if clients.is_required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(|error| TlsServerError::Setup(error.to_string()))?;
    Ok((verifier, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listener::CertificateFiles;

    #[test]
    fn what_was_read_first_does_not_take_the_place_of_what_was_read_last() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate_file, key_file) =
            (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let renew = || {
            let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
            std::fs::write(&certificate_file, made.cert.pem()).unwrap();
            std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
        };
        renew();
        let files = CertificateFiles {
            certificate_file: certificate_file.clone(),
            key_file: key_file.clone(),
        };
        let spec = ListenerTls::new(files);
        let tls = ServerTls::new(&spec).unwrap();
        let read_anew = || {
            renew();
            tls.prepare(Reading::begin(), &spec).unwrap()
        };
        let (first, last) = (read_anew(), read_anew());
        assert!(tls.replace(last).is_some());
        assert!(tls.replace(first).is_none());
        let same = |reading| tls.prepare(reading, &spec).unwrap();
        assert!(tls.replace(same(Reading::begin())).is_none(), "nothing is different");
        let other = ListenerTls { version_min: TlsVersion::Tls13, ..spec.clone() };
        let between = tls.prepare(Reading::begin(), &other).unwrap();
        assert!(tls.replace(same(Reading::begin())).is_none(), "nothing is different");
        assert!(tls.replace(between).is_none(), "what stays was found so later");
        assert!(tls.replace(read_anew()).is_some());
    }
}
