//! What an exchange sees of a request or an answer: borrowed look-ups, whatever library parsed them.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::certificate_hosts::CertificateHosts;
use crate::model::header_id::HeaderId;
use crate::model::timeouts::ClientTimeouts;

/// The HTTP version a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunked answers, no persistent connection by default.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// How much body a message announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// None at all.
    Empty,
    /// This many bytes.
    Known(u64),
    /// As many as come.
    Unknown,
}

/// Headers, looked up by number or walked through by name.
pub trait Headers {
    /// The first value of a header.
    fn first(&self, id: HeaderId) -> Option<&[u8]>;

    /// Every value of a header, in order.
    fn each_value<'a>(&'a self, id: HeaderId, visit: &mut dyn FnMut(&'a [u8]));

    /// Every header's name once, in lower case.
    fn each_name(&self, visit: &mut dyn FnMut(&str));
}

/// The head of a request.
pub trait RequestHead: Headers {
    /// The method, as sent.
    fn method(&self) -> &str;

    /// The version.
    fn version(&self) -> Version;

    /// The path: `/v1/chat/completions`, or `*`.
    fn path(&self) -> &str;

    /// The query, without its question mark.
    fn query(&self) -> Option<&str>;

    /// The authority of the request target: of an absolute URI, or HTTP/2's `:authority`.
    fn authority(&self) -> Option<&str>;

    /// What body it announces.
    fn body_length(&self) -> BodyLength;

    /// Whether all of its body is here already.
    fn has_body(&self) -> bool {
        false
    }
}

/// The head of an answer.
pub trait ResponseHead: Headers {
    /// The status code.
    fn status(&self) -> u16;

    /// What body it announces.
    fn body_length(&self) -> BodyLength;
}

/// What upstreams are told about the certificate of a client (RFC 9440).
#[derive(Debug, Clone, Default)]
pub enum ToldCertificate {
    /// Nothing by this listener; a trusted peer may.
    #[default]
    Unsaid,
    /// The client has shown none, and nobody may claim another.
    None,
    /// The value of `Client-Cert`.
    Leaf(Box<[u8]>),
}

/// Who sent a request, as far as the connection tells.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The other end of the socket; `None` on a unix socket.
    pub address: Option<IpAddr>,
    /// The same as text, made once per connection; empty on a unix socket.
    pub address_text: Box<str>,
    /// Whether its `X-Forwarded-*` headers are believed.
    pub is_trusted: bool,
    /// Whether it speaks TLS to us.
    pub is_tls: bool,
    /// The hosts of its certificate and of the others; `None` where it cannot have asked the wrong one.
    pub hosts: Option<Arc<CertificateHosts>>,
    /// The certificate that it has shown.
    pub certificate: ToldCertificate,
    /// The peers that its listener believes.
    pub trusted: Rc<[IpNet]>,
    /// How long it may pause in the middle of a body.
    pub body_idle: Duration,
}

impl Peer {
    /// A peer at this address that nobody has a reason to believe.
    pub fn new(address: Option<IpAddr>) -> Self {
        let address_text = address.map(|address| address.to_string()).unwrap_or_default().into();
        Self {
            address,
            address_text,
            is_trusted: false,
            is_tls: false,
            hosts: None,
            certificate: ToldCertificate::default(),
            trusted: Rc::new([]),
            body_idle: ClientTimeouts::default().body_idle,
        }
    }
}
