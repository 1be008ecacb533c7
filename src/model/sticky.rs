//! What makes a user a user: where the sticky key of a request comes from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::header_id::HeaderId;

/// One place where a request may carry its sticky key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `header:NAME`
    Header(HeaderId),
    /// `cookie:NAME`
    Cookie(Arc<str>),
    /// `query:NAME`
    Query(Arc<str>),
    /// `json:/pointer`, a string or number in a JSON body
    Json(JsonPointer),
    /// `bearer`: the credential in `Authorization` or `X-Api-Key`
    Bearer,
    /// `client-address`: the address of the client, proxies in front of Cyan skipped
    ClientAddress,
}

/// A JSON pointer (RFC 6901), split and unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer(pub Vec<Arc<str>>);

/// How a service finds the key of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct StickyRule {
    /// The first source that the request has wins.
    pub sources: Vec<KeySource>,
    /// Most bytes of a body read to find a `json:` key, before the next source is tried.
    pub body_bytes_max: u32,
    /// A cookie given to users that bring no key at all, so that their next request has one.
    pub set_cookie: Option<StickyCookie>,
}

/// The cookie given to users without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyCookie {
    /// Its name; it is looked up before every other source.
    pub name: Arc<str>,
    /// How long the browser keeps it.
    pub max_age: Duration,
}

/// The hashed key of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StickyKey {
    /// xxh3 of the key's bytes. The same value from two sources is the same user.
    pub hash: u64,
    /// Which of the rule's sources had it; `None` for a request without a key, whose hash is random.
    pub source: Option<u8>,
}

impl StickyKey {
    /// The key with these bytes, found in the source with this index.
    pub fn of(bytes: &[u8], source: u8) -> Self {
        Self { hash: xxh3_64(bytes), source: Some(source) }
    }

    /// A request that has no key is a user of its own.
    pub fn without(random: u64) -> Self {
        Self { hash: random, source: None }
    }
}

/// Why a text is no key source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySourceError {
    /// Not one of the forms.
    #[error(
        "`{0}` is no source of a key; write header:NAME, cookie:NAME, query:NAME, json:/pointer, bearer or client-address"
    )]
    Form(String),
    /// The header's name is not one.
    #[error(transparent)]
    Header(#[from] super::header_id::HeaderNameError),
    /// The pointer does not begin with a slash, or a `~` is not followed by 0 or 1.
    #[error("`{0}` is no JSON pointer; write for example json:/user or json:/metadata/user_id")]
    Pointer(String),
}

impl std::str::FromStr for KeySource {
    type Err = KeySourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("header", name)) => Ok(Self::Header(HeaderId::intern(name)?)),
            Some(("cookie", name)) if is_cookie_name(name) => Ok(Self::Cookie(name.into())),
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.into())),
            Some(("json", pointer)) => Ok(Self::Json(pointer.parse()?)),
            None if text == "bearer" => Ok(Self::Bearer),
            None if text == "client-address" => Ok(Self::ClientAddress),
            _ => Err(KeySourceError::Form(text.to_owned())),
        }
    }
}

/// A cookie's name is a token (RFC 6265, section 4.1.1).
fn is_cookie_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(super::header_id::is_token_byte)
}

impl std::str::FromStr for JsonPointer {
    type Err = KeySourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || KeySourceError::Pointer(text.to_owned());
        let path = text.strip_prefix('/').ok_or_else(error)?;
        let unescape = |token: &str| {
            let stray = token.replace("~0", "").replace("~1", "").contains('~');
            (!stray)
                .then(|| Arc::from(token.replace("~1", "/").replace("~0", "~")))
                .ok_or_else(error)
        };
        path.split('/').map(unescape).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(id) => write!(f, "header:{}", id.name()),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Json(JsonPointer(tokens)) => {
                f.write_str("json:")?;
                tokens
                    .iter()
                    .try_for_each(|t| write!(f, "/{}", t.replace('~', "~0").replace('/', "~1")))
            }
            Self::Bearer => f.write_str("bearer"),
            Self::ClientAddress => f.write_str("client-address"),
        }
    }
}

impl Default for StickyRule {
    /// The sources of `DESIGN`: a session or user header, then the fields that LLM clients send.
    fn default() -> Self {
        let json = |name: &str| KeySource::Json(JsonPointer(vec![name.into()]));
        Self {
            sources: vec![
                KeySource::Header(HeaderId::X_SESSION_ID),
                KeySource::Header(HeaderId::X_USER_ID),
                json("user"),
                json("safety_identifier"),
                json("prompt_cache_key"),
            ],
            body_bytes_max: 1 << 20,
            set_cookie: None,
        }
    }
}

impl StickyRule {
    /// Whether a body has to be looked at when no earlier source has a key.
    pub fn reads_json(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, KeySource::Json(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_print_as_they_are_written() {
        for text in [
            "header:x-user-id",
            "cookie:sid",
            "query:user",
            "json:/user",
            "json:/a~1b/c~0d",
            "bearer",
            "client-address",
        ] {
            assert_eq!(text.parse::<KeySource>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for text in
            ["", "user", "json:user", "json:/a~2", "header:a b", "cookie:", "query:", "bearer:x"]
        {
            assert!(text.parse::<KeySource>().is_err(), "{text}");
        }
    }
}
