//! What a request must be before anything else looks at it: RFC 9110 and 9112, where two readers of the
//! same bytes could disagree (`tests/conformance/cases` has the bytes).

use super::head::{BodyLength, RequestHead, Version};
use super::reply::Refusal;
use crate::model::certificate_hosts::CertificateHosts;
use crate::model::header_id::HeaderId;

/// Checks method, framing, `Host` and `Expect`.
///
/// # Errors
/// The refusal to answer with.
pub fn check(head: &impl RequestHead) -> Result<(), Refusal> {
    if matches!(head.method(), "CONNECT" | "TRACE") {
        return Err(Refusal::Method);
    }
    check_target(head)?;
    check_host(head)?;
    check_transfer_coding(head)?;
    if let Some(expect) = head.first(HeaderId::EXPECT)
        && !expect.eq_ignore_ascii_case(b"100-continue")
    {
        return Err(Refusal::Expectation);
    }
    Ok(())
}

/// RFC 9112, section 3.2: `*` is for OPTIONS alone, and a bare authority for CONNECT alone, which parses as
/// a target without a path.
fn check_target(head: &impl RequestHead) -> Result<(), Refusal> {
    match head.path() {
        "*" if head.method() != "OPTIONS" => Err(Refusal::Malformed("`*` is for OPTIONS alone")),
        "" => Err(Refusal::Malformed("the target has no path")),
        _ => Ok(()),
    }
}

/// Checks a body's announced length against the service's limit.
///
/// # Errors
/// When it announces more.
pub fn check_length(head: &impl RequestHead, max: u64) -> Result<(), Refusal> {
    match head.body_length() {
        BodyLength::Known(length) if length > max => Err(Refusal::BodyTooLarge(max)),
        _ => Ok(()),
    }
}

/// Checks that an HTTP/2 request has come on a connection with the certificate of its host.
///
/// # Errors
/// When the host is one of another certificate.
pub fn check_certificate(
    head: &impl RequestHead,
    hosts: Option<&CertificateHosts>,
) -> Result<(), Refusal> {
    // HTTP/1.1 clients do not share a connection among hosts: who sends another `Host` there means it.
    let Some(hosts) = hosts.filter(|_| head.version() == Version::Http2) else { return Ok(()) };
    let host = host(head);
    if hosts.is_elsewhere(&host) { Err(Refusal::Misdirected(host)) } else { Ok(()) }
}

/// The host that a request is for, in lower case and without a port; empty for none.
pub fn host(head: &impl RequestHead) -> String {
    let authority = match head.authority() {
        Some(authority) => authority.as_bytes(),
        None => head.first(HeaderId::HOST).unwrap_or_default(),
    };
    let authority = String::from_utf8_lossy(authority);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// RFC 9112, section 3.2: exactly one `Host` in HTTP/1.1, and a valid one. In HTTP/2 a `Host` beside a
/// different `:authority` is refused: the upstream would see another host than the one we chose by.
fn check_host(head: &impl RequestHead) -> Result<(), Refusal> {
    let mut hosts = 0;
    let mut valid = true;
    let mut agrees = true;
    head.each_value(HeaderId::HOST, &mut |host| {
        hosts += 1;
        valid &= host.iter().all(|byte| is_host_byte(*byte));
        agrees &= head.authority().is_none_or(|a| a.as_bytes().eq_ignore_ascii_case(host));
    });
    valid &= head.authority().is_none_or(|authority| authority.bytes().all(is_host_byte));
    match head.version() {
        _ if hosts > 1 => Err(Refusal::Malformed("more than one `Host`")),
        _ if !valid => Err(Refusal::Malformed("`Host` is not a host and port")),
        Version::Http11 if hosts == 0 => Err(Refusal::Malformed("HTTP/1.1 without `Host`")),
        Version::Http2 if hosts == 0 && head.authority().is_none() => {
            Err(Refusal::Malformed("neither `:authority` nor `Host`"))
        }
        Version::Http2 if !agrees => Err(Refusal::Malformed("`Host` differs from `:authority`")),
        _ => Ok(()),
    }
}

/// `uri-host [ ":" port ]` of RFC 3986, without the characters that end an authority or add a user.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte)
}

/// Only `chunked` itself is decoded here; any other coding would be lost with the header.
fn check_transfer_coding(head: &impl RequestHead) -> Result<(), Refusal> {
    let mut codings = 0;
    let mut chunked = true;
    head.each_value(HeaderId::TRANSFER_ENCODING, &mut |coding| {
        codings += 1;
        chunked &= coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    });
    match (codings, head.version()) {
        (0, _) => Ok(()),
        (_, Version::Http2) => Err(Refusal::Malformed("`Transfer-Encoding` in HTTP/2")),
        (1, Version::Http11) if chunked => Ok(()),
        (1, Version::Http11) => Err(Refusal::TransferCoding),
        _ => Err(Refusal::Malformed("ambiguous `Transfer-Encoding`")),
    }
}
