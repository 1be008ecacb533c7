//! `[listen]`, the part about TLS: certificates, versions and who may connect.

use super::super::reader::Section;
use super::certificate;
use super::environment::one_of_or;
use crate::model::listener::{ClientCertificates, ListenerTls, TlsVersion};

/// Most certificates; each handshake walks through them.
const CERTIFICATES_MAX: usize = 256;

const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
const IS_REQUIRED: [(&str, bool); 2] = [("required", true), ("optional", false)];
const IS_FORWARDED: [(&str, bool); 2] = [("off", false), ("leaf", true)];

/// How the addresses in `https` speak TLS; `None` without a certificate, or after an error.
pub(super) fn read(section: &Section<'_>) -> Option<ListenerTls> {
    let usual = certificate::read_pair(section);
    let named = section.named_sections("certificates");
    if named.len() > CERTIFICATES_MAX {
        let sentence = format!("{} certificates; write at most {CERTIFICATES_MAX}", named.len());
        section.reader.error(&section.place_of("certificates"), sentence);
    }
    let named = named.into_iter().filter_map(|(name, section)| {
        if !section.has("certificate_file") && !section.has("key_file") {
            let sentence = "names no files; write certificate_file and key_file";
            section.reader.error(&section.place, sentence);
        }
        Some((name, certificate::read_pair(&section)?.files()))
    });
    let (usual, named) = (usual.map(|pair| pair.files()), named.collect::<Vec<_>>());
    let version_min = one_of_or(section, "tls_version_min", &VERSIONS, TlsVersion::default());
    let clients = read_clients(section);
    let is_any = usual.is_some() || !named.is_empty();
    is_any.then_some(ListenerTls { usual, named, version_min, clients })
}

fn read_clients(section: &Section<'_>) -> Option<ClientCertificates> {
    let authorities = certificate::read_authorities(section, "client_ca_file");
    let is_required = one_of_or(section, "client_certificate", &IS_REQUIRED, true);
    let is_forwarded = one_of_or(section, "forward_client_certificate", &IS_FORWARDED, false);
    for (key, is_default) in
        [("client_certificate", is_required), ("forward_client_certificate", !is_forwarded)]
    {
        if !is_default && !section.has("client_ca_file") {
            let sentence =
                "means nothing without authorities; write client_ca_file, or leave it out";
            section.reader.error(&section.place_of(key), sentence);
        }
    }
    let ca_file = authorities?.path().to_owned();
    Some(ClientCertificates { ca_file, is_required, is_forwarded })
}

/// Addresses need a certificate, and certificates an address.
pub(super) fn check_presence(section: &Section<'_>, has_https: bool) {
    let certificate =
        ["certificate_file", "key_file", "certificates"].into_iter().find(|key| section.has(key));
    if has_https && certificate.is_none() {
        let sentence = "needs a certificate; write certificate_file and key_file";
        section.reader.error(&section.place_of("https"), sentence);
    }
    let authorities = section.has("client_ca_file").then_some("client_ca_file");
    if let Some(key) = certificate.or(authorities)
        && !has_https
    {
        let sentence = "nothing speaks TLS; write https = \"0.0.0.0:443\", or leave it out";
        section.reader.error(&section.place_of(key), sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::with_files;
    use super::*;

    const BLUE: &str = "[environment.blue]\nupstreams = \"http://127.0.0.1:1\"\n";
    const HTTPS: &str = "https = \"0.0.0.0:443\"\n";
    const PAIR: &str = "certificate_file = \"/a.crt\"\nkey_file = \"/a.key\"\n";

    fn read(listen: &str) -> Result<Option<ListenerTls>, Vec<String>> {
        let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (a, b) = (made("a.test"), made("b.test"));
        let (a_key, b_key) = (a.signing_key.serialize_pem(), b.signing_key.serialize_pem());
        let (a, b) = (a.cert.pem(), b.cert.pem());
        let files = [
            ("/a.crt", a.as_str()),
            ("/a.key", a_key.as_str()),
            ("/b.crt", b.as_str()),
            ("/b.key", b_key.as_str()),
            ("/bad", "bad"),
        ];
        let read = with_files(&format!("[listen]\n{listen}\n{BLUE}"), &files);
        read.map(|config| config.listeners[0].tls.clone())
            .map_err(|errors| errors.lines().collect())
    }

    #[test]
    fn certificates_stand_in_their_order_the_usual_one_first() {
        let b = "[listen.certificates.b]\ncertificate_file = \"/b.crt\"\nkey_file = \"/b.key\"\n";
        let files = |tls: &ListenerTls| -> Vec<String> {
            let files = tls.certificates();
            files.map(|files| files.certificate_file.display().to_string()).collect()
        };
        let tls = read(&format!("{HTTPS}{PAIR}{b}")).unwrap().unwrap();
        assert_eq!(files(&tls), ["/a.crt", "/b.crt"]);
        assert_eq!((tls.version_min, tls.clients), (TlsVersion::Tls12, None));
        let tls = read(&format!("{HTTPS}{b}")).unwrap().unwrap();
        assert_eq!(files(&tls), ["/b.crt"]);
    }

    #[test]
    fn clients_are_asked_for_a_certificate_when_there_are_authorities() {
        let with = |more: &str| {
            let tls = read(&format!("{HTTPS}{PAIR}client_ca_file = \"/b.crt\"\n{more}"));
            tls.unwrap().unwrap().clients.unwrap().is_required
        };
        assert!(with(""));
        assert!(!with("client_certificate = \"optional\""));
    }

    #[test]
    fn errors_name_line_and_remedy() {
        let plain = "http = \"127.0.0.1:80\"\n";
        for (listen, expected) in [
            (
                format!("{HTTPS}{PAIR}tls_version_min = \"1.1\""),
                "a.toml:5: listen.tls_version_min: `1.1` is not known; write 1.2 or 1.3",
            ),
            (
                format!("{HTTPS}{PAIR}client_ca_file = \"/bad\""),
                "a.toml:5: listen.client_ca_file: holds no certificate; it must be PEM",
            ),
            (
                format!("{HTTPS}{PAIR}client_certificate = \"optional\""),
                "a.toml:5: listen.client_certificate: means nothing without authorities; write client_ca_file, or leave it out",
            ),
            (
                format!("{HTTPS}{PAIR}forward_client_certificate = \"leaf\""),
                "a.toml:5: listen.forward_client_certificate: means nothing without authorities; write client_ca_file, or leave it out",
            ),
            (
                format!("{HTTPS}{PAIR}[listen.certificates.b]"),
                "a.toml:5: listen.certificates.b: names no files; write certificate_file and key_file",
            ),
            (
                format!("{plain}client_ca_file = \"/b.crt\""),
                "a.toml:3: listen.client_ca_file: nothing speaks TLS; write https = \"0.0.0.0:443\", or leave it out",
            ),
        ] {
            assert_eq!(read(&listen), Err(vec![expected.to_owned()]), "{listen}");
        }
        let other =
            "[listen.certificates.b]\ncertificate_file = \"/b.crt\"\nkey_file = \"/a.key\"\n";
        let errors = read(&format!("{HTTPS}{PAIR}{other}")).unwrap_err();
        let expected = "a.toml:7: listen.certificates.b.key_file: does not fit the certificate";
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
    }
}
