//! What a `Content-Type` and a `Content-Encoding` say, as far as anything here depends on it.
//!
//! Names are compared without case, and without the parameters and blanks behind them (RFC 9110,
//! section 8.3.1).

/// A media type, such as `application/json`, without its parameters.
#[derive(Debug, Clone, Copy)]
pub struct MediaType<'a>(&'a [u8]);

impl<'a> MediaType<'a> {
    /// The one that a `Content-Type` names.
    pub fn of(content_type: &'a [u8]) -> Self {
        let name = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        Self(name.trim_ascii())
    }

    /// Whether it is this one.
    pub fn is(self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether it is one of a kind: of `audio` or `multipart`, by what stands before the slash.
    pub fn is_of(self, kind: &str) -> bool {
        self.parts().is_some_and(|(own, _)| own.eq_ignore_ascii_case(kind.as_bytes()))
    }

    /// Whether it is JSON: `application/json`, or a type that is written in it, such as
    /// `application/problem+json` (RFC 6839, section 3.1).
    pub fn is_json(self) -> bool {
        let has_suffix = self.parts().is_some_and(|(_, name)| ends_with(name, b"+json"));
        has_suffix || self.is("application/json")
    }

    /// Whether it is a page for people: no server of models answers with one.
    pub fn is_page(self) -> bool {
        self.is("text/html") || self.is("application/xhtml+xml")
    }

    /// Whether it is gRPC, with whatever kind of messages: `application/grpc`, `application/grpc+proto`.
    /// gRPC-Web is another: its trailers are part of the body.
    pub fn is_grpc(self) -> bool {
        let name = self.0.split(|byte| *byte == b'+').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"application/grpc")
    }

    /// What stands before the slash and after it.
    fn parts(self) -> Option<(&'a [u8], &'a [u8])> {
        let slash = self.0.iter().position(|byte| *byte == b'/')?;
        Some((&self.0[..slash], &self.0[slash + 1..]))
    }
}

/// Kinds of bodies that are never JSON. Large ones keep their length, since nothing in them is edited.
const NEVER_JSON: [&str; 5] = ["multipart", "audio", "image", "video", "font"];

/// Whether a body with these headers may be JSON, and can be read. What type a request says it has means
/// little: curl sends JSON as a form unless told otherwise, browsers as plain text, and servers read it all
/// the same. So only types that are never JSON are told here, and of all others the first byte tells.
pub fn may_be_json(content_type: Option<&[u8]>, content_encoding: Option<&[u8]>) -> bool {
    let is_never = |content_type: &[u8]| {
        let named = MediaType::of(content_type);
        named.is_grpc() || NEVER_JSON.iter().any(|kind| named.is_of(kind))
    };
    !content_type.is_some_and(is_never) && content_encoding.is_none_or(is_identity)
}

/// Whether an `Accept` names a page for people, as those of browsers' forms do and those of SDKs do not.
pub fn names_page(accept: &[u8]) -> bool {
    accept.split(|byte| *byte == b',').any(|range| MediaType::of(range).is_page())
}

/// Whether a `Content-Encoding` leaves a body as it is.
pub fn is_identity(content_encoding: &[u8]) -> bool {
    let encoding = content_encoding.trim_ascii();
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
}

fn ends_with(text: &[u8], suffix: &[u8]) -> bool {
    let start = text.len().checked_sub(suffix.len());
    start.is_some_and(|start| text[start..].eq_ignore_ascii_case(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_without_case_blanks_and_parameters() {
        for (content_type, is_json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            (" application/vnd.api+JSON ;v=1", true),
            ("application/problem+json", true),
            ("application/jsonl", false),
            ("application/json-seq", false),
            ("multipart/form-data; boundary=+json", false),
            ("json", false),
            ("+json", false),
            ("", false),
        ] {
            assert_eq!(MediaType::of(content_type.as_bytes()).is_json(), is_json, "{content_type}");
        }
        let events = MediaType::of(b" Text/Event-Stream ;charset=utf-8");
        assert!(events.is("text/event-stream") && events.is_of("text") && !events.is_of("tex"));
        assert!(!MediaType::of(b"multipart").is_of("multipart"), "that is no type");
    }

    #[test]
    fn grpc_has_many_kinds_of_messages_and_is_not_its_cousin_for_browsers() {
        for (content_type, is_grpc) in [
            ("application/grpc", true),
            ("application/GRPC+proto", true),
            ("application/grpc;v=1", true),
            ("application/grpc-web+proto", false),
            ("application/grpcs", false),
            ("", false),
        ] {
            assert_eq!(MediaType::of(content_type.as_bytes()).is_grpc(), is_grpc, "{content_type}");
        }
    }

    #[test]
    fn only_what_is_never_json_is_left_alone() {
        for (content_type, expected) in [
            ("application/json", true),
            ("application/vnd.api+json", true),
            ("application/x-www-form-urlencoded", true),
            ("text/plain;charset=UTF-8", true),
            ("application/octet-stream", true),
            ("", true),
            ("Multipart/Form-Data; boundary=x", false),
            ("audio/wav", false),
            ("application/grpc+proto", false),
        ] {
            assert_eq!(
                may_be_json(Some(content_type.as_bytes()), None),
                expected,
                "{content_type}"
            );
        }
        assert!(may_be_json(None, Some(b"identity")) && !may_be_json(None, Some(b"gzip")));
    }

    #[test]
    fn pages_are_asked_for_by_name() {
        for (accept, names) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/vnd.turbo-stream.html, Text/HTML ;q=0.9", true),
            ("application/json", false),
            ("text/event-stream, application/json", false),
            ("*/*", false),
            ("text/*", false),
            ("", false),
        ] {
            assert_eq!(names_page(accept.as_bytes()), names, "{accept}");
        }
    }

    #[test]
    fn identity_is_no_encoding() {
        assert!(is_identity(b"") && is_identity(b" Identity "));
        assert!(!is_identity(b"gzip") && !is_identity(b"identity, gzip"));
    }
}
