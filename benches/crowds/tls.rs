//! A certificate for the listener, and clients that trust it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

/// What the certificate is made out to.
const NAME: &str = "localhost";

/// A TLS listener, and what its clients need.
pub(crate) struct Tls {
    /// Where it will listen.
    pub(crate) address: SocketAddr,
    /// For clients; they offer HTTP/2.
    pub(crate) connector: TlsConnector,
    folder: TempDir,
}

impl Tls {
    /// With a port that is free now.
    pub(crate) fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let folder = TempDir::with_prefix("cyan-bench-")?;
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        std::fs::write(folder.path().join("certificate.pem"), made.cert.pem())?;
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem())?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let connector = connector(made.cert.der().clone())?;
        Ok(Self { address, connector, folder })
    }

    /// The keys of the listener.
    pub(crate) fn keys(&self) -> String {
        let (folder, address) = (self.folder.path().display(), self.address);
        format!(
            "listen.https = \"{address}\"\nlisten.certificate_file = \"{folder}/certificate.pem\"\n\
             listen.key_file = \"{folder}/key.pem\"\n"
        )
    }
}

/// The name that clients ask for.
pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a name")
}

fn connector(certificate: CertificateDer<'static>) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(io::Error::other)?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
