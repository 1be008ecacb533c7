//! The head of an answer: what it says about the body that follows, and how it goes on to the client.

use std::mem::MaybeUninit;

use super::date::Date;
use super::fields::{self, Fields, Line, Span};
use super::framing::{Chunks, Framing};
use super::names::Names;
use super::render;
use crate::data_plane::exchange::edits::Edits;
use crate::data_plane::exchange::head::{BodyLength, Headers, ResponseHead};
use crate::model::header_id::HeaderId;

/// Most header lines of an answer, as many as hyper takes.
const LINES_MAX: usize = 100;

/// The head of an answer.
pub struct Response<'a> {
    /// Its header lines.
    pub fields: Fields<'a>,
    /// Its status.
    pub status: u16,
    reason: &'a [u8],
}

/// What was found at the beginning of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Parsed {
    /// Length of the head.
    pub head_bytes: usize,
    /// Its status.
    pub status: u16,
    reason: Span,
    is_http_11: bool,
}

/// How the body of an answer is read, and how it is announced to the client.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyPlan {
    /// How its end is known.
    pub framing: Framing,
    /// The length that the client is told.
    pub content_length: Option<u64>,
    /// The connection can be used again when the body has ended.
    pub is_reusable: bool,
}

/// An answer that cannot be passed on, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct BadAnswer(pub &'static str);

/// Reads the head at the beginning of `bytes`; `None` when a part of it is missing.
///
/// # Errors
/// When it is not a head of HTTP/1.
pub fn read(
    bytes: &mut [u8],
    names: &Names,
    lines: &mut Vec<Line>,
) -> Result<Option<Parsed>, BadAnswer> {
    let parsed = parse(bytes, names, lines)?;
    if parsed.is_some() {
        fields::lower_names(lines, bytes);
    }
    Ok(parsed)
}

fn parse(bytes: &[u8], names: &Names, lines: &mut Vec<Line>) -> Result<Option<Parsed>, BadAnswer> {
    let mut headers = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let found = config.parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
    let head_bytes = match found {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(BadAnswer("it has more than 100 headers"));
        }
        Err(_) => return Err(BadAnswer("its head is not HTTP/1.1")),
    };
    let reason = Span::of(response.reason.unwrap_or_default().as_bytes(), bytes);
    if !fields::note(response.headers, bytes, names, lines) {
        return Err(BadAnswer("its head is too long"));
    }
    Ok(Some(Parsed {
        head_bytes,
        status: response.code.unwrap_or_default(),
        reason: reason.unwrap_or_default(),
        is_http_11: response.version == Some(1),
    }))
}

impl Parsed {
    /// The head in the buffer it was read from.
    pub fn view<'a>(&self, bytes: &'a [u8], lines: &'a [Line]) -> Response<'a> {
        let reason = self.reason.of_bytes(bytes);
        Response { fields: Fields::new(bytes, lines), status: self.status, reason }
    }

    /// How the body is framed (RFC 9112, section 6.3).
    ///
    /// # Errors
    /// When its length cannot be known for certain.
    pub fn plan(&self, fields: Fields<'_>, is_head: bool) -> Result<BodyPlan, BadAnswer> {
        let bad_length = |()| BadAnswer("its `Content-Length` is not one number");
        let length = fields.content_length().map_err(bad_length)?;
        let stays = |token: &[u8]| fields.has_token(HeaderId::CONNECTION, token);
        let is_kept = if self.is_http_11 { !stays(b"close") } else { stays(b"keep-alive") };
        let plan = |framing, content_length, is_reusable| {
            Ok(BodyPlan { framing, content_length, is_reusable })
        };
        if is_head || self.status == 304 {
            return plan(Framing::Nothing, length, is_kept);
        }
        if self.status == 204 {
            return plan(Framing::Nothing, None, is_kept);
        }
        let mut codings = fields.values(HeaderId::TRANSFER_ENCODING);
        if let Some(coding) = codings.next() {
            let is_chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if !is_chunked || codings.next().is_some() || !self.is_http_11 {
                return Err(BadAnswer("its `Transfer-Encoding` is not `chunked`"));
            }
            let chunks = Framing::Chunked(Chunks::default());
            return plan(chunks, None, is_kept && length.is_none());
        }
        match length {
            Some(0) => plan(Framing::Nothing, length, is_kept),
            Some(left) => plan(Framing::Sized(left), length, is_kept),
            None => plan(Framing::UntilClose, None, false),
        }
    }
}

impl Response<'_> {
    /// Writes the head for the client.
    pub fn render(
        &self,
        out: &mut Vec<u8>,
        edits: &Edits,
        plan: &BodyPlan,
        date: &Date,
        is_last: bool,
    ) {
        status_line(out, self.status, self.reason);
        render::fields(out, self.fields, &[edits]);
        if let Some(length) = plan.content_length {
            render::number(out, "content-length", length);
        } else if matches!(plan.framing, Framing::Chunked(_) | Framing::UntilClose) {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        if !self.fields.iter().any(|(_, name, _)| name == b"date") {
            render::line(out, b"date", date.text());
        }
        if is_last {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Response<'_> {
    /// Writes the head of an interim answer for the client.
    pub fn render_interim(&self, out: &mut Vec<u8>, edits: &Edits) {
        status_line(out, self.status, self.reason);
        render::fields(out, self.fields, &[edits]);
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the first line of an answer.
pub fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    let digit = |of: u16| b'0' + u8::try_from(of % 10).unwrap_or(0);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

impl Headers for Response<'_> {
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

impl ResponseHead for Response<'_> {
    fn status(&self) -> u16 {
        self.status
    }

    fn body_length(&self) -> BodyLength {
        match self.fields.content_length() {
            Ok(Some(0)) => BodyLength::Empty,
            Ok(Some(length)) => BodyLength::Known(length),
            _ => BodyLength::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(head: &str, is_head: bool) -> Result<BodyPlan, BadAnswer> {
        let (mut bytes, mut lines) = (format!("{head}\r\n").into_bytes(), Vec::new());
        let parsed = read(&mut bytes, &Names::default(), &mut lines)?.expect("a whole head");
        parsed.plan(parsed.view(&bytes, &lines).fields, is_head)
    }

    #[test]
    fn framing_follows_rfc_9112_and_doubt_is_refused() {
        let chunks = || Framing::Chunked(Chunks::default());
        for (head, framing, content_length, is_reusable) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", Framing::Sized(5), Some(5), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", Framing::Nothing, Some(0), true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n",
                Framing::Sized(5),
                Some(5),
                true,
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n", chunks(), None, true),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
                chunks(),
                None,
                false,
            ),
            ("HTTP/1.1 200 OK\r\n", Framing::UntilClose, None, false),
            ("HTTP/1.1 204 No\r\n", Framing::Nothing, None, true),
            ("HTTP/1.1 304 No\r\ncontent-length: 7\r\n", Framing::Nothing, Some(7), true),
            (
                "HTTP/1.1 200\r\nconnection: a, Close\r\ncontent-length: 5\r\n",
                Framing::Sized(5),
                Some(5),
                false,
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n", Framing::Sized(5), Some(5), false),
        ] {
            let expected = BodyPlan { framing, content_length, is_reusable };
            assert_eq!(plan_of(head, false), Ok(expected), "{head}");
        }
        for head in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n",
            "HTTP/1.1 200 OK\r\nbad header: x\r\n",
            "nonsense\r\n",
        ] {
            assert!(plan_of(head, false).is_err(), "{head}");
        }
        let answer_to_head = plan_of("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", true).unwrap();
        assert_eq!(
            (answer_to_head.framing, answer_to_head.content_length),
            (Framing::Nothing, Some(5))
        );
    }
}
