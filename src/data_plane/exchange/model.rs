//! Whether the model's name in a request's body is replaced on its way.
//!
//! Only where it can be read: a compressed body passes as it is. What type the body says it has means
//! little: curl sends JSON as a form unless told otherwise, browsers as plain text, and servers read it
//! all the same. So only types that are never JSON are left alone, and of all others the first byte tells.
//! Asked anew for each attempt, so that a request that another environment serves gets that one's name.

use super::Exchange;
use super::head::RequestHead;
use crate::inspect::model_edit::ModelEdit;
use crate::model::header_id::HeaderId;
use crate::model::media_type::{self, MediaType};

/// Kinds of bodies that are never JSON. Large ones keep their length, since nothing in them is edited.
const NEVER_JSON: [&str; 5] = ["multipart", "audio", "image", "video", "font"];

impl Exchange {
    /// The edit of the body for the environment that was entered; `None` when it passes as it is.
    pub fn model_edit(&self, head: &impl RequestHead) -> Option<ModelEdit> {
        let names = &self.environment()?.spec.models;
        let is_edited = !names.is_empty()
            && !self.is_upgrade
            && head.first(HeaderId::CONTENT_TYPE).is_none_or(may_be_json)
            && head.first(HeaderId::CONTENT_ENCODING).is_none_or(media_type::is_identity);
        is_edited.then(|| ModelEdit::new(names.clone()))
    }
}

fn may_be_json(content_type: &[u8]) -> bool {
    let named = MediaType::of(content_type);
    !named.is_grpc() && !NEVER_JSON.iter().any(|kind| named.is_of(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(may_be_json(content_type.as_bytes()), expected, "{content_type}");
        }
    }
}
