//! A certificate that clients see: its key, the hosts it is made out to, and its end.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::pem::{self, PemError};
use super::validity;
use crate::model::certificate_hosts::CertificateNames;
use crate::model::listener::CertificateFiles;

/// A certificate with its key, read from files.
#[derive(Debug)]
pub struct Certificate {
    /// The file of its chain.
    pub file: PathBuf,
    /// The hosts it is made out to.
    pub names: CertificateNames,
    /// The last second of its validity, in Unix time; `None` when that cannot be read.
    pub not_after: Option<u64>,
    pub(super) key: Arc<CertifiedKey>,
}

/// Why a certificate cannot be presented.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A file.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Certificate and key do not belong together, or cannot be used.
    #[error("certificate `{}` cannot be used with its key: {problem}; give the key it was made with", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls said.
        problem: String,
    },
}

impl Certificate {
    /// Reads certificate and key, and holds them against each other.
    ///
    /// # Errors
    /// When a file is unreadable, or they do not fit.
    pub fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let chain = pem::chain(&files.certificate_file)?;
        let key = pem::key(&files.key_file)?;
        let unusable = |problem: String| CertificateError::Unusable {
            path: files.certificate_file.clone(),
            problem,
        };
        let key = CertifiedKey::from_der(chain, key, &pem::provider())
            .map_err(|error| unusable(error.to_string()))?;
        let leaf = key.end_entity_cert().map_err(|error| unusable(error.to_string()))?;
        let names = webpki::EndEntityCert::try_from(leaf)
            .map(|leaf| CertificateNames::new(leaf.valid_dns_names()))
            .unwrap_or_default();
        let not_after = validity::not_after(leaf);
        Ok(Self { file: files.certificate_file.clone(), names, not_after, key: Arc::new(key) })
    }

    /// Whether clients see the same bytes as with `other`.
    pub fn is_same(&self, other: &Self) -> bool {
        self.file == other.file && self.key.cert == other.key.cert
    }

    /// Seconds from `now`, in Unix time, to the end of its validity; negative once it is over.
    pub fn expires_in_s(&self, now: u64) -> Option<i64> {
        let end = i64::try_from(self.not_after?).ok()?;
        Some(end.saturating_sub_unsigned(now))
    }
}
