//! The way to an upstream: which one, what it is sent, and what happens when it cannot be reached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::edits::Edits;
use super::head::RequestHead;
use super::{AfterFailure, Exchange, Phase, Pick, Refusal, Stage, pick};
use crate::link::CoreReport;
use crate::metrics::cohort::Mark;
use crate::model::environment::{Environment, HostPolicy, Replay};
use crate::model::header_id::HeaderId;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Verdict;

/// An upstream that closes a connection at rest has not seen the request that crosses this on its way: one
/// round trip later that shows. Whoever closes after this has had the request, and may have done what it asks.
const AT_REST_RACE: Duration = Duration::from_secs(1);

impl Exchange {
    /// Picks the upstream to try next.
    pub fn pick(&mut self, snapshot: &Snapshot, now: Instant) -> Pick {
        let turn = self.recorder.random();
        loop {
            let Some(place) = &mut self.place else {
                return Pick::Reply(self.refuse(Refusal::Draining));
            };
            let environment = &place.environment;
            let picked = pick::usable(environment, &self.tried, now, turn);
            if picked.is_none() && self.tried.count() == 0 && self.hand_over(snapshot, now) {
                continue;
            }
            let Some(place) = &mut self.place else { continue };
            let (environment, tried) = (&place.environment, &self.tried);
            let picked = picked
                .or_else(|| pick::doubtful(environment, tried, now, turn))
                .or_else(|| pick::any(environment, tried, turn));
            let Some(upstream) = picked else {
                let name = place.environment.name().to_string();
                self.settle(Verdict::ConnectError);
                return Pick::Reply(self.refuse(Refusal::NoUpstream(name)));
            };
            let guard = upstream.in_flight.enter();
            place.upstream = Some((Arc::clone(&upstream), Some(guard)));
            self.phase = Phase::Connecting { since: now };
            return Pick::Upstream(upstream);
        }
    }

    /// Before the first byte, if the exchange has waited since it chose: an environment that has lost
    /// all its weight meanwhile gets nothing new. Returns false when another one was entered, or none
    /// could be, and `pick` has to be called again.
    pub fn is_still_routed(&mut self, snapshot: &Snapshot) -> bool {
        let (Some(place), Some(table)) = (&self.place, self.table(snapshot)) else { return true };
        let is_bound = self.is_forced
            || self.counted_for.is_some()
            || self.still_follows(table, &place.environment);
        let chosen = place.environment.name();
        if is_bound || table.generation == self.generation || !table.weight(chosen).is_zero() {
            return true;
        }
        let Some(key) = self.key else { return true };
        if let Some(cohort) = self.cohort {
            self.mark_at(cohort, Mark::Withdrawn, Duration::ZERO);
        }
        self.place = None;
        self.tried.clear();
        // A refusal leaves `place` empty, and `pick` then answers. It does not wait a second time.
        let _ = self.choose(table, key);
        self.waiting = None;
        false
    }

    /// What changes on the way to the environment that was entered, just before the head is sent.
    pub fn edit_for_upstream(&self, head: &impl RequestHead, edits: &mut Edits) {
        let (Some(place), Some(service)) = (&self.place, &self.service) else { return };
        let spec = &place.environment.spec;
        edits.set(service.headers.deployment, &[spec.name.as_str().as_bytes()]);
        match (&spec.host, &place.upstream) {
            (HostPolicy::Preserve, Some((upstream, _))) if head.first(HeaderId::HOST).is_none() => {
                edits.set(HeaderId::HOST, &[upstream.spec.authority().as_bytes()]);
            }
            (HostPolicy::Upstream, Some((upstream, _))) => {
                edits.set(HeaderId::HOST, &[upstream.spec.authority().as_bytes()]);
            }
            (HostPolicy::Fixed(host), _) => edits.set(HeaderId::HOST, &[host.as_bytes()]),
            _ => {}
        }
        // A compressed answer cannot be read in passing. Only models are posted to, so what browsers get
        // may stay compressed.
        if spec.inspect
            && head.method() == "POST"
            && head.first(HeaderId::ACCEPT_ENCODING).is_some()
        {
            edits.set(HeaderId::ACCEPT_ENCODING, &[b"identity"]);
        }
        spec.remove_headers.iter().for_each(|id| edits.remove(*id));
        for (id, value) in &spec.set_headers {
            edits.set(*id, &[value.expose().as_bytes()]);
        }
        if let Some(prefix) = &spec.path_prefix {
            let path = head.path().as_bytes();
            match head.query() {
                Some(query) => edits.set_path(&[prefix.as_bytes(), path, b"?", query.as_bytes()]),
                None => edits.set_path(&[prefix.as_bytes(), path]),
            }
        }
    }

    /// A connection was made for this request.
    pub fn on_connected(&mut self, now: Instant) {
        if let Phase::Connecting { since } = self.phase {
            self.connect = Some(now.saturating_duration_since(since));
        }
    }

    /// The request is being written to a connection.
    pub fn on_sent(&mut self, now: Instant) {
        self.phase = Phase::AwaitingHead { since: now };
        // What went to an upstream that never answered is sent anew.
        self.request_bytes = 0;
    }

    /// Sending failed before any byte of an answer. `can_replay` says whether the engine still has the
    /// whole request.
    pub fn on_upstream_failure(
        &mut self,
        stage: Stage,
        problem: &str,
        can_replay: bool,
        snapshot: &Snapshot,
        now: Instant,
    ) -> AfterFailure {
        let is_at_work = stage == Stage::Reused && self.has_taken(now);
        let stage = if is_at_work { Stage::Fresh } else { stage };
        if stage != Stage::NotStarted {
            self.note_problem(problem);
        }
        if stage == Stage::Exhausted {
            self.settle(Verdict::Shed);
            return AfterFailure::Reply(self.refuse(Refusal::Descriptors));
        }
        if stage != Stage::NotStarted && stage != Stage::Reused {
            self.note_failure(problem, now);
        }
        let refusal = match stage {
            Stage::Connect => {
                if (self.may_try_another() && self.has_retry(now)) || self.hand_over(snapshot, now)
                {
                    return AfterFailure::Retry;
                }
                Refusal::Connect
            }
            Stage::NotStarted if self.not_started < 2 => {
                self.not_started += 1;
                return AfterFailure::Retry;
            }
            // Not from the budget: a connection at rest is closed by healthy servers too, and once per request.
            Stage::Reused if can_replay && self.may_replay() => {
                self.was_replayed = true;
                return AfterFailure::Replay;
            }
            Stage::NotStarted | Stage::Reused | Stage::Fresh | Stage::Exhausted => {
                Refusal::Lost(problem.to_owned())
            }
        };
        self.settle(Verdict::ConnectError);
        AfterFailure::Reply(self.refuse(refusal))
    }

    /// Whether the upstream has had the request for so long that it works on it.
    fn has_taken(&self, now: Instant) -> bool {
        let Phase::AwaitingHead { since } = self.phase else { return false };
        now.saturating_duration_since(since) > AT_REST_RACE
    }

    /// Counts a failure of the upstream in use, which may eject it.
    fn note_failure(&mut self, problem: &str, now: Instant) {
        let Some(place) = &mut self.place else { return };
        let Some((upstream, in_flight)) = &mut place.upstream else { return };
        *in_flight = None;
        self.tried.add(upstream.id);
        if upstream.failed(&place.environment.spec.ejection, now) {
            let reason = problem.to_owned();
            self.recorder.report(CoreReport::UpstreamEjected { upstream: upstream.id, reason });
        }
    }

    /// Takes a retry from the environment's budget.
    fn has_retry(&self, now: Instant) -> bool {
        let id = self.environment_id();
        let has = id.is_some_and(|id| self.recorder.retries.take(id, now));
        if !has {
            self.recorder.retry_withheld();
        }
        has
    }

    fn may_try_another(&self) -> bool {
        self.place.as_ref().is_some_and(|place| {
            self.tried.count() <= usize::from(place.environment.spec.connect_retries)
                && self.tried.count() < place.environment.upstreams.len()
        })
    }

    fn may_replay(&self) -> bool {
        let policy = self.place.as_ref().map(|place| place.environment.spec.replay);
        !self.was_replayed
            && match policy {
                Some(Replay::ReusedConnection) => true,
                Some(Replay::Idempotent) => self.is_idempotent,
                Some(Replay::Never) | None => false,
            }
    }

    /// Gives the request to another environment, because its own cannot be connected to and nothing was
    /// sent: the active one's goes to the fallback, everybody else's to the active one. It goes on
    /// counting for its own. At most once, and only to one that has a usable upstream. The active one is
    /// not left for a suspicion: what its streams do not say is no proof, and all its users would move.
    fn hand_over(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let (Some(place), Some(table)) = (&self.place, self.table(snapshot)) else { return false };
        if self.is_forced || self.counted_for.is_some() {
            return false;
        }
        let own = Arc::clone(&place.environment);
        let is_active = table.active().id == own.id;
        if is_active && pick::doubtful(&own, &self.tried, now, 0).is_some() {
            return false;
        }
        let target = if is_active { table.fallback() } else { Some(table.active()) };
        let is_able = |e: &&Arc<Environment>| {
            e.id != own.id && e.upstreams.iter().any(|upstream| upstream.is_usable(now))
        };
        let Some(target) = target.filter(is_able) else { return false };
        let (from, to) = (own.id, target.id);
        let failed_upstream = self.upstream_id();
        if !self.enter_at_once(table, target) {
            return false;
        }
        self.counted_for = Some(own);
        self.failed_upstream = failed_upstream;
        // Whoever serves it now: its own environment has failed, and need not wait to be told.
        self.judge_now(Verdict::ConnectError, now);
        self.tried.clear();
        self.recorder.report(CoreReport::FellBack { from, to });
        true
    }
}
