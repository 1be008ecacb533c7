//! One check, whatever its kind, against one upstream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::report::{CheckKind, CheckReport};
use super::{SmokeContext, hook, judgement, probe};
use crate::control_plane::quote::Secrets;
use crate::control_plane::trial::{Line, Seen, Trial, Unanswered, trial_headers};
use crate::model::environment::{EnvironmentSpec, Secret};
use crate::model::hook::Receiver;
use crate::model::name::Name;
use crate::model::plan::smoke::{SmokeRequest, SmokeSpec};
use crate::model::upstream::{Upstream, UpstreamSpec};

/// Something that an upstream must pass.
pub(super) enum Check {
    Request { request: SmokeRequest, kind: CheckKind },
    Hook { name: Name, receiver: Receiver, timeout: Duration },
}

/// Where checks are run, and what they need of it.
pub(super) struct Place {
    pub(super) service: Name,
    pub(super) environment: Arc<EnvironmentSpec>,
    pub(super) rollout: Option<u64>,
    pub(super) secrets: Secrets,
    line: Line,
}

/// Every check of a service, in the order of its config.
pub(super) fn all(smoke: &SmokeSpec) -> Vec<Check> {
    let of_kind = |request, kind| Check::Request { request, kind };
    let requests = smoke.requests.iter().cloned();
    let requests = requests.map(|request| of_kind(request, CheckKind::Request));
    let probes = smoke.probes.iter().flat_map(probe::requests);
    let probes = probes.map(|request| of_kind(request, CheckKind::Probe));
    let hooks = smoke.hooks.iter().flat_map(|hook| {
        hook.receivers.iter().map(|receiver| Check::Hook {
            name: hook.name.clone(),
            receiver: receiver.clone(),
            timeout: hook.timeout,
        })
    });
    requests.chain(probes).chain(hooks).collect()
}

impl Place {
    pub(super) fn new(context: &SmokeContext) -> Self {
        let environment = &context.environment.spec;
        let smoke = &context.service.smoke;
        let of_requests = smoke.requests.iter().flat_map(|request| &request.headers);
        let of_probes = smoke.probes.iter().flat_map(|probes| &probes.headers);
        let headers = environment.set_headers.iter().chain(of_requests).chain(of_probes);
        let secrets: Vec<&Secret> = headers.map(|(_, secret)| secret).collect();
        Self {
            service: context.service.name.clone(),
            environment: Arc::clone(environment),
            rollout: context.rollout,
            secrets: Secrets::of(secrets),
            line: Line::new(environment, &context.service.headers),
        }
    }
}

impl Check {
    /// Runs it. Its own timeout bounds it.
    pub(super) async fn run(&self, upstream: &Upstream, place: &Place) -> CheckReport {
        let began = Instant::now();
        let report = match self {
            Self::Request { request, kind } => {
                let seen = match trial(request) {
                    Ok(trial) => place.line.exchange(upstream, trial, |_| ()).await,
                    Err(problem) => Err(Unanswered::Broken(problem)),
                };
                self.judged(request, *kind, seen, upstream, place)
            }
            Self::Hook { receiver, timeout, .. } => {
                let asked = hook::ask(receiver, *timeout, &upstream.spec, place).await;
                let passed = asked.is_ok();
                let saw = asked.unwrap_or_else(|problem| problem);
                CheckReport { passed, saw, ..self.unfinished(&upstream.spec) }
            }
        };
        CheckReport { took_ms: milliseconds(began.elapsed()), ..report }
    }

    /// What stands in a report as long as nothing has come of it.
    pub(super) fn unfinished(&self, upstream: &UpstreamSpec) -> CheckReport {
        let (check, kind) = match self {
            Self::Request { request, kind } => (&request.name, *kind),
            Self::Hook { name, .. } => (name, CheckKind::Hook),
        };
        let saw = format!("not finished within {} s", super::TOTAL_MAX.as_secs());
        CheckReport::failed(check.clone(), kind, upstream.to_string(), saw)
    }

    fn judged(
        &self,
        request: &SmokeRequest,
        kind: CheckKind,
        seen: Result<Seen, Unanswered>,
        upstream: &Upstream,
        place: &Place,
    ) -> CheckReport {
        let report = self.unfinished(&upstream.spec);
        let seen = match seen {
            Ok(seen) => seen,
            Err(unanswered) => return CheckReport { saw: unanswered.to_string(), ..report },
        };
        let failures = judgement::failures(request, kind, &seen, &place.secrets);
        let words = seen.words.as_ref();
        CheckReport {
            passed: failures.is_empty(),
            saw: if failures.is_empty() { judgement::sentence(&seen) } else { failures.join("; ") },
            status: Some(seen.status.as_u16()),
            ttft_ms: seen.first.map(milliseconds),
            tokens: words.and_then(|words| words.tokens.output),
            finish_reason: words.and_then(|words| words.finish),
            ..report
        }
    }
}

/// The request as it is sent.
fn trial(request: &SmokeRequest) -> Result<Trial<'_>, String> {
    let body = request.body.as_ref().map(|body| Bytes::copy_from_slice(body.as_bytes()));
    Ok(Trial {
        label: "smoke",
        method: &request.method,
        path: &request.path,
        headers: trial_headers("cyan-smoke", body.is_some(), &request.headers)?,
        body,
        timeout: request.timeout,
        keeps_body: true,
    })
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
