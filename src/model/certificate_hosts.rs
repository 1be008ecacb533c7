//! Which hosts a connection's certificate is made out to, and which ones another certificate has.
//!
//! A client may use one HTTP/2 connection for several hosts (RFC 9113, section 9.1.1), if the certificate
//! covers them. One that asks here for a host of *another* certificate was misled, by a cache or a proxy
//! on its way, and is sent to a connection of its own (421; RFC 9110, section 15.5.20). A host that no
//! certificate covers is served: the client has chosen not to care.

/// The names of one certificate: `api.example.com`, `*.example.com`; in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateNames(Vec<Box<str>>);

/// The hosts of a connection's certificate and of the others beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateHosts {
    own: CertificateNames,
    others: Vec<CertificateNames>,
}

impl CertificateNames {
    /// These names, whatever their case.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self(names.into_iter().map(|name| name.to_ascii_lowercase().into()).collect())
    }

    /// Whether one of them is exactly `host`, which is in lower case.
    pub fn has(&self, host: &str) -> bool {
        self.0.iter().any(|name| **name == *host)
    }

    /// Whether they cover `host`, which is in lower case. A wildcard stands for one label (RFC 9525,
    /// section 6.3).
    pub fn cover(&self, host: &str) -> bool {
        let above = host.split_once('.').map(|(_, above)| above);
        self.0.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => above == Some(parent),
            None => **name == *host,
        })
    }

    /// The names, in the order of the certificate.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

impl CertificateHosts {
    /// A connection made with the certificate `own`, where there are `others` too.
    pub fn new(own: CertificateNames, others: Vec<CertificateNames>) -> Self {
        Self { own, others }
    }

    /// Whether a request for `host` should have come on a connection with another certificate.
    pub fn is_elsewhere(&self, host: &str) -> bool {
        !self.own.cover(host) && self.others.iter().any(|names| names.cover(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = CertificateNames::new(["API.example.com", "*.models.test"]);
        for (host, is_covered) in [
            ("api.example.com", true),
            ("www.example.com", false),
            ("a.models.test", true),
            ("a.b.models.test", false),
            ("models.test", false),
            ("", false),
        ] {
            assert_eq!(names.cover(host), is_covered, "{host}");
        }
        assert!(names.has("*.models.test") && !names.has("a.models.test"));
    }

    #[test]
    fn only_a_host_of_another_certificate_is_elsewhere() {
        let hosts = CertificateHosts::new(
            CertificateNames::new(["a.test", "*.shared.test"]),
            vec![CertificateNames::new(["b.test", "x.shared.test"])],
        );
        for (host, is_elsewhere) in
            [("a.test", false), ("b.test", true), ("x.shared.test", false), ("c.test", false)]
        {
            assert_eq!(hosts.is_elsewhere(host), is_elsewhere, "{host}");
        }
    }
}
