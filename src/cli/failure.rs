//! Why a command failed: what happened, what to do, and the exit code that goes with it.

use super::exit_code;
use crate::admin::problem::{Problem, ProblemKind};

/// A command that failed. Printed as `error: …`, a blank line, `hint: …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// One of `exit_code`.
    pub exit_code: u8,
    /// What happened, with the value and the rule.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// Something nobody foresaw.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self { exit_code: exit_code::UNEXPECTED, message: message.into(), hint: None }
    }

    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: exit_code::USAGE, message: message.into(), hint: None }
    }

    /// A config that cannot be used.
    pub fn config(message: impl Into<String>) -> Self {
        Self { exit_code: exit_code::CONFIG_INVALID, message: message.into(), hint: None }
    }

    /// Ctrl-C. It ends the watching, not what is being watched.
    pub fn interrupted() -> Self {
        let message = "stopped watching; what was asked for goes on".to_owned();
        Self { exit_code: exit_code::INTERRUPTED, message, hint: None }
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What the server refused, in its own words.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit_code = match problem.status {
            _ if problem.is(ProblemKind::ConfigInvalid) => exit_code::CONFIG_INVALID,
            401 | 403 => exit_code::NOT_PERMITTED,
            404 | 409 | 412 | 422 | 503 => exit_code::REFUSED,
            _ => exit_code::UNEXPECTED,
        };
        let hint = problem.hint.map(String::from).or_else(|| {
            (problem.status == 401)
                .then(|| "pass the admin token with --token-file FILE".to_owned())
        });
        Self { exit_code, message: problem.detail.into(), hint }
    }
}
