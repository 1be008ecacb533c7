//! The way in: is the request in order, whose is it, which environment does it enter?

use std::sync::Arc;
use std::time::Duration;

use super::conversation::Search;
use super::edits::Edits;
use super::head::{BodyLength, RequestHead};
use super::key::{self, KeyInHead};
use super::{Exchange, Next, Refusal, access, compared, forwarded, route, sanity, strip, trace};
use crate::metrics::cohort::Mark;
use crate::model::header_id::HeaderId;
use crate::model::routing_table::RoutingTable;
use crate::model::service::ServiceSpec;
use crate::model::snapshot::Snapshot;
use crate::model::sticky::StickyKey;

/// A body of known length goes on when so much of it is here, or all of it: until then a slow client has no place
/// in an environment, and no connection to an upstream.
const FIRST_BYTES: u64 = 16 * 1024;
/// One request in so many is looked at for keys that carry too much of the traffic.
const KEYS_LOOKED_AT: u64 = 4;

impl Exchange {
    /// Decides on a request by its head. Writes into `edits` what changes on the way to any upstream.
    pub fn on_request(
        &mut self,
        head: &impl RequestHead,
        snapshot: &Snapshot,
        edits: &mut Edits,
    ) -> Next {
        match self.admit(head, snapshot, edits) {
            Ok(next) => next,
            Err(refusal) => Next::Reply(self.refuse(refusal)),
        }
    }

    fn admit(
        &mut self,
        head: &impl RequestHead,
        snapshot: &Snapshot,
        edits: &mut Edits,
    ) -> Result<Next, Refusal> {
        #[cfg(debug_assertions)]
        super::fault::strike(head.path());
        self.request_id = access::RequestId::of(head, self.unique, self.recorder.random());
        sanity::check(head)?;
        sanity::check_certificate(head, self.peer.hosts.as_deref())?;
        if head.path() == "*" {
            self.refused = Some("options");
            return Ok(Next::Options);
        }
        let table = service_for(head, snapshot)?;
        let service = &table.service;
        self.body_bytes_max = service.body_bytes_max(head.path());
        sanity::check_length(head, self.body_bytes_max)?;
        self.service = Some(Arc::clone(service));
        self.client = forwarded::client_address(head, &self.peer);
        if self.recorder.is_logging() {
            self.target = Some(Box::new((head.method().to_owned(), head.path().to_owned())));
            self.trace = trace::sent(head);
        }
        self.check_rate(head, service)?;
        self.is_idempotent = is_idempotent(head.method());
        self.is_head = head.method() == "HEAD";
        self.is_client_retry = compared::is_client_retry(head);
        self.is_compared = compared::is_compared(head);
        self.measured.asked(head);
        self.edit_request(head, service, edits);
        if let Some(environment) = route::forced(head, table, self.client)? {
            self.is_forced = true;
            self.key = Some(StickyKey::without(self.unique));
            return self.enter(table, &environment);
        }
        self.ask_tap(head, table);
        let answer = self.follow(head, table);
        let first = first_bytes(head);
        let is_in_head = answer.is_none() && first == 0;
        let (key, otherwise) = match key::in_head(head, &service.sticky, self.client) {
            KeyInHead::Found(key) if is_in_head => return self.choose(table, key),
            KeyInHead::Missing if is_in_head => return self.choose_without_key(table),
            KeyInHead::Found(key) => (None, Some(key)),
            KeyInHead::Missing => (None, None),
            KeyInHead::InBody { scan, sources, otherwise } => (Some((scan, sources)), otherwise),
        };
        let left = service.sticky.body_bytes_max as usize;
        let search = Search { key, answer, otherwise, left, first, is_settled: false };
        let wanted = self.search.insert(search).push(&[]);
        Ok(Next::NeedBody(wanted))
    }

    /// What changes whatever environment it goes to.
    fn edit_request(&mut self, head: &impl RequestHead, service: &ServiceSpec, edits: &mut Edits) {
        self.is_upgrade = strip::is_websocket(head);
        strip::request(head, &self.peer, &service.headers, service.force.as_ref(), edits);
        if self.is_upgrade {
            strip::restore_websocket(edits);
        }
        forwarded::edit(head, &self.peer, edits);
        if self.request_id.is_ours() {
            edits.set(service.headers.request_id, &[self.request_id.as_bytes()]);
        }
        if let Some(authority) = head.authority() {
            edits.set(HeaderId::HOST, &[authority.as_bytes()]);
        }
        if let Some(share) = self.recorder.trace_share() {
            self.trace = Some(trace::join(head, self.unique, share, &self.recorder, edits));
        }
    }

    /// The next bytes of the body, before an environment is chosen; an error when it cannot be read further,
    /// with the reason why as a metric label.
    pub fn on_body_prefix(
        &mut self,
        piece: Result<&[u8], &'static str>,
        is_end: bool,
        snapshot: &Snapshot,
    ) -> Next {
        let Some(search) = &mut self.search else { return Next::Route };
        let missed = match piece {
            Ok(piece) => {
                let wanted = search.push(piece);
                if !is_end && wanted > 0 {
                    return Next::NeedBody(wanted);
                }
                if search.is_settled || is_end { "absent" } else { "body_too_long" }
            }
            Err(_) if search.is_settled => "absent",
            Err(reason) => reason,
        };
        let found = search.found();
        if search.key.is_some() && found.is_none() {
            self.recorder.key_missed(missed);
        }
        self.follows = search.named().or(self.follows);
        let key = found.or(search.otherwise);
        self.search = None;
        let chosen = match self.table(snapshot) {
            None => Err(Refusal::Draining), // the service went away while the body came
            Some(table) => match key {
                Some(key) => self.choose(table, key),
                None => self.choose_without_key(table),
            },
        };
        match chosen {
            Ok(next) => next,
            Err(refusal) => Next::Reply(self.refuse(refusal)),
        }
    }

    fn choose_without_key(&mut self, table: &RoutingTable) -> Result<Next, Refusal> {
        let random = self.recorder.random();
        if table.service.sticky.set_cookie.is_none() {
            return self.choose(table, StickyKey::without(random));
        }
        self.new_cookie = Some(random);
        let cookie = access::hex(random);
        let key = StickyKey { source: None, ..StickyKey::of(&cookie, key::COOKIE_SOURCE) };
        self.choose(table, key)
    }

    pub(super) fn choose(&mut self, table: &RoutingTable, key: StickyKey) -> Result<Next, Refusal> {
        let is_first = self.key.replace(key).is_none();
        if is_first && self.unique.is_multiple_of(KEYS_LOOKED_AT) {
            self.recorder.key_seen(&table.service.name, key);
        }
        if let Some(maker) = self.maker(table) {
            (self.cohort, self.noted_from) = (None, None);
            return self.enter(table, maker);
        }
        let environment = &table.environments[table.choose(key.hash)];
        self.cohort = self.is_compared.then_some(environment.id);
        if let Some(cohort) = self.cohort {
            self.noted_from = self.recorder.noted_from(cohort);
            self.mark_at(cohort, Mark::Began, Duration::ZERO);
        }
        self.enter(table, environment)
    }
}

/// The service that answers to the host and path of a request.
fn service_for<'s>(
    head: &impl RequestHead,
    snapshot: &'s Snapshot,
) -> Result<&'s Arc<RoutingTable>, Refusal> {
    if let Some(table) = snapshot.only_catch_all() {
        return Ok(table);
    }
    let host = sanity::host(head);
    snapshot.route(&host, head.path()).ok_or(Refusal::UnknownHost(host))
}

/// How much of its body has to come before an environment is chosen. Who tells no length may want to be
/// answered while sending, and who expects `100 Continue` wants to be let in before.
fn first_bytes(head: &impl RequestHead) -> usize {
    match head.body_length() {
        BodyLength::Known(length) if !head.has_body() && head.first(HeaderId::EXPECT).is_none() => {
            usize::try_from(length.min(FIRST_BYTES)).unwrap_or_default()
        }
        _ => 0,
    }
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}
