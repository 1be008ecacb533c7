//! Requests that go on with an answer of the Responses API, and where they go.
//!
//! The answer is kept by who gave it, so such a request follows it: before its key, over switches and steps, and
//! without a place in the comparison, since it is the answer and not the split that chose its environment.
//! One whose maker is not known or has nobody left for it is chosen for as if it named none.

use std::sync::Arc;

use super::head::RequestHead;
use super::{Exchange, key};
use crate::inspect::json_key::JsonKeyScan;
use crate::model::api::Api;
use crate::model::environment::Environment;
use crate::model::response_id::ResponseId;
use crate::model::routing_table::RoutingTable;
use crate::model::sticky::{JsonPointer, StickyKey};

/// The field of a body that names the answer.
const PREVIOUS: &str = "previous_response_id";

/// What is looked for in the body before an environment is chosen: a sticky key, and the answer that it goes on
/// with; or just that its beginning comes.
pub(super) struct Search {
    /// For the key, and of each of its pointers the source's index.
    pub(super) key: Option<(JsonKeyScan, Vec<u8>)>,
    /// For the answer.
    pub(super) answer: Option<JsonKeyScan>,
    /// The key if the body has none.
    pub(super) otherwise: Option<StickyKey>,
    /// Bytes that may still be searched.
    pub(super) left: usize,
    /// Bytes that have to come first, whatever is found.
    pub(super) first: usize,
    /// Reading on cannot change what is found.
    pub(super) is_settled: bool,
}

impl Search {
    /// Reads the next bytes. Returns how many more are wanted.
    pub(super) fn push(&mut self, piece: &[u8]) -> usize {
        self.first = self.first.saturating_sub(piece.len());
        let searched = &piece[..piece.len().min(self.left)];
        self.left -= searched.len();
        let has_key = self.key.as_mut().is_none_or(|(scan, _)| scan.push(searched));
        let has_answer = self.answer.as_mut().is_none_or(|scan| scan.push(searched));
        self.is_settled = has_key && has_answer;
        if self.is_settled { self.first } else { self.left.max(self.first) }
    }

    /// The key in the body.
    pub(super) fn found(&self) -> Option<StickyKey> {
        let (scan, sources) = self.key.as_ref()?;
        scan.found().map(|(pointer, value)| StickyKey::of(value, sources[pointer]))
    }

    /// The answer that the body names.
    pub(super) fn named(&self) -> Option<ResponseId> {
        ResponseId::of(self.answer.as_ref()?.found()?.1)
    }
}

impl Exchange {
    /// Looks for the answer that a request goes on with: in its path at once; for one in its body, a scan.
    pub(super) fn follow(
        &mut self,
        head: &impl RequestHead,
        table: &RoutingTable,
    ) -> Option<JsonKeyScan> {
        if self.recorder.conversations.are_none() || table.environments.len() < 2 {
            return None;
        }
        self.follows = ResponseId::in_path(head.path());
        let may_name = self.measured.api == Api::Responses && key::is_json(head);
        let pointer = JsonPointer(vec![PREVIOUS.into()]);
        may_name.then(|| JsonKeyScan::new([pointer.0.as_slice()]))
    }

    /// The environment that gave the answer which it goes on with, if it is still to be asked.
    pub(super) fn maker<'t>(&self, table: &'t RoutingTable) -> Option<&'t Arc<Environment>> {
        let maker = self.recorder.conversations.maker(self.follows?)?;
        let environment = table.environments.iter().find(|environment| environment.id == maker)?;
        let now = self.began + self.upload_waited;
        let is_usable = || environment.upstreams.iter().any(|u| u.is_usable(now));
        (table.keeps_conversations(environment) && is_usable()).then_some(environment)
    }

    /// Whether it follows an answer to this environment, which may have no share of the traffic any more.
    pub(super) fn still_follows(&self, table: &RoutingTable, environment: &Environment) -> bool {
        self.maker(table).is_some_and(|maker| maker.id == environment.id)
    }
}
