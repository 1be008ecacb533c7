//! Certificates and keys: files in PEM that must be right before anything listens with them.

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::super::reader::Section;
use crate::model::pem_file::{PemFile, PemPair};

/// Certificate and key of a table that has `certificate_file` and `key_file`.
pub(super) fn read_pair(section: &Section<'_>) -> Option<PemPair> {
    let certificate = section.file("certificate_file");
    let key = section.file("key_file");
    for (written, missing) in [("certificate_file", "key_file"), ("key_file", "certificate_file")] {
        if section.has(written) && !section.has(missing) {
            let sentence = format!("is missing beside `{written}`; write both");
            section.reader.error(&section.place_of(missing), sentence);
        }
    }
    let (certificate_file, certificate) = certificate?;
    let (key_file, key) = key?;
    if let Err((field, sentence)) = check_pair(&certificate, &key) {
        section.reader.error(&section.place_of(field), sentence);
        return None;
    }
    let certificate = PemFile::new(certificate_file, &certificate);
    Some(PemPair { certificate, key: PemFile::new(key_file, &key) })
}

/// Authorities in the file `key`; one of them must be usable as such.
pub(super) fn read_authorities(section: &Section<'_>, key: &str) -> Option<PemFile> {
    let (path, content) = section.file(key)?;
    match certificates(&content).and_then(check_authorities) {
        Ok(()) => Some(PemFile::new(path, &content)),
        Err(sentence) => {
            section.reader.error(&section.place_of(key), sentence);
            None
        }
    }
}

/// A bundle may hold one that rustls does not take; the others still count.
fn check_authorities(bundle: Vec<CertificateDer<'static>>) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(bundle) {
        (0, _) => Err("holds no usable certificate; it needs those of authorities".to_owned()),
        _ => Ok(()),
    }
}

/// The field that is wrong, and why.
fn check_pair(certificate: &[u8], key: &[u8]) -> Result<(), (&'static str, String)> {
    let chain = certificates(certificate).map_err(|sentence| ("certificate_file", sentence))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        ("key_file", format!("holds no private key ({error}); it must be PEM, not encrypted"))
    })?;
    CertifiedKey::from_der(chain, key, &default_provider()).map(|_| ()).map_err(|error| {
        let sentence =
            format!("does not fit the certificate ({error}); give the key it was made with");
        ("key_file", sentence)
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err("holds no certificate; it must be PEM".to_owned()),
        Err(error) => Err(format!("holds no certificate ({error}); it must be PEM")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_bundle_must_hold_an_authority_that_can_be_used() {
        let good = || CertificateDer::from_pem_slice(pair().0.as_bytes()).unwrap();
        let bad = || CertificateDer::from(vec![0x30, 0x00]);
        assert_eq!(check_authorities(vec![bad(), good()]), Ok(()));
        let refused = check_authorities(vec![bad()]).unwrap_err();
        assert_eq!(refused, "holds no usable certificate; it needs those of authorities");
    }

    #[test]
    fn a_key_must_fit_its_certificate() {
        let (certificate, key) = pair();
        let (_, other_key) = pair();
        let checked = |certificate: &str, key: &str| {
            check_pair(certificate.as_bytes(), key.as_bytes()).map_err(|(field, _)| field)
        };
        assert_eq!(checked(&certificate, &key), Ok(()));
        assert_eq!(checked(&certificate, &other_key), Err("key_file"));
        assert_eq!(checked(&certificate, &certificate), Err("key_file"));
        assert_eq!(checked(&certificate, ""), Err("key_file"));
        assert_eq!(checked(&key, &key), Err("certificate_file"));
        assert_eq!(checked("", &key), Err("certificate_file"));
    }
}
