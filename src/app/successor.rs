//! Starts the program anew as a child, to take over: for service managers, which want the next process
//! where the last one was, with its user, its limits and its folders.
//!
//! The file is looked for where it was when this process started, so that it may have been replaced.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use tokio::process::{Child, Command};

/// What a service manager says to one process alone.
const FOR_THIS_PROCESS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How to start the next process.
#[derive(Debug)]
pub(super) struct Successor {
    program: io::Result<PathBuf>,
    child: Option<Child>,
}

impl Successor {
    /// As this process was started.
    pub(super) fn like_this_process() -> Self {
        Self { program: env::current_exe(), child: None }
    }

    /// Starts it, unless one is on its way.
    pub(super) fn start(&mut self) {
        if self.child.is_some() {
            tracing::warn!("a process that takes over is on its way already");
            return;
        }
        match self.spawn() {
            Ok(child) => {
                tracing::info!(pid = child.id(), "a new process is to take over");
                self.child = Some(child);
            }
            Err(error) => {
                tracing::error!(%error, "no new process can be started; this one goes on");
            }
        }
    }

    /// Waits until the one that was started has ended, which it does only if it cannot take over. Cancel
    /// safe.
    pub(super) async fn failed(&mut self) {
        let Some(child) = &mut self.child else { return std::future::pending().await };
        let status = child.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string());
        self.child = None;
        tracing::error!("the new process has not taken over ({status}); this one goes on");
    }

    fn spawn(&self) -> io::Result<Child> {
        let program = self.program.as_ref().map_err(|error| io::Error::from(error.kind()))?;
        let mut command = Command::new(program);
        command.args(arguments(env::args_os().skip(1)));
        for variable in FOR_THIS_PROCESS {
            command.env_remove(variable);
        }
        command.spawn()
    }
}

/// The same, with the wish to take over from the process with its state directory.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let is_wish = |argument: &OsStr| argument.as_bytes().starts_with(b"--takeover");
    let mut arguments: Vec<_> = given.filter(|argument| !is_wish(argument)).collect();
    arguments.push("--takeover".into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wish_to_take_over_is_there_once() {
        for given in [
            &["serve", "cyan.toml"][..],
            &["serve", "cyan.toml", "--takeover"],
            &["serve", "--takeover=/run/cyan.sock", "cyan.toml"],
        ] {
            let arguments = arguments(given.iter().map(OsString::from));
            assert_eq!(arguments, ["serve", "cyan.toml", "--takeover"], "{given:?}");
        }
    }
}
