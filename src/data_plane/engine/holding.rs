//! Waits for a body that is about to be edited, so that its new length can be told.
//!
//! Some servers want a length, and every server reads a request's body before it generates: so a body
//! of modest length may as well be read here first. One that is longer, or announces none, goes on while
//! it comes.

use std::rc::Rc;

use http::request;

use super::heads::HyperRequest;
use super::serve::Serving;
use super::upload::{REPLAY_BYTES_MAX, RequestBody};
use crate::data_plane::exchange::Refusal;
use crate::data_plane::exchange::head::BodyLength;

impl Serving {
    /// Reads the body ahead, if its environment edits it and it fits what may be held. Tells whether
    /// anything was waited for.
    pub(super) async fn hold_for_edit(
        &self,
        parts: &request::Parts,
        body: Option<&Rc<RequestBody>>,
    ) -> Result<bool, Refusal> {
        let Some(body) = body else { return Ok(false) };
        let fits = body.announced().is_some_and(|length| length <= REPLAY_BYTES_MAX as u64);
        if !fits || !self.is_body_edited(parts) {
            return Ok(false);
        }
        while !body.is_ended() {
            match self.flight.wait(body.read_ahead()).await {
                Ok(Some(Ok(_piece))) => {}
                // Nothing more comes, or there is no room: then it goes on without a length.
                Ok(None | Some(Err(_))) => break,
                Err(_due) => self.on_due()?,
            }
        }
        match body.refusal() {
            Some(refusal) => Err(self.flight.with(|exchange| exchange.on_request_broken(refusal))),
            None => Ok(true),
        }
    }

    fn is_body_edited(&self, parts: &request::Parts) -> bool {
        let forge = &self.core.engine.forge;
        let head = HyperRequest { parts, body: BodyLength::Unknown, forge };
        self.flight.note(|exchange| exchange.model_edit(&head).is_some())
    }
}
