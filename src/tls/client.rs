//! TLS towards upstreams.
//!
//! One builder for requests and for health probes: an upstream that passes its probe is one that
//! requests can reach, certificate included. There is no way to switch verification off.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

use super::certificate::CertificateError;
use super::pem::{self, PemError};
use crate::model::environment::{Protocol, UpstreamTls};
use crate::model::upstream::{UpstreamAddress, UpstreamSpec};

/// Why upstreams of an environment cannot be spoken to over TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsClientError {
    /// The file of authorities could not be used.
    #[error("`tls.ca_file`: {0}")]
    Authorities(PemError),
    /// Our own certificate could not be used.
    #[error("`tls.certificate_file`: {0}")]
    Certificate(CertificateError),
    /// Certificates are made out to names or addresses, and this is neither.
    #[error("`{0}` cannot stand in a certificate; set `tls.server_name` to a host name")]
    Name(String),
    /// The protocol versions could not be set up.
    #[error("TLS cannot be set up: {0}; report this with the output of `cyan --version`")]
    Setup(String),
}

/// The client side of TLS for one environment, from what its files held when the config was read: nothing here
/// waits for a disk, so cores may call it. Sessions are resumed within the settings that are returned, and
/// never with others.
///
/// # Errors
/// When a file did not hold what it should.
pub fn client_config(
    tls: &UpstreamTls,
    protocol: Protocol,
) -> Result<Arc<ClientConfig>, TlsClientError> {
    let roots = match &tls.ca_file {
        Some(file) => pem::authorities_in(file).map_err(TlsClientError::Authorities)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let setup = |error: rustls::Error| TlsClientError::Setup(error.to_string());
    let builder = ClientConfig::builder_with_provider(pem::provider())
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .with_root_certificates(roots);
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let unusable = |error: PemError| TlsClientError::Certificate(error.into());
            let chain = pem::chain_in(&pair.certificate).map_err(unusable)?;
            let key = pem::key_in(&pair.key).map_err(unusable)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                TlsClientError::Certificate(CertificateError::Unusable {
                    path: pair.certificate.path().to_owned(),
                    problem: error.to_string(),
                })
            })?
        }
    };
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(Arc::new(config))
}

/// The name to ask an upstream for and to verify.
///
/// # Errors
/// When neither `server_name` nor the host can stand in a certificate.
pub fn server_name(
    upstream: &UpstreamSpec,
    tls: &UpstreamTls,
) -> Result<ServerName<'static>, TlsClientError> {
    let name = match (&tls.server_name, &upstream.address) {
        (Some(name), _) => name.to_string(),
        (None, UpstreamAddress::Tcp { host, .. }) => host.to_string(),
        (None, UpstreamAddress::Unix(_)) => "localhost".to_owned(),
    };
    ServerName::try_from(name.clone()).map_err(|_| TlsClientError::Name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pem_file::PemFile;

    fn with_ca(text: &str) -> UpstreamTls {
        let file = PemFile::new("/nowhere/ca.pem".into(), text.as_bytes());
        UpstreamTls { ca_file: Some(file), ..UpstreamTls::default() }
    }

    #[test]
    fn authorities_come_from_the_public_list_or_from_a_file() {
        let public = client_config(&UpstreamTls::default(), Protocol::Http2).unwrap();
        assert_eq!(public.alpn_protocols, [b"h2".to_vec()]);
        let authority = rcgen::generate_simple_self_signed(["upstream.test".to_owned()]).unwrap();
        let own = with_ca(&authority.cert.pem());
        let own = client_config(&own, Protocol::Http1).unwrap();
        assert_eq!(own.alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_file_without_authorities_is_refused_with_its_name() {
        let empty = with_ca("nothing\n");
        let error = client_config(&empty, Protocol::Http1).unwrap_err();
        assert!(matches!(error, TlsClientError::Authorities(PemError::NoAuthority(_))), "{error}");
        let broken = with_ca("-----BEGIN CERTIFICATE-----\n");
        let error = client_config(&broken, Protocol::Http1).unwrap_err().to_string();
        assert!(error.starts_with("`tls.ca_file`: cannot read `/nowhere/ca.pem`: "), "{error}");
        assert!(error.ends_with("; it must be a readable PEM file"), "{error}");
    }

    #[test]
    fn the_name_is_the_written_one_or_the_host() {
        let upstream: UpstreamSpec = "https://api.example.com".parse().unwrap();
        let name = server_name(&upstream, &UpstreamTls::default()).unwrap();
        assert_eq!(name.to_str(), "api.example.com");
        let tls = UpstreamTls { server_name: Some("other.test".into()), ..UpstreamTls::default() };
        assert_eq!(server_name(&upstream, &tls).unwrap().to_str(), "other.test");
        let address: UpstreamSpec = "https://[::1]:8443".parse().unwrap();
        assert_eq!(server_name(&address, &UpstreamTls::default()).unwrap().to_str(), "::1");
        let upstream: UpstreamSpec = "https://a..b".parse().unwrap();
        let error = server_name(&upstream, &UpstreamTls::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a..b` cannot stand in a certificate; set `tls.server_name` to a host name"
        );
    }
}
