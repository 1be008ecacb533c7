//! Whether the model's name in a request's body is replaced on its way.
//!
//! Only in JSON, and only where it can be read: a compressed body passes as it is, and so does a form.
//! Asked anew for each attempt, so that a request that another environment serves gets that one's name.

use super::Exchange;
use super::head::RequestHead;
use crate::inspect::model_edit::ModelEdit;
use crate::model::header_id::HeaderId;

impl Exchange {
    /// The edit of the body for the environment that was entered; `None` when it passes as it is.
    pub fn model_edit(&self, head: &impl RequestHead) -> Option<ModelEdit> {
        let names = &self.environment()?.spec.models;
        let is_edited = !names.is_empty()
            && !self.is_upgrade
            && head.first(HeaderId::CONTENT_TYPE).is_none_or(is_json)
            && head.first(HeaderId::CONTENT_ENCODING).is_none_or(is_identity);
        is_edited.then(|| ModelEdit::new(names.clone()))
    }
}

/// `application/json`, `application/vnd.api+json`, with parameters or without.
fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let media_type = media_type.trim_ascii();
    let suffix = media_type.len().checked_sub(b"+json".len()).map(|at| &media_type[at..]);
    media_type.is_empty()
        || media_type.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

fn is_identity(encoding: &[u8]) -> bool {
    let encoding = encoding.trim_ascii();
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_media_type() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            (" application/vnd.api+json ;v=1", true),
            ("", true),
            ("application/jsonl", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=+json", false),
            ("json", false),
        ] {
            assert_eq!(is_json(content_type.as_bytes()), expected, "{content_type}");
        }
        assert!(is_identity(b"Identity") && !is_identity(b"gzip"));
    }
}
