//! Finds the sticky key of a request: the first source of the service's list that the request has.

use std::net::IpAddr;

use super::head::{BodyLength, RequestHead};
use crate::inspect::json_key::JsonKeyScan;
use crate::model::header_id::HeaderId;
use crate::model::media_type::MediaType;
use crate::model::sticky::{KeySource, StickyKey, StickyRule};

/// The index that stands for the sticky cookie, which comes before every source of the list.
pub const COOKIE_SOURCE: u8 = u8::MAX;

/// What the head alone says.
#[derive(Debug)]
pub enum KeyInHead {
    /// The key.
    Found(StickyKey),
    /// A source before it is a field of the body: read on, and fall back to this key.
    InBody {
        /// The scan to feed.
        scan: JsonKeyScan,
        /// For each pointer of the scan, its source's index.
        sources: Vec<u8>,
        /// The key from a later source, if there is one.
        otherwise: Option<StickyKey>,
    },
    /// No source has one.
    Missing,
}

/// Looks for the key in a head. `client` is the client's address.
pub fn in_head(head: &impl RequestHead, rule: &StickyRule, client: Option<IpAddr>) -> KeyInHead {
    if let Some(cookie) = &rule.set_cookie
        && let Some(value) = cookie_value(head, &cookie.name)
    {
        return KeyInHead::Found(StickyKey::of(value, COOKIE_SOURCE));
    }
    let reads_body = is_json(head);
    let mut pointers = Vec::new();
    let mut sources = Vec::new();
    let mut otherwise = None;
    for (source, index) in rule.sources.iter().zip(0_u8..) {
        if let KeySource::Json(pointer) = source {
            if reads_body {
                pointers.push(pointer.0.as_slice());
                sources.push(index);
            }
        } else if let Some(key) = lookup(head, source, index, client) {
            otherwise = Some(key);
            break;
        }
    }
    match (pointers.is_empty(), otherwise) {
        (true, Some(key)) => KeyInHead::Found(key),
        (true, None) => KeyInHead::Missing,
        (false, otherwise) => {
            KeyInHead::InBody { scan: JsonKeyScan::new(pointers), sources, otherwise }
        }
    }
}

/// A body is looked at when it says it is JSON, or says nothing.
pub(super) fn is_json(head: &impl RequestHead) -> bool {
    head.body_length() != BodyLength::Empty
        && head.first(HeaderId::CONTENT_TYPE).is_none_or(|kind| MediaType::of(kind).is_json())
}

/// The key that a source other than a body has.
pub(super) fn lookup(
    head: &impl RequestHead,
    source: &KeySource,
    index: u8,
    client: Option<IpAddr>,
) -> Option<StickyKey> {
    let of = |bytes: &[u8]| (!bytes.is_empty()).then(|| StickyKey::of(bytes, index));
    match source {
        KeySource::Header(id) => of(head.first(*id)?),
        KeySource::Cookie(name) => of(cookie_value(head, name)?),
        KeySource::Query(name) => of(query_value(head.query()?, name)?),
        KeySource::Bearer => of(credential(head)?),
        KeySource::ClientAddress => match client? {
            IpAddr::V4(address) => of(&address.octets()),
            IpAddr::V6(address) => of(&address.octets()),
        },
        KeySource::Json(_) => None,
    }
}

/// The credential, whichever of the two usual headers has it.
fn credential(head: &impl RequestHead) -> Option<&[u8]> {
    match head.first(HeaderId::AUTHORIZATION) {
        Some(value) => {
            let token = value.split(|byte| *byte == b' ').next_back();
            token.filter(|token| !token.is_empty())
        }
        None => head.first(HeaderId::X_API_KEY),
    }
}

/// The value of a cookie (RFC 6265, section 4.2), quotes removed.
pub fn cookie_value<'a>(head: &'a impl RequestHead, name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    head.each_value(HeaderId::COOKIE, &mut |line| {
        for pair in line.split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            if found.is_none()
                && let Some(value) = pair.strip_prefix(name.as_bytes())
                && let Some(value) = value.strip_prefix(b"=")
            {
                let quoted = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
                found = Some(quoted.unwrap_or(value));
            }
        }
    });
    found.filter(|value| !value.is_empty())
}

/// The raw value of a query parameter. It is not decoded: it is only hashed.
fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a [u8]> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::as_bytes)
}
