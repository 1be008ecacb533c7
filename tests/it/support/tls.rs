//! Certificates made for a test, and TLS put before a server that speaks none.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use cyan::model::listener::{CertificateFiles, ListenerTls};
use cyan::model::pem_file::{PemFile, PemPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
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
        ListenerTls::new(self.files())
    }

    /// What makes it trusted, as it is now.
    pub fn authority(&self) -> PemFile {
        self.pair().certificate
    }

    /// What shows it to upstreams, as it is now.
    pub fn pair(&self) -> PemPair {
        let read = |path: PathBuf| {
            let content = std::fs::read(&path).expect("a file");
            PemFile::new(path, &content)
        };
        let CertificateFiles { certificate_file, key_file } = self.files();
        PemPair { certificate: read(certificate_file), key: read(key_file) }
    }

    /// Its files.
    pub fn files(&self) -> CertificateFiles {
        let key_file = self.folder.path().join("key.pem");
        CertificateFiles { certificate_file: self.file(), key_file }
    }

    /// Puts another one in its place, made out to the same name.
    pub fn renew(&self) {
        let fresh = Self::of(&self.name);
        for (old, new) in [
            (self.files().certificate_file, fresh.files().certificate_file),
            (self.files().key_file, fresh.files().key_file),
        ] {
            std::fs::copy(new, old).expect("a file");
        }
    }

    /// Its bytes.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file()).expect("a certificate")
    }

    /// A client's connection that trusts it and offers these protocols.
    pub async fn connect(&self, address: SocketAddr, alpn: &[&str]) -> TlsStream<TcpStream> {
        let config = self.client(None, alpn);
        shake(config, address, &self.name).await.expect("a handshake")
    }

    /// Settings of a client that trusts it, and shows `own` if it is asked for a certificate.
    pub fn client(&self, own: Option<&Self>, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("a usable certificate");
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_file(own.files().key_file).expect("a key");
                builder.with_client_auth_cert(vec![own.der()], key).expect("a usable certificate")
            }
        };
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }

    /// A server with this certificate that passes everything on to a plain one.
    pub async fn before(&self, plain: SocketAddr, alpn: &[&str]) -> Relay {
        self.relay(plain, alpn, None).await
    }

    /// The same, for nobody but who shows the certificate `client`.
    pub async fn before_for(&self, client: &Self, plain: SocketAddr) -> Relay {
        self.relay(plain, &[], Some(client)).await
    }

    async fn relay(&self, plain: SocketAddr, alpn: &[&str], client: Option<&Self>) -> Relay {
        let key = PrivateKeyDer::from_pem_file(self.files().key_file).expect("a key");
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = RootCertStore::empty();
                roots.add(client.der()).expect("a usable certificate");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let mut config =
            builder.with_single_cert(vec![self.der()], key).expect("a usable certificate");
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

/// A handshake, asking for this name.
pub async fn shake(
    config: Arc<ClientConfig>,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = in_time(TcpStream::connect(address)).await.expect("the proxy accepts");
    stream.set_nodelay(true).expect("a fresh socket takes options");
    shake_over(config, stream, name).await
}

/// The same over a stream that exists already.
pub async fn shake_over<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    stream: S,
    name: &str,
) -> std::io::Result<TlsStream<S>> {
    let connector = tokio_rustls::TlsConnector::from(config);
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    in_time(connector.connect(name, stream)).await
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}
