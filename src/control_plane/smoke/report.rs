//! What came of smoke tests: each check, each upstream, pass or fail with what was seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::SmokeContext;
use super::check::milliseconds;
use crate::model::answer::FinishReason;
use crate::model::name::Name;
use crate::rollout::gate::GateReport;

/// Everything that was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SmokeReport {
    /// The service.
    pub service: Name,
    /// The environment that was tested.
    pub environment: Name,
    /// Its version label.
    pub version: Option<String>,
    /// The rollout that waited for it.
    pub rollout: Option<u64>,
    /// Whether every check passed on every upstream.
    pub passed: bool,
    /// The same in a sentence, with the numbers.
    pub explanation: String,
    /// Time of all checks together.
    pub took_ms: u64,
    /// One for each check and upstream, in the order of the config.
    pub results: Vec<CheckReport>,
}

/// What came of one check on one upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CheckReport {
    /// The name of the check; of a probe, the API.
    pub check: Name,
    /// What kind of check it is.
    pub kind: CheckKind,
    /// The address of the upstream, as configured.
    pub upstream: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was seen, in words: shortened, and without credentials.
    pub saw: String,
    /// Time it took.
    pub took_ms: u64,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// From before the connection to the first content, or the first byte of what is no stream.
    pub ttft_ms: Option<u64>,
    /// Tokens generated, if they could be counted.
    pub tokens: Option<u64>,
    /// Why the model stopped, if it said so.
    pub finish_reason: Option<FinishReason>,
}

/// The kinds of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// A request that was written out.
    Request,
    /// One that was made up for an API.
    Probe,
    /// A program or web service that decides.
    Hook,
}

/// Most characters of what was seen.
const SAW_CHARS_MAX: usize = 400;

impl CheckReport {
    pub(super) fn failed(check: Name, kind: CheckKind, upstream: String, saw: String) -> Self {
        Self {
            check,
            kind,
            upstream,
            passed: false,
            saw,
            took_ms: 0,
            status: None,
            ttft_ms: None,
            tokens: None,
            finish_reason: None,
        }
    }

    fn shortened(mut self) -> Self {
        if let Some((at, _)) = self.saw.char_indices().nth(SAW_CHARS_MAX) {
            self.saw.truncate(at);
            self.saw.push('…');
        }
        self
    }
}

impl SmokeReport {
    pub(super) fn new(context: &SmokeContext, results: Vec<CheckReport>, took: Duration) -> Self {
        let environment = &context.environment.spec;
        let has_upstream = !context.environment.upstreams.is_empty();
        let has_check = !context.service.smoke.is_empty();
        let passed = results.iter().all(|result| result.passed) && (has_upstream || !has_check);
        let explanation = match (has_check, has_upstream) {
            (false, _) => "smoke: no checks are configured".to_owned(),
            (true, false) => format!("smoke: {} has no upstream to be tested", environment.name),
            (true, true) => explain(&results, context.environment.upstreams.len(), took),
        };
        Self {
            service: context.service.name.clone(),
            environment: environment.name.clone(),
            version: environment.version.as_deref().map(str::to_owned),
            rollout: context.rollout,
            passed,
            explanation,
            took_ms: milliseconds(took),
            results: results.into_iter().map(CheckReport::shortened).collect(),
        }
    }
}

fn explain(results: &[CheckReport], upstreams: usize, took: Duration) -> String {
    let (all, checks) = (results.len(), results.len() / upstreams);
    let failed: Vec<_> = results.iter().filter(|result| !result.passed).collect();
    let of = format!(
        "{checks} {} on {upstreams} {} in {:.1} s",
        if checks == 1 { "check" } else { "checks" },
        if upstreams == 1 { "upstream" } else { "upstreams" },
        took.as_secs_f64()
    );
    match failed.first() {
        None => format!("smoke: {all} of {all} passed, {of}"),
        Some(first) => {
            let count = failed.len();
            let (check, upstream, saw) = (&first.check, &first.upstream, &first.saw);
            format!("smoke: {count} of {all} failed, {of}; {check} on {upstream}: {saw}")
        }
    }
}

impl From<&SmokeReport> for GateReport {
    fn from(report: &SmokeReport) -> Self {
        Self {
            passed: report.passed,
            sentence: report.explanation.clone(),
            details: json!({ "results": report.results, "took_ms": report.took_ms }),
        }
    }
}
