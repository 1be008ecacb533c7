//! TLS towards clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::listener::ListenerTls;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsServerError {
    /// A file could not be read or parsed.
    #[error("cannot read `{}`: {problem}; it must be a readable PEM file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or the parser said.
        problem: String,
    },
    /// Certificate and key do not belong together, or cannot be used.
    #[error("certificate `{}` cannot be used with its key: {problem}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls said.
        problem: String,
    },
}

/// The server side of TLS for one listener; HTTP/2 and HTTP/1.1 by ALPN.
///
/// # Errors
/// When a file is unreadable, or certificate and key do not fit.
pub fn server_config(tls: &ListenerTls) -> Result<Arc<ServerConfig>, TlsServerError> {
    let unreadable = |path: &Path, problem: String| TlsServerError::Unreadable {
        path: path.to_owned(),
        problem,
    };
    let unusable =
        |problem: String| TlsServerError::Unusable { path: tls.certificate_file.clone(), problem };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&tls.certificate_file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(&tls.certificate_file, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file)
        .map_err(|error| unreadable(&tls.key_file, error.to_string()))?;
    // The provider is named, because a process-wide default could be set by any library.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
