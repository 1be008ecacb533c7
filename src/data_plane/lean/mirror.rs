//! Copies a request that was sent, where its exchange has leave to.
//!
//! All of it lies in the buffer, so it is copied right after it was written to the upstream: while that
//! works, the copy costs nobody any time.

use super::conversation::Conversation;
use super::render;
use crate::data_plane::exchange::head::RequestHead;
use crate::model::mirror::tap::{MirrorPermit, MirroredRequest};

impl Conversation {
    /// Offers a copy of the request at hand, edited for any upstream and not for one.
    pub(super) fn offer_copy(&self, permit: MirrorPermit) {
        let view = self.request.view(&self.input);
        let (head, body) = (self.request.head_bytes, self.request.body_bytes());
        let mut headers = Vec::new();
        render::each_field(view.fields, &[&self.edits], |name, value| {
            headers.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        });
        let request = MirroredRequest {
            method: view.method().to_owned(),
            path_and_query: String::from_utf8_lossy(view.target()).into_owned(),
            headers,
            body: self.input[head..head + body].to_vec(),
            arrived: permit.arrived(),
        };
        permit.offer(request);
    }
}
