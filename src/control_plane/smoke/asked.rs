//! Smoke tests that somebody asks for, beside any rollout.

use serde_json::json;

use super::report::{CheckReport, SmokeReport};
use super::{SmokeContext, run};
use crate::control_plane::command::Refused;
use crate::control_plane::handle::ControllerHandle;
use crate::control_plane::journal::Asker;
use crate::model::name::Name;

/// Failed checks that an event names; the report has them all.
const FAILED_TOLD_MAX: usize = 8;

impl ControllerHandle {
    /// Runs the smoke tests of an environment as it is now, and writes down what came of them; takes 120 s
    /// at most. Cancel safe.
    ///
    /// # Errors
    /// When there is no such environment, or its tests are being run already.
    pub async fn smoke(
        &self,
        service: &Name,
        environment: &Name,
        asker: Asker,
    ) -> Result<SmokeReport, Refused> {
        let (service, environment) = self.shared.published.load().routed(service, environment)?;
        let context = SmokeContext { service, environment, rollout: None };
        let run_of_it = self.shared.smokes.begin(context.environment.id);
        let run_of_it = run_of_it.ok_or_else(|| Refused::State {
            problem: format!(
                "the smoke tests of `{}` are being run already",
                context.environment.name()
            ),
            remedy: "wait for their end".to_owned(),
        })?;
        let report = run(&context, |ended| run_of_it.tell(ended)).await;
        drop(run_of_it);
        self.tell_of(&report, asker).await;
        Ok(report)
    }

    async fn tell_of(&self, report: &SmokeReport, asker: Asker) {
        let kind = if report.passed { "smoke_passed" } else { "smoke_failed" };
        let failed = report.results.iter().filter(|result| !result.passed).take(FAILED_TOLD_MAX);
        let failed: Vec<&CheckReport> = failed.collect();
        let details = json!({
            "environment": report.environment,
            "version": report.version,
            "checks": report.results.len(),
            "failed": failed,
            "took_ms": report.took_ms,
        });
        let text = format!("{}: {}", report.environment, report.explanation);
        let entry = asker.entry(&report.service, kind, text.clone(), details.clone());
        self.remember(entry).await;
        self.shared.events.tell(Some(&report.service), kind, text, details);
    }
}
