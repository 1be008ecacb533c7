//! The request target as the next hop wants it.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Uri, request};

/// Sets version and target: origin form with `Host` for HTTP/1.1, an absolute URI for HTTP/2, from
/// which hyper makes the pseudo-headers.
pub fn set(parts: &mut request::Parts, is_http2: bool, is_tls: bool) {
    if is_http2 {
        parts.version = http::Version::HTTP_2;
        let host = parts.headers.remove(http::header::HOST);
        let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let mut target = std::mem::take(&mut parts.uri).into_parts();
        target.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
        target.authority = authority.or(Some(Authority::from_static("localhost")));
        target.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        parts.uri = Uri::from_parts(target).unwrap_or_default();
        return;
    }
    parts.version = http::Version::HTTP_11;
    if parts.uri.authority().is_some() {
        let path = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    }
    join_cookies(parts);
}

/// HTTP/2 clients send cookies in crumbs; HTTP/1.1 allows one `Cookie` only (RFC 9113, section 8.2.3).
fn join_cookies(parts: &mut request::Parts) {
    let cookies = parts.headers.get_all(http::header::COOKIE);
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = cookies.iter().map(http::HeaderValue::as_bytes).collect();
    if let Ok(joined) = http::HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        parts.headers.insert(http::header::COOKIE, joined);
    }
}
