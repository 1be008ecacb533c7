//! The head of a request, and whether it is plain enough for this engine.
//!
//! Plain is what nearly every request is: HTTP/1.1, an ordinary method, a path, one `Host`, a short body
//! of known length or none. Everything else is left unread for hyper, the malformed included: there is
//! one place that refuses, and it has its tests.

use std::mem::MaybeUninit;

use super::fields::{self, Fields, Line, Span};
use super::names::Names;
use crate::data_plane::exchange::head::{BodyLength, Headers, RequestHead, Version};
use crate::model::header_id::HeaderId;

/// Longest head that is served here.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest body that is served here: it is read before anything is decided, and kept for a replay.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most header lines of a head that is served here.
const LINES_MAX: usize = 64;

/// What stands at the beginning of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Not yet a whole head.
    Part,
    /// A request for this engine.
    Plain,
    /// Anything else.
    NotPlain,
}

/// Where the parts of a request lie in the buffer that begins with it.
#[derive(Default)]
pub struct Request {
    lines: Vec<Line>,
    method: Span,
    target: Span,
    path: Span,
    /// Length of the head.
    pub head_bytes: usize,
    /// Length of the body; `None` when none is announced.
    pub content_length: Option<usize>,
    /// The client wants the connection closed after the answer.
    pub is_last: bool,
}

/// A request with its bytes.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// The header lines.
    pub fields: Fields<'a>,
    request: &'a Request,
    bytes: &'a [u8],
}

impl Request {
    /// Reads the head at the beginning of `bytes`, which stay as they are unless it is plain.
    pub fn read(&mut self, bytes: &mut [u8], names: &Names, head_bytes_max: usize) -> Found {
        let head_bytes_max = head_bytes_max.min(HEAD_BYTES_MAX);
        let found = self.parse(bytes, names);
        match found {
            Some(Found::Plain) if self.head_bytes <= head_bytes_max => {
                fields::lower_names(&self.lines, bytes);
                Found::Plain
            }
            Some(Found::Part) if bytes.len() < head_bytes_max => Found::Part,
            _ => Found::NotPlain,
        }
    }

    /// Length of the body.
    pub fn body_bytes(&self) -> usize {
        self.content_length.unwrap_or(0)
    }

    /// The request in the buffer it was read from.
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> RequestView<'a> {
        RequestView { fields: Fields::new(bytes, &self.lines), request: self, bytes }
    }

    fn parse(&mut self, bytes: &[u8], names: &Names) -> Option<Found> {
        let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(bytes, &mut lines).ok()? {
            httparse::Status::Partial => return Some(Found::Part),
            httparse::Status::Complete(length) => self.head_bytes = length,
        }
        let (method, target) = (parsed.method?, parsed.path?);
        let is_other = matches!(method, "CONNECT" | "TRACE" | "OPTIONS");
        if is_other || parsed.version != Some(1) || !is_plain_target(target.as_bytes()) {
            return None;
        }
        self.method = Span::of(method.as_bytes(), bytes)?;
        self.target = Span::of(target.as_bytes(), bytes)?;
        let path = memchr::memchr(b'?', target.as_bytes()).unwrap_or(target.len());
        self.path = self.target.first(path);
        if !fields::note(parsed.headers, bytes, names, &mut self.lines) {
            return None;
        }
        self.check(bytes)
    }

    /// Looks at what decides on framing and on who the request is for.
    fn check(&mut self, bytes: &[u8]) -> Option<Found> {
        let (mut hosts, mut lengths, mut has_connection) = (0, 0, false);
        for line in &self.lines {
            match line.id {
                Some(HeaderId::HOST) => hosts += 1,
                Some(HeaderId::CONTENT_LENGTH) => lengths += 1,
                Some(HeaderId::CONNECTION) => has_connection = true,
                Some(
                    HeaderId::TRANSFER_ENCODING
                    | HeaderId::UPGRADE
                    | HeaderId::EXPECT
                    | HeaderId::TE // trailers of the answer are wanted, which end here otherwise
                    | HeaderId::TRAILER,
                ) => return None,
                _ => {}
            }
        }
        let fields = Fields::new(bytes, &self.lines);
        let length = if lengths == 0 { None } else { fields.content_length().ok()? };
        self.content_length = length.map(usize::try_from).transpose().ok()?;
        self.is_last = has_connection && fields.has_token(HeaderId::CONNECTION, b"close");
        let is_plain = hosts == 1 && lengths <= 1 && self.body_bytes() <= BODY_BYTES_MAX;
        is_plain.then_some(Found::Plain)
    }
}

/// A path and query of which every reader of RFC 3986 thinks the same.
pub fn is_plain_target(target: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~');
    target.first() == Some(&b'/') && target.iter().all(is_plain)
}

impl RequestView<'_> {
    /// Path and query, as sent.
    pub fn target(&self) -> &[u8] {
        self.request.target.of_bytes(self.bytes)
    }
}

impl Headers for RequestView<'_> {
    fn first(&self, id: HeaderId) -> Option<&[u8]> {
        self.fields.values(id).next()
    }

    fn each_value<'a>(&'a self, id: HeaderId, visit: &mut dyn FnMut(&'a [u8])) {
        self.fields.each_value(id, visit);
    }

    fn each_name(&self, visit: &mut dyn FnMut(&str)) {
        self.fields.each_name(visit);
    }
}

impl RequestHead for RequestView<'_> {
    fn method(&self) -> &str {
        // It is asked for time and again, and reading UTF-8 costs more than a look at the two usual ones.
        match self.request.method.of_bytes(self.bytes) {
            b"GET" => "GET",
            b"POST" => "POST",
            other => text(other),
        }
    }

    fn version(&self) -> Version {
        Version::Http11
    }

    fn path(&self) -> &str {
        text(self.request.path.of_bytes(self.bytes))
    }

    fn query(&self) -> Option<&str> {
        let beyond = self.target().len() - self.path().len();
        (beyond > 0).then(|| text(&self.target()[self.target().len() - beyond + 1..]))
    }

    fn authority(&self) -> Option<&str> {
        None
    }

    fn body_length(&self) -> BodyLength {
        match self.request.body_bytes() {
            0 => BodyLength::Empty,
            length => BodyLength::Known(length as u64),
        }
    }

    fn has_body(&self) -> bool {
        true
    }
}

/// Methods and plain targets are ASCII.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Found, Request, Vec<u8>) {
        let (mut request, mut bytes) = (Request::default(), text.as_bytes().to_vec());
        let found = request.read(&mut bytes, &Names::default(), 32 * 1024);
        (found, request, bytes)
    }

    #[test]
    fn a_plain_request_is_seen_in_its_parts() {
        let sent =
            "POST /v1/x?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Own:\r\n\r\nabcGET";
        let (found, request, bytes) = read(sent);
        assert_eq!((found, request.body_bytes(), request.is_last), (Found::Plain, 3, false));
        let view = request.view(&bytes);
        assert_eq!((view.method(), view.path(), view.query()), ("POST", "/v1/x", Some("a=b")));
        assert_eq!(view.first(HeaderId::HOST), Some(&b"a"[..]));
        let mut names = Vec::new();
        view.each_name(&mut |name| names.push(name.to_owned()));
        assert_eq!(names, ["host", "content-length", "x-own"]);
        assert_eq!(&bytes[request.head_bytes..], b"abcGET");
        let last = read("GET / HTTP/1.1\r\nhost: a\r\nconnection: x, Close\r\n\r\n");
        assert!(last.0 == Found::Plain && last.1.is_last);
        assert_eq!(last.1.view(&last.2).query(), None);
    }

    #[test]
    fn whatever_is_not_plain_is_left_as_it_was() {
        for head in [
            "GET / HTTP/1.0\r\nhost: a\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n",
            "GET http://a/ HTTP/1.1\r\nhost: a\r\n",
            "OPTIONS / HTTP/1.1\r\nhost: a\r\n",
            "GET /\" HTTP/1.1\r\nhost: a\r\n",
            "GET /#x HTTP/1.1\r\nhost: a\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 65537\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nExpect: 100-continue\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nUpgrade: websocket\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n folded: x\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nbad header: x\r\n",
            "nonsense\r\n",
        ] {
            let head = format!("{head}\r\n");
            let (found, _, bytes) = read(&head);
            assert_eq!((found, bytes.as_slice()), (Found::NotPlain, head.as_bytes()), "{head}");
        }
    }

    #[test]
    fn heads_that_are_long_or_have_many_lines_are_not_plain() {
        let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(&long).0, Found::NotPlain);
        assert_eq!(read(&long[..HEAD_BYTES_MAX]).0, Found::NotPlain);
        assert_eq!(read(&long[..HEAD_BYTES_MAX - 1]).0, Found::Part);
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(64));
        assert_eq!(read(&many).0, Found::NotPlain);
    }
}
