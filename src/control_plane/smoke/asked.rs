//! Smoke tests that somebody asks for, beside any rollout.

use serde_json::json;

use super::report::{CheckReport, SmokeReport};
use super::{SmokeContext, run};
use crate::control_plane::command::Refused;
use crate::control_plane::handle::ControllerHandle;
use crate::model::assignment::AssignmentError;
use crate::model::name::Name;

/// Failed checks that an event names; the report has them all.
const FAILED_TOLD_MAX: usize = 8;

impl ControllerHandle {
    /// Runs the smoke tests of an environment as it is now; takes 120 s at most. Cancel safe.
    ///
    /// # Errors
    /// When there is no such environment, or its tests are being run already.
    pub async fn smoke(&self, service: &Name, environment: &Name) -> Result<SmokeReport, Refused> {
        let context = self.smoke_context(service, environment)?;
        let run_of_it = self.shared.smokes.begin(context.environment.id);
        let _run = run_of_it.ok_or_else(|| Refused::State {
            problem: format!("the smoke tests of `{environment}` are being run already"),
            remedy: "wait for their end".to_owned(),
        })?;
        let report = run(&context).await;
        self.tell_of(&report);
        Ok(report)
    }

    fn smoke_context(&self, service: &Name, environment: &Name) -> Result<SmokeContext, Refused> {
        let published = self.shared.published.load();
        let Some(table) = published.tables().find(|table| table.service.name == *service) else {
            let known = published.tables().map(|table| table.service.name.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Refused::UnknownService { name: service.clone(), known });
        };
        SmokeContext::of(table, environment, None).ok_or_else(|| {
            let known = table.environments.iter().map(|known| known.name().as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            AssignmentError::Unknown { name: environment.clone(), known }.into()
        })
    }

    fn tell_of(&self, report: &SmokeReport) {
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
        self.shared.events.tell(Some(&report.service), kind, text, details);
    }
}
