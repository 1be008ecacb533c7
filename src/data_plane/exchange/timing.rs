//! How long an exchange may stay in each phase, and whose fault it is when it stays longer.

use std::time::{Duration, Instant};

use super::last_words::Cause;
use super::measure::ContentLimits;
use super::{Exchange, Refusal, Stage};
use crate::model::timeouts::Timeouts;
use crate::model::verdict::Verdict;

/// Where an exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its head was read; its body may be read before an environment is chosen.
    Choosing,
    /// It waits for a place in its environment.
    Queued {
        /// Since when.
        since: Instant,
    },
    /// A connection is being made.
    Connecting {
        /// Since when.
        since: Instant,
    },
    /// The client's body is awaited, while the request is being sent.
    Uploading {
        /// The last time that bytes came.
        since: Instant,
    },
    /// The request was written, the head of the answer is awaited.
    AwaitingHead {
        /// Since when.
        since: Instant,
    },
    /// The answer is passing.
    Answering {
        /// The last time that bytes came or were taken.
        since: Instant,
        /// The last bytes have not been taken by the client yet.
        waits_for_client: bool,
    },
    /// A tunnel.
    Tunnel {
        /// The last byte in either direction.
        since: Instant,
    },
    /// Over.
    Ended,
}

/// What to do when a deadline has passed.
#[derive(Debug, PartialEq, Eq)]
pub enum OnTime {
    /// Nothing; it was moved meanwhile.
    Nothing,
    /// Tell `on_upstream_failure` of this stage: the connection could not be made in time.
    Failed(Stage, String),
    /// Answer here.
    Reply(Refusal),
    /// Break the answer off, never as a clean end; `take_last_words` first.
    Abort,
}

/// A body may begin as slowly as it likes for this long.
const UPLOAD_GRACE: Duration = Duration::from_secs(10);
/// After that it has to bring so many bytes a second on average, or it would hold a slot of the model for
/// ever with a byte now and then.
const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 1024;
/// A client that is waited for has to take a piece of this length within `PIECE_TIME`. Time beyond it
/// adds up, over all of an answer, until `write_stall` is reached: a byte now and then, or an HTTP/2
/// window opened by one, must not hold a slot of the model for ever. A stream that says less than that
/// to a client that takes it at once is not waited for.
const PIECE_BYTES: u64 = 16 * 1024;
/// See `PIECE_BYTES`.
const PIECE_TIME: Duration = Duration::from_secs(30);
/// A client that was waited for during this part of the limit on the whole exchange, a tenth, may be why
/// it passed. With less than that the upstream had the time to itself.
const CLIENTS_PART_MIN: u32 = 10;

impl Exchange {
    /// When `on_time` wants to be called, unless something happens before.
    pub fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Ended {
            return None;
        }
        let timeouts = self.timeouts();
        let by_phase = match self.phase {
            Phase::Choosing => Some(self.began + self.peer.body_idle),
            Phase::Queued { since } => Some(since + self.queue_wait()),
            Phase::Ended => None,
            Phase::Connecting { since } => Some(since + timeouts.connect),
            Phase::Uploading { since } => {
                // Only time spent waiting for the client counts: a slow upstream is not its fault.
                let earned = Duration::from_secs(self.uploaded / UPLOAD_BYTES_PER_SECOND_MIN);
                let left = (UPLOAD_GRACE + earned).saturating_sub(self.upload_waited);
                Some(since + self.peer.body_idle.min(left))
            }
            Phase::AwaitingHead { since } => Some(since + timeouts.response_head),
            Phase::Answering { since, waits_for_client: false } => Some(since + timeouts.idle),
            Phase::Answering { since, waits_for_client: true } => {
                Some(since + timeouts.write_stall.saturating_sub(self.stalled))
            }
            Phase::Tunnel { since } => Some(since + timeouts.tunnel_idle),
        };
        let by_total = match self.phase {
            Phase::Ended | Phase::Tunnel { .. } => None,
            _ => timeouts.total.map(|total| self.began + total),
        };
        let limits = self.content_limits();
        let by_content = [limits.stalls_at, limits.has_to_begin_by].into_iter().flatten();
        by_phase.into_iter().chain(by_total).chain(by_content).min()
    }

    /// The client has taken what there was: from here on the upstream is waited for.
    pub fn on_waiting_for_upstream(&mut self, now: Instant) {
        if let Phase::Answering { waits_for_client: true, .. } = self.phase {
            self.on_client_took(self.offered, now);
            self.phase = Phase::Answering { since: now, waits_for_client: false };
        }
    }

    /// The client, while it is waited for, has taken these bytes of what there was.
    pub fn on_client_took(&mut self, bytes: u64, now: Instant) {
        let Phase::Answering { waits_for_client: true, since } = self.phase else { return };
        let waited = now.saturating_duration_since(since);
        self.measured.client_took(waited, now);
        let earned_ms = bytes.saturating_mul(PIECE_TIME.as_secs() * 1000) / PIECE_BYTES;
        self.stalled = (self.stalled + waited).saturating_sub(Duration::from_millis(earned_ms));
        self.offered = self.offered.saturating_sub(bytes);
        self.phase = Phase::Answering { since: now.max(since), waits_for_client: true };
    }

    /// The client is waited for in the middle of its body.
    pub fn on_waiting_for_client(&mut self, now: Instant) {
        if matches!(self.phase, Phase::AwaitingHead { .. } | Phase::Choosing) {
            self.phase = Phase::Uploading { since: now };
        }
    }

    /// The client has sent more of its body, or its end.
    pub fn on_client_sent(&mut self, bytes: u64, now: Instant) {
        self.uploaded += bytes;
        if let Phase::Uploading { since } = self.phase {
            self.upload_waited += now.saturating_duration_since(since);
        }
        if matches!(self.phase, Phase::Uploading { .. }) {
            self.phase = Phase::AwaitingHead { since: now };
        }
    }

    /// A deadline may have passed.
    pub fn on_time(&mut self, now: Instant) -> OnTime {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return OnTime::Nothing;
        }
        let limits = self.content_limits();
        if limits.stalls_at.is_some_and(|limit| now >= limit) {
            self.judge_now(Verdict::Stalled, now);
        }
        let has_no_content = limits.has_to_begin_by.is_some_and(|limit| now >= limit);
        if !has_no_content && self.deadline().is_none_or(|deadline| now < deadline) {
            return OnTime::Nothing;
        }
        let timeouts = self.timeouts();
        let total_ms = timeouts.total.unwrap_or_default().as_millis();
        let (connect_ms, head_ms) =
            (timeouts.connect.as_millis(), timeouts.response_head.as_millis());
        match self.phase {
            Phase::Ended => OnTime::Nothing,
            Phase::Answering { .. } => {
                let is_client = self.was_client_too_slow(now);
                let otherwise = if is_client { Verdict::ClientGone } else { Verdict::Timeout };
                if !is_client {
                    self.find_last_words(Cause::Timeout);
                }
                let verdict = self.verdict_so_far().unwrap_or(otherwise);
                self.end(verdict, now);
                OnTime::Abort
            }
            Phase::Tunnel { .. } => {
                self.on_tunnel_idle(now);
                OnTime::Abort
            }
            Phase::Queued { .. } => OnTime::Reply(self.give_up_waiting()),
            _ if self.total_passed(now).is_some() => {
                let is_client = self.was_client_too_slow(now);
                let verdict = if is_client { Verdict::Shed } else { Verdict::Timeout };
                self.time_out(verdict, Refusal::TotalTimeout(total_ms))
            }
            Phase::Connecting { .. } => {
                OnTime::Failed(Stage::Connect, format!("no connection within {connect_ms} ms"))
            }
            Phase::AwaitingHead { .. } => {
                self.time_out(Verdict::Timeout, Refusal::HeadTimeout(head_ms))
            }
            Phase::Choosing | Phase::Uploading { .. } => {
                OnTime::Reply(self.on_request_broken(Refusal::BodyStalled))
            }
        }
    }

    /// Limits on silence in a stream, while the upstream is waited for; none once it has a verdict.
    fn content_limits(&self) -> ContentLimits {
        let is_upstreams_turn =
            matches!(self.phase, Phase::Answering { waits_for_client: false, .. });
        if !is_upstreams_turn || self.verdict.is_some() {
            return ContentLimits::default();
        }
        let timeouts = self.timeouts();
        let began = self.began + self.clients_time();
        let first_content = timeouts.first_content.filter(|_| self.promised().generates());
        self.measured.limits(began, first_content, timeouts.stalled)
    }

    /// The limit on the whole exchange, if it has passed.
    fn total_passed(&self, now: Instant) -> Option<Duration> {
        self.timeouts().total.filter(|total| now >= self.began + *total)
    }

    /// Whether a limit has passed because of the client. The limit on the whole exchange stays where it is,
    /// or a client could hold an upstream for ever by taking a byte now and then.
    fn was_client_too_slow(&self, now: Instant) -> bool {
        let waiting = match self.phase {
            Phase::Uploading { since } | Phase::Answering { since, waits_for_client: true } => {
                Some(now.saturating_duration_since(since))
            }
            _ => None,
        };
        let clients_time = self.clients_time() + waiting.unwrap_or_default();
        match self.total_passed(now) {
            Some(total) => clients_time >= total / CLIENTS_PART_MIN,
            None => waiting.is_some(),
        }
    }

    /// How long the client was waited for so far: that time is not the upstream's.
    fn clients_time(&self) -> Duration {
        self.upload_waited + self.measured.client_waited
    }

    fn time_out(&mut self, verdict: Verdict, refusal: Refusal) -> OnTime {
        self.settle(verdict);
        OnTime::Reply(self.refuse(refusal))
    }

    /// The limits that apply: those of the environment, or the defaults before one was chosen.
    fn timeouts(&self) -> Timeouts {
        self.environment().map_or_else(Timeouts::default, |environment| environment.spec.timeouts)
    }
}
