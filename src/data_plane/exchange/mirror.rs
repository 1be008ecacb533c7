//! Whether a copy of the request is wanted, for a candidate that warms up.
//!
//! Asked once, when the head has come, and without a warm-up there is nobody to ask. Left out, whatever the
//! rule says: requests that name their environment (somebody wants to see just that one), a client's own
//! retries (a server in trouble would be sent twice as many), upgrades, and copies that another Cyan sends
//! (two that mirror to each other would never end).

use super::Exchange;
use super::head::{BodyLength, RequestHead};
use crate::model::header_id::HeaderId;
use crate::model::mirror::tap::{Asked, MirrorPermit};
use crate::model::routing_table::RoutingTable;

impl Exchange {
    /// Asks the tap of the service for leave to copy the request.
    pub(super) fn ask_tap(&mut self, head: &impl RequestHead, table: &RoutingTable) {
        let Some(tap) = &table.mirror else { return };
        let is_copy = head.first(HeaderId::X_CYAN_MIRROR).is_some();
        if self.is_forced || self.is_client_retry || self.is_upgrade || is_copy {
            return;
        }
        let announced = match head.body_length() {
            BodyLength::Empty => Some(0),
            BodyLength::Known(length) => Some(length),
            BodyLength::Unknown => None,
        };
        let draw = self.recorder.random();
        let asked = Asked { method: head.method(), path: head.path(), announced, draw };
        self.mirror = tap.wants(asked, self.began);
    }

    /// Leave to copy the request, once; `None` for nearly all. The engine offers the copy when the whole
    /// body has come, and never waits with the request itself.
    pub fn take_permit(&mut self) -> Option<MirrorPermit> {
        self.mirror.take()
    }
}
