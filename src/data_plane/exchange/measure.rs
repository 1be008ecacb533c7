//! What is measured of an answer while it passes, and what counts at once.
//!
//! Two clocks run beside each other: the one of bytes, which `Phase::Answering` keeps, and the one of
//! content. Pings and comments move the first and not the second. Time in which the client did not take
//! what there was is nobody's gap: it is taken out of the clock of content.

use std::time::{Duration, Instant};

use super::head::{RequestHead, ResponseHead};
use super::{Exchange, Place};
use crate::inspect::answer::{AnswerHead, AnswerScan, BrokenOff, Conclusion};
use crate::model::answer::Inspection;
use crate::model::api::Api;
use crate::model::body_end::BodyEnd;
use crate::model::header_id::HeaderId;
use crate::model::media_type::{self, MediaType};
use crate::model::progress::StreamGuard;
use crate::model::verdict::Verdict;

/// A client that takes so long makes the upstream's own silence look longer by something that matters.
const CLIENT_TOOK_LONG: Duration = Duration::from_secs(1);

/// What is known of an answer's words so far.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one answer")]
#[derive(Default)]
pub(super) struct Measured {
    /// What the path asks for.
    pub(super) api: Api,
    /// It asks for a page for people: a form does, an SDK does not.
    accepts_page: bool,
    /// The answer is a page that was not asked for.
    is_page: bool,
    /// Reads the answer; in a box, because most of an exchange's life there is none.
    scan: Option<Box<AnswerScan>>,
    pub(super) inspection: Inspection,
    pub(super) is_stream: bool,
    /// It speaks in words that nobody here knows, so none of them can be called its first.
    is_foreign: bool,
    /// Who gives this answer was noted, for those who go on with it.
    is_maker_noted: bool,
    first_content: Option<Instant>,
    last_content: Option<Instant>,
    /// The last content, moved on by the time that the client was waited for since.
    content_clock: Option<Instant>,
    /// No more content is to come, as far as the stream has said.
    is_finished: bool,
    /// How long the client was waited for, until it took what there was.
    pub(super) client_waited: Duration,
    /// Counts the stream for its upstream until its terminator or the end of its body: what only says why
    /// it stops may go on, as one choice of several does. A server that leaves the body open after the
    /// terminator owes no more content.
    pub(super) stream: Option<StreamGuard>,
    pub(super) gap_max: Option<Duration>,
    /// What the answer came to.
    pub(super) conclusion: Option<Conclusion>,
}

impl Measured {
    /// What a request asks for.
    pub(super) fn asked(&mut self, head: &impl RequestHead) {
        self.api = Api::of(head.method(), head.path());
        self.accepts_page = self.api.generates()
            && head.first(HeaderId::ACCEPT).is_some_and(media_type::names_page);
    }

    /// When a stream in which nothing more happens counts as stalled, or has taken too long to begin.
    /// `first_content` is the limit where content was promised.
    pub(super) fn limits(
        &self,
        began: Instant,
        first_content: Option<Duration>,
        stalled: Option<Duration>,
    ) -> ContentLimits {
        let mut limits = ContentLimits::default();
        if !self.is_stream || self.is_finished {
            return limits;
        }
        match self.content_clock {
            Some(since) => limits.stalls_at = stalled.map(|limit| since + limit),
            None if self.is_foreign => {}
            None => limits.has_to_begin_by = first_content.map(|limit| began + limit),
        }
        limits
    }

    /// Whether there was any content, of a stream.
    pub(super) fn has_content(&self) -> bool {
        self.first_content.is_some()
    }

    /// Request head to first content.
    pub(super) fn ttft(&self, began: Instant) -> Option<Duration> {
        self.first_content.map(|at| at.saturating_duration_since(began))
    }

    /// Whether content has come, of a stream.
    pub(super) fn is_streaming(&self) -> bool {
        self.is_stream && self.first_content.is_some()
    }

    /// Time per output token after the first: of the stream, not of the network's pieces.
    pub(super) fn tpot(&self) -> Option<Duration> {
        let tokens = self.conclusion?.tokens.output?;
        let after_first = u32::try_from(tokens.checked_sub(1)?).ok().filter(|count| *count > 0)?;
        let (first, last) = (self.first_content?, self.last_content?);
        Some(last.saturating_duration_since(first) / after_first)
    }

    /// The client was waited for this long, until now.
    pub(super) fn client_took(&mut self, time: Duration, now: Instant) {
        self.client_waited += time;
        if let Some(clock) = &mut self.content_clock {
            *clock += time;
        }
        if let Some(stream) = self.stream.as_ref().filter(|_| time >= CLIENT_TOOK_LONG) {
            stream.client_took_long(now);
        }
    }

    /// What can still be said in an answer that breaks off here.
    pub(super) fn broken_off(&self) -> Option<BrokenOff> {
        self.scan.as_ref()?.broken_off()
    }

    fn conclude(&mut self, end: BodyEnd) -> Option<Conclusion> {
        if let Some(mut scan) = self.scan.take() {
            let conclusion = scan.conclude(end);
            self.inspection = conclusion.inspection;
            self.conclusion = Some(conclusion);
        }
        self.conclusion
    }
}

/// Limits on silence in a stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ContentLimits {
    /// From here on it counts as stalled.
    pub(super) stalls_at: Option<Instant>,
    /// From here on it is broken off.
    pub(super) has_to_begin_by: Option<Instant>,
}

impl Exchange {
    /// Looks at the head of an answer: is there anything to read in it?
    pub(super) fn begin_measuring(&mut self, head: &impl ResponseHead) {
        if !self.is_inspected() || self.status == 204 || self.is_head {
            return;
        }
        let content_type = head.first(HeaderId::CONTENT_TYPE);
        let is_page = content_type.is_some_and(|kind| MediaType::of(kind).is_page());
        self.measured.is_page = is_page && !self.measured.accepts_page;
        let scan = AnswerScan::of(&AnswerHead {
            content_type,
            content_encoding: head.first(HeaderId::CONTENT_ENCODING),
            api: self.promised(),
        });
        match scan {
            Ok(scan) => {
                self.measured.is_stream = scan.is_stream();
                if let Some(Place { upstream: Some((upstream, _)), .. }) = &self.place
                    && scan.is_stream()
                    && self.promised().generates()
                {
                    self.measured.stream = Some(upstream.stream_opened());
                }
                self.measured.scan = Some(Box::new(scan));
            }
            Err(why) => self.measured.inspection = why,
        }
    }

    /// What its answer has to bring. A 202 says that the request was taken and promises nothing: the SSE
    /// transport of MCP answers every `POST …/messages` with one, and the words come on another stream.
    pub(super) fn promised(&self) -> Api {
        if self.status == 202 { Api::Other } else { self.measured.api }
    }

    /// Whether its answer is judged by its words: one that is not 2xx is by its status.
    fn is_inspected(&self) -> bool {
        let is_wanted = self.environment().is_some_and(|environment| environment.spec.inspect);
        is_wanted && (200..300).contains(&self.status)
    }

    /// Reads a piece of an answer.
    pub(super) fn measure(&mut self, data: &[u8], now: Instant) {
        let Some(scan) = &mut self.measured.scan else { return };
        let passed = scan.push(data);
        if let (false, Some(answer), Some(place)) =
            (self.measured.is_maker_noted, scan.response_id(), &self.place)
        {
            self.recorder.conversations.note(answer, place.environment.id);
            self.measured.is_maker_noted = true;
        }
        // The first byte may show that the head said the wrong thing.
        self.measured.is_stream = scan.is_stream();
        self.measured.is_foreign = scan.is_foreign();
        self.measured.is_finished = passed.is_finished;
        if let Some(stream) = self.measured.stream.as_mut().filter(|_| passed.foreign_events > 0) {
            stream.content_seen(now); // its engine works on something
        }
        if passed.content_events > 0 && self.measured.is_stream {
            self.content_came(passed.content_events, now);
        }
        if passed.has_ended {
            self.measured.stream = None;
        }
        if passed.has_failed {
            self.judge_now(Verdict::ErrorInBand, now);
        }
    }

    fn content_came(&mut self, events: u32, now: Instant) {
        let measured = &mut self.measured;
        if let Some(since) = measured.content_clock {
            let gap = now.saturating_duration_since(since);
            measured.gap_max = measured.gap_max.max(Some(gap));
            self.count_gap(gap);
        } else {
            measured.first_content = Some(now);
            self.mark_first_content(now);
        }
        // What comes in one piece came at one time.
        (1..events).for_each(|_| self.count_gap(Duration::ZERO));
        if let Some(stream) = &mut self.measured.stream {
            stream.content_seen(now);
        }
        self.measured.content_clock = Some(now);
        self.measured.last_content = Some(now);
    }

    fn count_gap(&self, gap: Duration) {
        // A request that was handed over says nothing of the speed of its own environment.
        if let (None, Some(place)) = (&self.counted_for, &self.place) {
            self.recorder.gap(place.environment.id, gap);
        }
    }

    /// Gives the exchange its verdict while it is still open, and counts it: whoever decides about more
    /// traffic must not wait for the end of a stream that has failed already.
    pub(super) fn judge_now(&mut self, verdict: Verdict, now: Instant) {
        let (None, Some(counted)) = (self.verdict, self.counted()) else { return };
        self.verdict = Some(verdict);
        self.is_verdict_counted = true;
        self.recorder.judged(counted, verdict);
        self.mark_judged(verdict, now);
    }

    /// The verdict of an answer that ended so.
    pub(super) fn verdict_of(&mut self, end: BodyEnd) -> Verdict {
        let concluded = self.measured.conclude(end);
        self.measured.stream = None;
        if self.is_failed_by_status() {
            return Verdict::HttpError;
        }
        if self.is_grpc {
            return self.grpc_verdict(end);
        }
        match (concluded, end) {
            (Some(conclusion), _) => conclusion.verdict,
            (None, BodyEnd::Whole) if self.is_without_a_word() => Verdict::Empty,
            (None, BodyEnd::Whole) => Verdict::Complete,
            (None, BodyEnd::Cut) => Verdict::Truncated,
            (None, BodyEnd::Reset) => Verdict::AbortedByServer,
        }
    }

    fn is_failed_by_status(&self) -> bool {
        self.measured.api.is_failed_by(self.status)
    }

    /// Whether something was to be generated, and no byte of it came: a 204, a body of length 0, or a page
    /// for people (a login, the start page of an application, a word of an ingress).
    fn is_without_a_word(&self) -> bool {
        let says_nothing = self.response_bytes == 0 || self.measured.is_page;
        self.promised().generates() && says_nothing && self.is_inspected()
    }

    /// The verdict of an exchange whose end nobody told of: the client went away.
    pub(super) fn verdict_of_leaving(&mut self) -> Verdict {
        self.verdict_so_far().unwrap_or(Verdict::ClientGone)
    }

    /// The verdict of an answer that comes to no end of its own, as far as it is known: whoever breaks it
    /// off cannot make it better or worse. Clients do not wait for what comes after a stream's last word,
    /// so one that had it has a whole answer.
    pub(super) fn verdict_so_far(&mut self) -> Option<Verdict> {
        let concluded = self.measured.conclude(BodyEnd::Cut).map(|conclusion| conclusion.verdict);
        if self.tunnel.is_some() {
            return self.verdict_of_close();
        }
        if self.is_failed_by_status() {
            return Some(Verdict::HttpError);
        }
        // Whatever its status says of the call, nothing comes after it.
        let by_grpc = self.grpc_status.map(|_status| self.grpc_verdict(BodyEnd::Whole));
        by_grpc.or(concluded.filter(|verdict| *verdict != Verdict::Truncated))
    }
}
