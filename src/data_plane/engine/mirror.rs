//! Copies a request while it passes, where its exchange has leave to.
//!
//! The pieces of the body are noted as the client sends them, from where it is known to go on, so that an
//! attempt that fails or a replay changes nothing in the copy. Whatever keeps the body from coming whole
//! drops the copy, and its permit with it.

use std::rc::Rc;

use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::request;

use super::serve::Serving;
use super::upload::RequestBody;
use crate::data_plane::exchange::Exchange;
use crate::model::mirror::tap::{MirrorPermit, MirroredRequest};

/// A copy that is being made.
#[derive(Debug)]
pub struct Copying {
    permit: MirrorPermit,
    request: MirroredRequest,
}

impl Serving {
    /// Begins the copy of a request that goes on; one that is here whole is offered at once. The head has been
    /// edited for any upstream, and not yet for one.
    pub(super) fn begin_copy(&self, parts: &request::Parts, body: Option<&Rc<RequestBody>>) {
        let Some(permit) = self.flight.note(Exchange::take_permit) else { return };
        let copying = Copying::begin(permit, parts);
        match body {
            Some(body) => body.copy_into(copying),
            None => copying.offer(),
        }
    }
}

impl Copying {
    fn begin(permit: MirrorPermit, parts: &request::Parts) -> Self {
        let is_copied =
            |name: &&http::HeaderName| ![CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT].contains(*name);
        let headers = parts.headers.iter().filter(|(name, _)| is_copied(name));
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let target = parts.uri.path_and_query();
        let request = MirroredRequest {
            method: parts.method.to_string(),
            path_and_query: target.map_or_else(|| "/".to_owned(), ToString::to_string),
            headers: headers.collect(),
            body: Vec::new(),
            arrived: permit.arrived(),
        };
        Self { permit, request }
    }

    /// Takes a piece of the body; `None` when that makes it too long to be copied.
    pub fn push(mut self, piece: &[u8]) -> Option<Self> {
        let length = self.request.body.len() + piece.len();
        if length as u64 > self.permit.body_max() {
            self.permit.too_long();
            return None;
        }
        self.request.body.extend_from_slice(piece);
        Some(self)
    }

    /// The body has come whole.
    pub fn offer(self) {
        self.permit.offer(self.request);
    }
}
