//! How the events of an answer are laid out: as its head says, unless its first byte shows otherwise.
//!
//! Some servers and gateways keep the `Content-Type` of a stream on an error in plain JSON, and some the
//! other way round. The first byte tells: no JSON begins with a letter of a stream's field, and no stream
//! with a bracket. Everything else is taken for what its head says.

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
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
        if is("text/event-stream") {
            Some(Self::EventStream)
        } else if is("application/x-ndjson") || is("application/ndjson") || is("application/jsonl")
        {
            Some(Self::Lines)
        } else if is("application/json") || has_json_suffix(essence) {
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

/// A type such as `application/problem+json`.
fn has_json_suffix(essence: &[u8]) -> bool {
    essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case(b"+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_compared_without_case_and_parameters() {
        for (content_type, form) in [
            ("text/event-stream", Some(Form::EventStream)),
            ("Text/Event-Stream; charset=utf-8", Some(Form::EventStream)),
            ("application/x-ndjson", Some(Form::Lines)),
            ("application/jsonl", Some(Form::Lines)),
            ("application/json ;charset=utf-8", Some(Form::Document)),
            ("application/problem+json", Some(Form::Document)),
            ("application/jsonp", None),
            ("text/html", None),
            ("+json", None),
            ("", None),
        ] {
            assert_eq!(Form::of(content_type.as_bytes()), form, "{content_type}");
        }
    }
}
