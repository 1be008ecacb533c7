//! Certificates made for a test, and TLS put before a server that speaks none.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use cyan::model::listener::ListenerTls;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::in_time;
use super::relay::{self, Relay};

/// A certificate with its key, trusted by whoever has its file.
pub struct Certificate {
    name: String,
    folder: TempDir,
}

impl Certificate {
    /// Made out to this name or address.
    pub fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let write = |file, text: String| std::fs::write(folder.path().join(file), text);
        write("certificate.pem", made.cert.pem()).expect("a file");
        write("key.pem", made.signing_key.serialize_pem()).expect("a file");
        Self { name: name.to_owned(), folder }
    }

    /// The file that makes it trusted.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// For a listener of the proxy.
    pub fn listener(&self) -> ListenerTls {
        let key_file = self.folder.path().join("key.pem");
        ListenerTls { certificate_file: self.file(), key_file }
    }

    /// A client's connection that trusts it and offers these protocols.
    pub async fn connect(&self, address: SocketAddr, alpn: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_file(self.file()).expect("a certificate");
        roots.add(own).expect("a usable certificate");
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols(alpn);
        let stream = in_time(TcpStream::connect(address)).await.expect("the proxy accepts");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(self.name.clone()).expect("a name");
        in_time(connector.connect(name, stream)).await.expect("a handshake")
    }

    /// A server with this certificate that passes everything on to a plain one.
    pub async fn before(&self, plain: SocketAddr, alpn: &[&str]) -> Relay {
        let key = PrivateKeyDer::from_pem_file(self.listener().key_file).expect("a key");
        let own = CertificateDer::from_pem_file(self.file()).expect("a certificate");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![own], key)
            .expect("a usable certificate");
        config.alpn_protocols = protocols(alpn);
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let relay = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    relay::pass(stream, plain).await;
                });
            }
        };
        Relay::running(address, relay)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}
