//! One warm-up request: to its upstream, and the answer read to its end and forgotten.

use std::time::Duration;

use tokio::sync::mpsc;

use super::synthetic::Errand;
use super::{WarmUpContext, outcome};
use crate::control_plane::quote::Secrets;
use crate::control_plane::trial::{Line, Trial};
use crate::model::environment::Secret;
use crate::model::plan::LatencySignal;
use crate::model::upstream::Upstream;
use crate::model::verdict::Verdict;
use crate::rollout::warm_up::{Ended, Source};

/// The way to the candidate.
pub(super) struct Sending {
    line: Line,
    timeout: Duration,
    signal: LatencySignal,
    /// What was sent as credentials, and is not to be shown in words of an upstream.
    secrets: Secrets,
}

/// A request that has come to its end.
pub(super) struct Returned {
    pub(super) source: Source,
    pub(super) verdict: Verdict,
    pub(super) ended: Ended,
}

impl Sending {
    pub(super) fn new(context: &WarmUpContext) -> Self {
        let environment = &context.environment.spec;
        let own = context.spec.synthetic.iter().flat_map(|synthetic| &synthetic.headers);
        let secrets: Vec<&Secret> =
            environment.set_headers.iter().chain(own).map(|(_, secret)| secret).collect();
        Self {
            line: Line::new(environment, &context.service.headers),
            timeout: context.spec.timeout,
            signal: context.signal,
            secrets: Secrets::of(secrets),
        }
    }

    /// Its timeout bounds it. Cancel safe.
    pub(super) async fn send(
        &self,
        errand: Errand,
        upstream: &Upstream,
        firsts: &mpsc::Sender<Duration>,
    ) -> Returned {
        let Errand { source, method, path, headers, body, held } = errand;
        let trial = Trial {
            label: match source {
                Source::Synthetic => "warm-up",
                Source::Mirror => "mirror",
            },
            method: &method,
            path: &path,
            headers,
            body: (!body.is_empty()).then_some(body),
            timeout: self.timeout,
            keeps_body: false,
        };
        // Full only if nobody has looked for a thousand answers: one that is not measured is no loss.
        let at_first = |after| {
            let _ = firsts.try_send(after);
        };
        let seen = self.line.exchange(upstream, trial, at_first).await;
        if let (Some(held), Ok(seen)) = (&held, &seen) {
            held.spend_tokens(outcome::tokens(seen));
        }
        let verdict = outcome::verdict(&seen);
        let ended = outcome::ended(source, verdict, &seen, self.signal, &self.secrets);
        let ended = match ended {
            Ended::Failed(saw) => Ended::Failed(format!("{}: {saw}", upstream.spec)),
            ended => ended,
        };
        Returned { source, verdict, ended }
    }
}
