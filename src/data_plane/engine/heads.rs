//! hyper's heads as the exchange sees them, and the exchange's edits as hyper's heads take them.
//!
//! Header names are made once per core and kept by number; values are cut out of one buffer per core,
//! so that editing a head allocates once in a few dozen requests instead of once per header.

use std::cell::{OnceCell, RefCell};

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http_body::Body;
use hyper::body::Incoming;

use crate::data_plane::exchange::edits::{Edit, Edits};
use crate::data_plane::exchange::head::{BodyLength, Headers, RequestHead, ResponseHead, Version};
use crate::model::header_id::HeaderId;

/// Ids are small numbers, and there are at most this many: see `HeaderId`.
const NAMES_MAX: usize = 4096 + 128;
/// Values are cut out of blocks of this size.
const BLOCK_BYTES: usize = 4096;

/// A core's names and values of headers.
pub struct HeaderForge {
    names: Box<[OnceCell<HeaderName>]>,
    block: RefCell<BytesMut>,
}

impl Default for HeaderForge {
    fn default() -> Self {
        let names = (0..NAMES_MAX).map(|_| OnceCell::new()).collect();
        Self { names, block: RefCell::default() }
    }
}

impl HeaderForge {
    /// The name with a number.
    fn name(&self, id: HeaderId) -> &HeaderName {
        self.names[usize::from(id.0)].get_or_init(|| HeaderName::from_static(id.name()))
    }

    /// A value; bytes that no value may have make it empty.
    fn value(&self, bytes: &[u8]) -> HeaderValue {
        let mut block = self.block.borrow_mut();
        if block.capacity() < bytes.len() {
            *block = BytesMut::with_capacity(BLOCK_BYTES.max(bytes.len()));
        }
        block.extend_from_slice(bytes);
        let bytes: Bytes = block.split().freeze();
        HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Carries edits out.
    pub fn apply(&self, edits: &Edits, headers: &mut HeaderMap) {
        for edit in edits.iter() {
            match edit {
                Edit::Remove(id) => drop(headers.remove(self.name(*id))),
                Edit::RemoveNamed(name) => drop(headers.remove(&**name)),
                Edit::Set(id, value) => {
                    let value = self.value(edits.value(value));
                    headers.insert(self.name(*id).clone(), value);
                }
                Edit::Append(id, value) => {
                    let value = self.value(edits.value(value));
                    headers.append(self.name(*id).clone(), value);
                }
            }
        }
    }

    /// Carries the change of path out; an impossible path leaves the old one.
    pub fn apply_path(edits: &Edits, uri: &mut http::Uri) {
        let Some(path) = edits.path() else { return };
        if let Ok(path) = PathAndQuery::try_from(path) {
            let mut parts = std::mem::take(uri).into_parts();
            parts.path_and_query = Some(path);
            *uri = http::Uri::from_parts(parts).unwrap_or_default();
        }
    }
}

/// A request's head with the names to look things up by.
pub struct HyperRequest<'a> {
    /// The head.
    pub parts: &'a http::request::Parts,
    /// Its body, for the length.
    pub body: BodyLength,
    /// The core's names.
    pub forge: &'a HeaderForge,
}

/// An answer's head with the names to look things up by.
pub struct HyperResponse<'a> {
    /// The head.
    pub parts: &'a http::response::Parts,
    /// Its body, for the length.
    pub body: BodyLength,
    /// The core's names.
    pub forge: &'a HeaderForge,
}

/// Trailers with the names to look things up by.
pub struct HyperTrailers<'a> {
    /// The fields.
    pub parts: TrailerParts<'a>,
    /// The core's names.
    pub forge: &'a HeaderForge,
}

/// Trailers in the form of a head's parts.
pub struct TrailerParts<'a> {
    /// The fields.
    pub headers: &'a HeaderMap,
}

/// What a body announces.
pub fn length_of(body: &Incoming) -> BodyLength {
    match body.size_hint().exact() {
        _ if body.is_end_stream() => BodyLength::Empty,
        Some(length) => BodyLength::Known(length),
        None => BodyLength::Unknown,
    }
}

macro_rules! headers_of_parts {
    ($head:ident) => {
        impl Headers for $head<'_> {
            fn first(&self, id: HeaderId) -> Option<&[u8]> {
                self.parts.headers.get(self.forge.name(id)).map(HeaderValue::as_bytes)
            }

            fn each_value<'a>(&'a self, id: HeaderId, visit: &mut dyn FnMut(&'a [u8])) {
                let values = self.parts.headers.get_all(self.forge.name(id));
                values.iter().for_each(|value| visit(value.as_bytes()));
            }

            fn each_name(&self, visit: &mut dyn FnMut(&str)) {
                self.parts.headers.keys().for_each(|name| visit(name.as_str()));
            }
        }
    };
}

headers_of_parts!(HyperRequest);
headers_of_parts!(HyperResponse);
headers_of_parts!(HyperTrailers);

impl RequestHead for HyperRequest<'_> {
    fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    fn version(&self) -> Version {
        match self.parts.version {
            http::Version::HTTP_10 | http::Version::HTTP_09 => Version::Http10,
            http::Version::HTTP_2 => Version::Http2,
            _ => Version::Http11,
        }
    }

    fn path(&self) -> &str {
        self.parts.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    fn authority(&self) -> Option<&str> {
        self.parts.uri.authority().map(http::uri::Authority::as_str)
    }

    fn body_length(&self) -> BodyLength {
        self.body
    }
}

impl ResponseHead for HyperResponse<'_> {
    fn status(&self) -> u16 {
        self.parts.status.as_u16()
    }

    fn body_length(&self) -> BodyLength {
        self.body
    }
}
