//! `cyan evaluate`: runs the quality gate of an environment now, and says by its exit code how it ended.

use std::time::Duration;

use http::Method;

use super::exit_code;
use super::failure::Failure;
use super::session::Session;
use crate::admin::api::Because;
use crate::admin::api::evaluate::Evaluated;
use crate::model::duration;
use crate::rollout::quality::QualityOutcome;

/// `cyan evaluate [SERVICE] ENVIRONMENT [--timeout 1h]`
#[derive(Debug, clap::Args)]
#[command(override_usage = "cyan evaluate [OPTIONS] [SERVICE] ENVIRONMENT")]
pub struct Args {
    /// The service, unless there is only one, and the environment
    #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
    words: Vec<String>,
    /// How long to wait; the evaluation has its own limit in the config
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    timeout: Duration,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (service, environment) = session.environment(&args.words).await?;
    if session.globals.dry_run {
        let text = format!("{}: {environment} would be evaluated; nothing was run", service.name);
        return session.terminal.line(&text);
    }
    let path = format!("/v1/services/{}/environments/{environment}/evaluate", service.name);
    let why = Because { reason: session.globals.reason.clone() };
    let evaluating = session.client.change(Method::POST, &path, &why, args.timeout);
    let what = format!("{environment} is being evaluated");
    let evaluated: Evaluated = session.live_line().during(&what, evaluating).await?;
    if session.globals.json {
        session.terminal.json(&evaluated)?;
    } else if evaluated.report.is_passed() {
        session.terminal.line(&sentence(&evaluated))?;
    }
    verdict(&evaluated)
}

/// `green passed: 0.91 over 40 cases, 0.85 needed; it took 12.3 s`
fn sentence(evaluated: &Evaluated) -> String {
    let Evaluated { environment, report, .. } = evaluated;
    let how = if report.is_passed() { "passed" } else { "has not passed" };
    let took = report.evaluation.as_ref().map_or_else(String::new, |evaluation| {
        format!("; it took {:.1} s", Duration::from_millis(evaluation.took_ms).as_secs_f64())
    });
    format!("{environment} {how}: {}{took}", report.explanation)
}

fn verdict(evaluated: &Evaluated) -> Result<(), Failure> {
    let failed = |exit_code, hint: &str| {
        let message = sentence(evaluated);
        Err(Failure { exit_code, message, hint: Some(hint.to_owned()) })
    };
    match evaluated.report.outcome {
        QualityOutcome::Passed => Ok(()),
        QualityOutcome::TooLow => failed(
            exit_code::ROLLED_BACK,
            "nothing was changed; look at the cases that failed, and at answers with `cyan pin`",
        ),
        QualityOutcome::TooFew => {
            failed(exit_code::HELD, "nothing was changed; run more cases, or send more scores")
        }
        QualityOutcome::NoResult => failed(
            exit_code::UNEXPECTED,
            "nothing was changed; docs/evaluation.md says what the program is told and may answer",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluated(outcome: &str) -> Evaluated {
        let evaluation = json!({
            "result": null, "cases_min": 1, "problem": "it is late", "took_ms": 12_340,
        });
        let evaluated = json!({
            "schema": 1, "service": "chat", "environment": "green", "outcome": outcome,
            "explanation": "0.91 over 40 cases, 0.85 needed", "threshold": 0.85,
            "evaluation": evaluation, "scores": null,
        });
        serde_json::from_value(evaluated).unwrap()
    }

    #[test]
    fn each_outcome_has_its_exit_code() {
        assert_eq!(verdict(&evaluated("passed")), Ok(()));
        for (outcome, code) in [("too_low", 10), ("too_few", 11), ("no_result", 1)] {
            let failure = verdict(&evaluated(outcome)).unwrap_err();
            assert_eq!(failure.exit_code, code);
            assert_eq!(
                failure.message,
                "green has not passed: 0.91 over 40 cases, 0.85 needed; it took 12.3 s"
            );
        }
    }
}
