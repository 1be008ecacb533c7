//! Hooks: programs and web addresses that are told what happens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::argv::Argv;
use super::environment::Secret;
use super::name::Name;
use super::occasion::Occasion;
use super::upstream::UpstreamSpec;

/// One hook.
#[derive(Debug, Clone, PartialEq)]
pub struct HookSpec {
    /// Its name in events.
    pub name: Name,
    /// What it is told of.
    pub on: Vec<Occasion>,
    /// The services it is told of; empty for all.
    pub services: Vec<Name>,
    /// Who is told; at least one.
    pub receivers: Vec<Receiver>,
    /// How a web address is told.
    pub format: HookFormat,
    /// Key of the signature of what a web address gets; `None` for no signature.
    pub secret: Option<Secret>,
    /// For each attempt.
    pub timeout: Duration,
    /// Attempts after the first that failed.
    pub retries: u32,
}

impl HookSpec {
    /// Whether it wants to know. What concerns the whole process concerns every service.
    pub fn is_told(&self, occasion: Occasion, service: Option<&Name>) -> bool {
        let is_ours = |service: &Name| self.services.is_empty() || self.services.contains(service);
        self.on.contains(&occasion) && service.is_none_or(is_ours)
    }
}

/// Who is told, or asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Receiver {
    /// A program and its arguments; no shell reads them.
    Program(Argv),
    /// A web address.
    Web(WebAddress),
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(argv) => f.write_str(argv.program()),
            Self::Web(address) => address.fmt(f),
        }
    }
}

/// An `http://` or `https://` address. What stands after the host is a credential with many services
/// (Slack's), so it is never printed.
#[derive(Clone, PartialEq)]
pub struct WebAddress {
    /// Host, port and whether TLS is spoken.
    pub upstream: UpstreamSpec,
    /// Path and query.
    pub path: Arc<str>,
}

/// Why a text is no such address. Does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no address; write http://HOST:PORT/PATH or https://HOST/PATH, without a password")]
pub struct WebAddressError;

impl std::str::FromStr for WebAddress {
    type Err = WebAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let after_scheme = text.find("://").ok_or(WebAddressError)? + "://".len();
        let path_at = text[after_scheme..].find(['/', '?']);
        let (host, path) = text.split_at(path_at.map_or(text.len(), |at| after_scheme + at));
        let is_sendable = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        match host.parse() {
            Ok(upstream) if path.bytes().all(is_sendable) => {
                Ok(Self { upstream, path: path.into() })
            }
            _ => Err(WebAddressError),
        }
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.upstream.fmt(f)
    }
}

impl fmt::Debug for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/***", self.upstream)
    }
}

/// What a web address gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HookFormat {
    /// The whole notice.
    #[default]
    Json,
    /// One sentence, as Slack and those who took over its form read it.
    Slack,
}

impl HookFormat {
    /// As in the config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_without_what_may_be_a_credential() {
        let address: WebAddress =
            "https://hooks.example.com/services/T0/B0/key?a=b".parse().unwrap();
        assert_eq!(&*address.path, "/services/T0/B0/key?a=b");
        assert_eq!(address.to_string(), "https://hooks.example.com");
        assert_eq!(format!("{address:?}"), "https://hooks.example.com/***");
        let bare: WebAddress = "http://127.0.0.1:9?a".parse().unwrap();
        assert_eq!((bare.to_string().as_str(), &*bare.path), ("http://127.0.0.1:9", "/?a"));
        for text in [
            "",
            "127.0.0.1/x",
            "ftp://h/x",
            "http:///x",
            "https://a:b@h/",
            "http://h/a b",
            "http://h/#x",
        ] {
            assert_eq!(text.parse::<WebAddress>(), Err(WebAddressError), "{text}");
        }
    }
}
