//! A certificate that clients see: its key, the hosts it is made out to, and its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::pem::{self, PemError};
use super::validity;
use crate::model::certificate_hosts::CertificateNames;
use crate::model::listener::CertificateFiles;
use crate::model::rfc3339;

/// From here on, the end of a certificate is worth a warning: most are renewed 30 days before it.
const SOON_S: i64 = 14 * 86_400;

/// A certificate with its key, read from files.
#[derive(Debug)]
pub struct Certificate {
    /// The file of its chain.
    pub file: PathBuf,
    /// The hosts it is made out to.
    pub names: CertificateNames,
    /// The first second of its validity, in Unix time; `None` when that cannot be read.
    pub not_before: Option<u64>,
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
        Ok(Self {
            file: files.certificate_file.clone(),
            names,
            not_before: validity::not_before(leaf),
            not_after: validity::not_after(leaf),
            key: Arc::new(key),
        })
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

    /// What somebody should know of it at `now`, in Unix time; `None` while it is valid, and will be for weeks.
    pub fn warning(&self, now: u64) -> Option<String> {
        warning(&self.file, (self.not_before.unwrap_or(0), self.not_after?), now)
    }
}

fn warning(file: &Path, (begin, end): (u64, u64), now: u64) -> Option<String> {
    let day = |seconds: u64| rfc3339::format(seconds * 1000).chars().take(10).collect::<String>();
    let (file, left) = (file.display(), end.cast_signed().saturating_sub_unsigned(now));
    match left {
        _ if now < begin => Some(format!(
            "certificate `{file}` is not valid before {}; put the right one in its place, or set the clock",
            day(begin)
        )),
        ..0 => Some(format!(
            "certificate `{file}` has expired on {}; put a new one in its place, it is read by itself",
            day(end)
        )),
        0..SOON_S => Some(format!(
            "certificate `{file}` expires on {}, in {} days; renew it",
            day(end),
            left / 86_400
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_before_its_time_and_from_two_weeks_before_its_end() {
        const BEGIN: u64 = 1_893_456_000;
        const END: u64 = 1_924_992_000;
        for (now, expected) in [
            (
                BEGIN - 1,
                Some(
                    "is not valid before 2030-01-01; put the right one in its place, or set the clock",
                ),
            ),
            (BEGIN, None),
            (END - 14 * 86_400, None),
            (END - 14 * 86_400 + 1, Some("expires on 2031-01-01, in 13 days; renew it")),
            (END, Some("expires on 2031-01-01, in 0 days; renew it")),
            (
                END + 1,
                Some("has expired on 2031-01-01; put a new one in its place, it is read by itself"),
            ),
        ] {
            let expected = expected.map(|words| format!("certificate `a.crt` {words}"));
            assert_eq!(warning(Path::new("a.crt"), (BEGIN, END), now), expected, "{now}");
        }
    }
}
