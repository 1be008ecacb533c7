//! Whether the model's name in a request's body is replaced on its way.
//!
//! Only where it can be read: a compressed body passes as it is, and so does one whose type is never JSON.
//! Asked anew for each attempt, so that a request that another environment serves gets that one's name.

use super::Exchange;
use super::head::RequestHead;
use crate::inspect::model_edit::ModelEdit;
use crate::model::header_id::HeaderId;
use crate::model::media_type;

impl Exchange {
    /// The edit of the body for the environment that was entered; `None` when it passes as it is.
    pub fn model_edit(&self, head: &impl RequestHead) -> Option<ModelEdit> {
        let names = &self.environment()?.spec.models;
        let is_edited = !names.is_empty()
            && !self.is_upgrade
            && media_type::may_be_json(
                head.first(HeaderId::CONTENT_TYPE),
                head.first(HeaderId::CONTENT_ENCODING),
            );
        is_edited.then(|| ModelEdit::new(names.clone()))
    }
}
