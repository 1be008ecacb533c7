//! PEM files on their way into TLS settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::pem_file::PemFile;

/// Why a PEM file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The file could not be read or parsed.
    #[error("cannot read `{}`: {problem}; it must be a readable PEM file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or the parser said.
        problem: String,
    },
    /// The file holds no certificate that can be an authority.
    #[error("`{}` holds no usable certificate; it needs PEM blocks of authorities", .0.display())]
    NoAuthority(PathBuf),
}

/// The certificates in a file that was read, in their order.
pub(super) fn chain_in(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let read = CertificateDer::pem_slice_iter(file.content());
    read.collect::<Result<_, _>>().map_err(|error| unreadable(file.path(), &error))
}

/// The private key in a file that was read.
pub(super) fn key_in(file: &PemFile) -> Result<PrivateKeyDer<'static>, PemError> {
    let read = PrivateKeyDer::from_pem_slice(file.content());
    read.map_err(|error| unreadable(file.path(), &error))
}

/// The authorities in a file that was read.
pub(super) fn authorities_in(file: &PemFile) -> Result<RootCertStore, PemError> {
    trusted(chain_in(file)?, file.path())
}

/// The certificates in a file, in their order.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| unreadable(path, &error))
}

/// The private key in a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, &error))
}

/// The authorities in a file.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, PemError> {
    trusted(chain(path)?, path)
}

fn trusted(chain: Vec<CertificateDer<'static>>, path: &Path) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain {
        // A bundle may hold one that rustls does not take; the others still count.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(PemError::NoAuthority(path.to_owned()));
    }
    Ok(roots)
}

/// The one implementation of TLS's cryptography here. It is always named, because a process-wide default
/// could be set by any library.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn unreadable(path: &Path, error: &rustls_pki_types::pem::Error) -> PemError {
    PemError::Unreadable { path: path.to_owned(), problem: error.to_string() }
}
