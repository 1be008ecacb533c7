//! One delivery: attempts with growing pauses, until one succeeds or nothing more is to be hoped for.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::letter::Letter;
use super::signature::{SIGNATURE, TIMESTAMP, sign};
use crate::control_plane::clock::unix_ms;
use crate::control_plane::post::Post;
use crate::control_plane::program::{Program, ProgramError};
use crate::control_plane::quote::{Secrets, quote};
use crate::model::argv::Argv;
use crate::model::hook::{HookFormat, HookSpec, Receiver, WebAddress};

/// The pause after the first attempt; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Output of a program that is kept for the event.
const OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// The header with the notice's id.
const DELIVERY: &str = "x-cyan-delivery";

/// How a delivery went.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) delivered: bool,
    pub(super) attempts: u32,
    /// What was seen of the last attempt, in words.
    pub(super) saw: String,
    /// What a program has written.
    pub(super) output: Option<String>,
}

/// How an attempt went.
struct Attempt {
    delivered: bool,
    /// Whether another one could go otherwise.
    is_worth_repeating: bool,
    saw: String,
    output: Option<String>,
}

/// Delivers a letter, which takes (`retries` + 1) times the timeout and the pauses at most. Cancel safe.
pub(super) async fn deliver(hook: &HookSpec, receiver: &Receiver, letter: &Letter) -> Outcome {
    let mut attempts = 0;
    loop {
        let attempt = match receiver {
            Receiver::Program(argv) => run(hook, argv, letter).await,
            Receiver::Web(address) => post(hook, address, letter).await,
        };
        attempts += 1;
        let is_over = attempt.delivered || !attempt.is_worth_repeating || attempts > hook.retries;
        if is_over {
            let Attempt { delivered, saw, output, .. } = attempt;
            return Outcome { delivered, attempts, saw, output };
        }
        tokio::time::sleep(pause_after(attempts)).await;
    }
}

/// The same as `delivery`, but a bug in it costs that delivery alone, and is told as its failure.
pub(super) async fn or_failed(delivery: impl Future<Output = Outcome>) -> Outcome {
    let mut delivery = pin!(delivery);
    poll_fn(|cx| {
        // Unwind safe: what has panicked is not polled again, and what it shares is only read.
        let polled = catch_unwind(AssertUnwindSafe(|| delivery.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            let saw = "a bug in Cyan has ended it; report what the log says".to_owned();
            Poll::Ready(Outcome { delivered: false, attempts: 1, saw, output: None })
        })
    })
    .await
}

fn pause_after(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

async fn run(hook: &HookSpec, argv: &Argv, letter: &Letter) -> Attempt {
    let mut program = Program {
        inherits: false,
        stdin: letter.json(),
        stdout_bytes_max: OUTPUT_BYTES_MAX,
        ..Program::new(argv, hook.timeout)
    };
    for (name, value) in letter.variables() {
        program = program.variable(name, value);
    }
    match program.run().await {
        Ok(ended) => Attempt {
            delivered: ended.status.success(),
            is_worth_repeating: true,
            saw: ended.sentence(),
            output: Some(output(&ended.stdout, &ended.stderr)),
        },
        Err(error) => {
            let is_worth_repeating = !matches!(error, ProgramError::Start { .. });
            Attempt { delivered: false, is_worth_repeating, saw: error.to_string(), output: None }
        }
    }
}

/// What a program has said, on whichever of its outputs.
fn output(stdout: &[u8], stderr: &str) -> String {
    let stdout = String::from_utf8_lossy(stdout);
    let parts = [stdout.trim_end(), stderr];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

async fn post(hook: &HookSpec, address: &WebAddress, letter: &Letter) -> Attempt {
    let body = match hook.format {
        HookFormat::Json => letter.json(),
        HookFormat::Slack => letter.slack(),
    };
    // Signed anew for each attempt: a receiver refuses what is old.
    let timestamp = (unix_ms() / 1000).to_string();
    let signature = hook.secret.as_ref().map(|secret| sign(secret, &timestamp, &body));
    let mut post = Post::new(address, body).header(DELIVERY, &letter.id);
    post = post.header(TIMESTAMP, &timestamp);
    if let Some(signature) = signature {
        post = post.header(SIGNATURE, &signature);
    }
    match post.send(hook.timeout).await {
        Ok(posted) => {
            let said = quote(&posted.body, &Secrets::of(&hook.secret));
            let said = said.map_or_else(String::new, |text| format!(" \"{text}\""));
            Attempt {
                delivered: posted.status.is_success(),
                is_worth_repeating: is_worth_repeating(posted.status.as_u16()),
                saw: format!("{}{said}", posted.status.as_u16()),
                output: None,
            }
        }
        Err(saw) => Attempt { delivered: false, is_worth_repeating: true, saw, output: None },
    }
}

/// Other refusals, and redirections, are about the request itself.
fn is_worth_repeating(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bug_in_a_delivery_is_its_failure() {
        let outcome = or_failed(poll_fn(|_| -> Poll<Outcome> { panic!("on purpose") })).await;
        assert!(!outcome.delivered);
        assert_eq!(outcome.saw, "a bug in Cyan has ended it; report what the log says");
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let seconds: Vec<_> = (1..=7).map(|attempts| pause_after(attempts).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause_after(u32::MAX), PAUSE_MAX);
    }
}
