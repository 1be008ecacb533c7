//! Files of certificates and keys that hold what they held when the config was read.
//!
//! A renewal writes one file after the other. Whoever read them again later, on the way to an upstream,
//! could meet a certificate without its key, or wait for a disk while requests wait for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::listener::CertificateFiles;

/// A file in PEM, and what it held. Equal with the same bytes only, so that a renewed file makes other
/// settings, and no connection made with the old ones is used for them.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    path: PathBuf,
    content: Arc<[u8]>,
}

impl PemFile {
    /// The file at `path`, which holds `content`.
    pub fn new(path: PathBuf, content: &[u8]) -> Self {
        Self { path, content: content.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it held.
    pub fn content(&self) -> &[u8] {
        &self.content
    }
}

impl fmt::Debug for PemFile {
    /// Without what it held, which may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemPair {
    /// The chain.
    pub certificate: PemFile,
    /// Its private key.
    pub key: PemFile,
}

impl PemPair {
    /// Where they are.
    pub fn files(&self) -> CertificateFiles {
        CertificateFiles {
            certificate_file: self.certificate.path().to_owned(),
            key_file: self.key.path().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_held_makes_it_another_one_and_is_not_printed() {
        let file = |content: &str| PemFile::new("a.key".into(), content.as_bytes());
        assert_eq!(file("one"), file("one"));
        assert_ne!(file("one"), file("two"));
        assert_eq!(format!("{:?}", file("one")), "\"a.key\"");
    }
}
