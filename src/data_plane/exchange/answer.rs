//! The way back: what changes in the answer, and how it ends.

use std::time::Instant;

use super::edits::Edits;
use super::head::{Headers, ResponseHead};
use super::last_words::Cause;
use super::{BodyEnd, Exchange, Phase, Place, Refusal, access, grpc, strip};
use crate::model::header_id::HeaderId;
use crate::model::service::HeaderNames;
use crate::model::verdict::Verdict;

impl Exchange {
    /// The head of the answer. Writes into `edits` what changes on the way to the client.
    pub fn on_response(&mut self, head: &impl ResponseHead, edits: &mut Edits, now: Instant) {
        self.status = head.status();
        self.head_after = Some(now.saturating_duration_since(self.began));
        self.phase = Phase::Answering { since: now, waits_for_client: false };
        self.keep_alive = access::keep_alive_timeout(head);
        self.is_grpc = grpc::is_grpc(head);
        if self.is_grpc {
            self.grpc_status = grpc::status_in(head);
        } else {
            self.begin_measuring(head);
            self.allow_last_words(head);
        }
        if let Some(Place { upstream: Some((upstream, _)), .. }) = &self.place {
            upstream.answered(now);
        }
        if let Some(service) = &self.service {
            strip::response(head, &service.headers, edits);
        }
        self.edit_answer(edits);
    }

    /// What changes in an interim answer on its way to the client.
    pub fn edit_interim(&self, head: &impl Headers, edits: &mut Edits) {
        strip::response(head, &self.header_names(), edits);
    }

    /// The headers that every answer carries, Cyan's own included.
    pub fn edit_answer(&self, edits: &mut Edits) {
        let defaults;
        let (names, service) = if let Some(service) = &self.service {
            (&service.headers, Some(service))
        } else {
            defaults = HeaderNames::default();
            (&defaults, None)
        };
        edits.set(names.request_id, &[self.request_id.as_bytes()]);
        let (Some(service), Some(place)) = (service, &self.place) else { return };
        let environment = place.environment.name().as_str().as_bytes();
        edits.set(names.deployment, &[environment]);
        let (service_name, unique) = (service.name.as_str().as_bytes(), access::hex(self.unique));
        let mut digits = [0; access::DIGITS_MAX];
        let rollout = access::decimal(self.rollout, &mut digits);
        let id: [&[u8]; 7] = [service_name, b".", environment, b".", rollout, b".", &unique];
        edits.set(names.exchange, &id);
        if let (Some(value), Some(cookie)) = (self.new_cookie, &service.sticky.set_cookie) {
            let seconds = cookie.max_age.as_secs().to_string();
            let rest =
                [b"; Path=/; Max-Age=", seconds.as_bytes(), b"; HttpOnly; SameSite=Lax"].concat();
            let value = access::hex(value);
            edits.append(HeaderId::SET_COOKIE, &[cookie.name.as_bytes(), b"=", &value, &rest]);
        }
    }

    /// A piece of the request body went on to the upstream; `is_last` says whether it was the end.
    pub fn on_request_data(&mut self, piece: &[u8], is_last: bool, now: Instant) {
        self.request_bytes += piece.len() as u64;
        self.note_asked(piece, is_last, now);
    }

    /// Bytes of the answer came from the upstream and are about to be written to the client, which has
    /// taken those before.
    pub fn on_response_data(&mut self, data: &[u8], now: Instant) {
        self.on_client_took(self.offered, now);
        self.offered += data.len() as u64;
        self.response_bytes += data.len() as u64;
        self.phase = Phase::Answering { since: now, waits_for_client: true };
        self.measure(data, now);
    }

    /// Nothing more of the answer comes, and the client has yet to take what came before. The end is told when
    /// it has; how it came about cannot change until then.
    pub fn on_response_over(&mut self, end: BodyEnd) {
        let verdict = self.judge_end(end);
        self.settle(verdict);
    }

    /// The answer ended.
    pub fn on_response_end(&mut self, end: BodyEnd, now: Instant) {
        let verdict = self.judge_end(end);
        let has_generated = matches!(verdict, Verdict::Complete | Verdict::Length);
        if let Some(Place { upstream: Some((upstream, _)), .. }) = &self.place
            && has_generated
            && self.measured.api.generates()
        {
            upstream.content_seen(now);
        }
        self.end(verdict, now);
    }

    /// The client sent more than it may, broke its own framing, or left in the middle.
    pub fn on_request_broken(&mut self, refusal: Refusal) -> Refusal {
        let has_left = refusal == Refusal::BodyCut;
        let verdict = if has_left { Verdict::ClientGone } else { Verdict::Shed };
        if self.head_after.is_none() {
            self.settle(verdict);
            return self.refuse(refusal);
        }
        // What the client has seen of an answer stays true.
        let verdict = self.verdict_so_far().unwrap_or(verdict);
        self.settle(verdict);
        self.refused = Some(refusal.reason());
        self.phase = Phase::Ended;
        refusal
    }

    /// The upstream's answer cannot be passed on.
    pub fn on_bad_answer(&mut self, refusal: Refusal) -> Refusal {
        self.settle(Verdict::AbortedByServer);
        self.refuse(refusal)
    }

    /// Cyan ends it: a drain's deadline has passed. Never a clean end for the client; what it has seen of
    /// an answer stays true.
    pub fn on_evicted(&mut self, now: Instant) -> Refusal {
        self.find_last_words(Cause::Draining);
        let verdict = self.verdict_so_far().unwrap_or(Verdict::Shed);
        self.end(verdict, now);
        if self.head_after.is_none() {
            return self.refuse(Refusal::Draining);
        }
        self.refused = Some(Refusal::Draining.reason());
        Refusal::Draining
    }
}
