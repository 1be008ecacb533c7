//! Header names as small numbers.
//!
//! The exchange must not know the header type of an HTTP library, and must not parse or hash a name
//! per request either. So every name that Cyan ever looks up or sets gets a number when the program
//! starts or a config is read, and the engine keeps its own ready-made name beside each number.

use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A header name known to the process. Equal names have equal ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HeaderId(pub u16);

/// Most names beyond the built-in ones. They come from configs only, never from requests.
const CONFIGURED_MAX: usize = 4096;

macro_rules! built_in {
    ($($id:ident = $name:literal,)*) => {
        const BUILT_IN: &[&str] = &[$($name),*];
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "only numbers the constants below")]
        enum Index { $($id),* }
        impl HeaderId {
            $(#[doc = concat!("`", $name, "`")] pub const $id: Self = Self(Index::$id as u16);)*
        }
    };
}

built_in! {
    HOST = "host",
    CONNECTION = "connection",
    KEEP_ALIVE = "keep-alive",
    PROXY_CONNECTION = "proxy-connection",
    TE = "te",
    TRAILER = "trailer",
    TRANSFER_ENCODING = "transfer-encoding",
    UPGRADE = "upgrade",
    EXPECT = "expect",
    CONTENT_LENGTH = "content-length",
    CONTENT_TYPE = "content-type",
    CONTENT_ENCODING = "content-encoding",
    COOKIE = "cookie",
    SET_COOKIE = "set-cookie",
    AUTHORIZATION = "authorization",
    PROXY_AUTHORIZATION = "proxy-authorization",
    PROXY_AUTHENTICATE = "proxy-authenticate",
    FORWARDED = "forwarded",
    X_FORWARDED_FOR = "x-forwarded-for",
    X_FORWARDED_PROTO = "x-forwarded-proto",
    X_FORWARDED_HOST = "x-forwarded-host",
    X_FORWARDED_PORT = "x-forwarded-port",
    X_REAL_IP = "x-real-ip",
    X_REQUEST_ID = "x-request-id",
    X_DEPLOYMENT = "x-deployment",
    X_CYAN_EXCHANGE = "x-cyan-exchange",
    X_CYAN_ENVIRONMENT = "x-cyan-environment",
    X_CYAN_MIRROR = "x-cyan-mirror",
    X_SESSION_ID = "x-session-id",
    X_USER_ID = "x-user-id",
    X_API_KEY = "x-api-key",
    RETRY_AFTER = "retry-after",
    X_SHOULD_RETRY = "x-should-retry",
    GRPC_STATUS = "grpc-status",
    SEC_WEBSOCKET_KEY = "sec-websocket-key",
    ALLOW = "allow",
    ACCEPT = "accept",
    ACCEPT_ENCODING = "accept-encoding",
    RETRY_COUNT = "x-stainless-retry-count",
    TRACEPARENT = "traceparent",
    TRACESTATE = "tracestate",
    CLIENT_CERT = "client-cert",
    CLIENT_CERT_CHAIN = "client-cert-chain",
}

/// Names from configs. They are leaked: configs change rarely, and the number is bounded.
static CONFIGURED: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());
/// How many they are, for whoever asks before each request. Relaxed suffices: the names themselves are
/// read under the lock.
static CONFIGURED_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Why a text cannot become a header id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderNameError {
    /// Not a token of RFC 9110, section 5.6.2.
    #[error("`{0}` is not a header name; use letters, digits and `-`")]
    Syntax(String),
    /// 4096 different names have been seen by this process.
    #[error(
        "more than 4096 different header names were configured; restart Cyan to forget old ones"
    )]
    TooMany,
}

impl HeaderId {
    /// The id of `name`, whatever its case; made on first use.
    ///
    /// # Errors
    /// When it is no header name, or the process has seen too many.
    pub fn intern(name: &str) -> Result<Self, HeaderNameError> {
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(HeaderNameError::Syntax(name.to_owned()));
        }
        let name = name.to_ascii_lowercase();
        if let Some(index) = BUILT_IN.iter().position(|known| *known == name) {
            return Ok(Self::at(index));
        }
        let mut configured = CONFIGURED.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let index = match configured.iter().position(|known| *known == name) {
            Some(index) => index,
            None if configured.len() >= CONFIGURED_MAX => return Err(HeaderNameError::TooMany),
            None => {
                configured.push(Box::leak(name.into_boxed_str()));
                CONFIGURED_COUNT.store(configured.len(), Ordering::Relaxed);
                configured.len() - 1
            }
        };
        Ok(Self::at(BUILT_IN.len() + index))
    }

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        let index = usize::from(self.0);
        match BUILT_IN.get(index) {
            Some(name) => name,
            None => CONFIGURED.read().unwrap_or_else(std::sync::PoisonError::into_inner)
                [index - BUILT_IN.len()],
        }
    }

    /// How many names are known now. Ids below this number are valid for ever.
    pub fn known() -> usize {
        BUILT_IN.len() + CONFIGURED_COUNT.load(Ordering::Relaxed)
    }

    fn at(index: usize) -> Self {
        Self(
            u16::try_from(index).expect("built-in and configured names together stay below 65 536"),
        )
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl serde::Serialize for HeaderId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_have_equal_ids_whatever_their_case() {
        assert_eq!(HeaderId::intern("X-Forwarded-For"), Ok(HeaderId::X_FORWARDED_FOR));
        let own = HeaderId::intern("X-My-Own").unwrap();
        assert_eq!(HeaderId::intern("x-my-own"), Ok(own));
        assert_eq!(own.name(), "x-my-own");
        assert!(usize::from(own.0) < HeaderId::known());
        assert!(HeaderId::intern("with space").is_err());
    }
}
