//! Runs the real `cyan` program.

use std::process::Stdio;

use tokio::process::Command;

use super::admin::{PATIENCE, TestAdmin};

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// `cyan` with these arguments, off a terminal, in the locale of most servers.
pub async fn cyan(arguments: &[&str]) -> Run {
    run(command(arguments)).await
}

/// The same, with its admin API found through `CYAN_ADMIN`.
pub async fn cyan_at(admin: &TestAdmin, line: &str) -> Run {
    let arguments: Vec<_> = line.split_whitespace().collect();
    let mut command = command(&arguments);
    command.env("CYAN_ADMIN", admin.url());
    run(command).await
}

/// The same, to be started and watched.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cyan"));
    command
        .args(arguments)
        .env_clear()
        .env("LANG", "C.UTF-8")
        .env("USER", "ana")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> Run {
    let output = tokio::time::timeout(PATIENCE, command.output());
    let output = output.await.expect("the program ends in time").expect("the program starts");
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}
