//! How the events of an answer are laid out: as its head says, unless its first byte shows otherwise.
//!
//! Some servers and gateways keep the `Content-Type` of a stream on an error in plain JSON, and some the
//! other way round. The first byte tells: no JSON begins with a letter of a stream's field, and no stream
//! with a bracket. Everything else is taken for what its head says, until one JSON follows another on a line
//! of its own: `FastAPI`'s `StreamingResponse` sends lines as `application/json`, if it is told so.

use crate::model::media_type::MediaType;

/// How events are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    EventStream,
    /// One JSON on each line.
    Lines,
    /// One JSON.
    Document,
}

impl Form {
    /// The form that a `Content-Type` stands for, if it is one that is read.
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let named = MediaType::of(content_type);
        let is_one_of = |names: [&str; 3]| names.into_iter().any(|name| named.is(name));
        if named.is("text/event-stream") {
            Some(Self::EventStream)
        } else if is_one_of(["application/x-ndjson", "application/ndjson", "application/jsonl"]) {
            Some(Self::Lines)
        } else if named.is_json() {
            Some(Self::Document)
        } else {
            None
        }
    }

    /// The form that a body has which begins with this byte.
    #[must_use]
    pub fn shown_by(self, first: u8) -> Self {
        match (self, first) {
            (Self::EventStream, b'{' | b'[') => Self::Document,
            // `data`, `event`, `id`, `retry`, or a comment.
            (Self::Document | Self::Lines, b'd' | b'e' | b'i' | b'r' | b':') => Self::EventStream,
            (form, _) => form,
        }
    }

    /// Whether it brings several events, one after the other.
    pub fn is_stream(self) -> bool {
        self != Self::Document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_tells_the_form() {
        for (content_type, form) in [
            ("text/event-stream", Some(Form::EventStream)),
            ("Text/Event-Stream; charset=utf-8", Some(Form::EventStream)),
            ("application/x-ndjson", Some(Form::Lines)),
            ("application/jsonl", Some(Form::Lines)),
            ("application/json ;charset=utf-8", Some(Form::Document)),
            ("application/problem+json", Some(Form::Document)),
            ("application/jsonp", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Form::of(content_type.as_bytes()), form, "{content_type}");
        }
    }
}
