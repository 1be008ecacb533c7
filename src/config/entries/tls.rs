//! What a config says about TLS. Files are named; what they hold is not shown.

use super::{Entry, entry, optional, text};
use crate::model::environment::UpstreamTls;
use crate::model::listener::{CertificateFiles, ListenerTls};
use crate::model::pem_file::PemPair;

pub(super) fn of_listener(tls: &ListenerTls) -> Vec<Entry> {
    let mut entries = Vec::from(of_files("listen.", tls.usual.as_ref()));
    for (name, files) in &tls.named {
        entries.extend(of_files(&format!("listen.certificates.{name}."), Some(files)));
    }
    let clients = tls.clients.as_ref();
    let mode = clients.map(|clients| if clients.is_required { "required" } else { "optional" });
    let forwarded = clients.map(|clients| if clients.is_forwarded { "leaf" } else { "off" });
    entries.extend([
        entry("listen.tls_version_min", text(tls.version_min)),
        entry("listen.client_ca_file", optional(clients.map(|c| c.ca_file.display()))),
        entry("listen.client_certificate", optional(mode)),
        entry("listen.forward_client_certificate", optional(forwarded)),
    ]);
    entries
}

pub(super) fn of_upstreams(tls: &UpstreamTls) -> Vec<Entry> {
    let mut entries = vec![
        entry("tls.ca_file", optional(tls.ca_file.as_ref().map(|file| file.path().display()))),
        entry("tls.server_name", optional(tls.server_name.as_ref())),
    ];
    let files = tls.certificate.as_ref().map(PemPair::files);
    entries.extend(of_files("tls.", files.as_ref()));
    entries
}

fn of_files(table: &str, files: Option<&CertificateFiles>) -> [Entry; 2] {
    let certificate = files.map(|files| files.certificate_file.display());
    let key = files.map(|files| files.key_file.display());
    [
        entry(&format!("{table}certificate_file"), optional(certificate)),
        entry(&format!("{table}key_file"), optional(key)),
    ]
}
