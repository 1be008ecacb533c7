//! Runs a program that an operator configured: an evaluation, a hook, a smoke test.
//!
//! Whatever it does, Cyan goes on: it has a deadline, its output is kept up to a bound and read on
//! beyond it, so that a full pipe never holds it, and it has a process group of its own, which is
//! killed as a whole when the deadline has come, when whoever waits stops waiting, and when the
//! program has ended but left something running. There is no shell.

use std::io::{self, ErrorKind};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::model::argv::Argv;
use crate::model::printable::printable;

/// Standard output that is kept when nobody says otherwise.
pub const STDOUT_BYTES_MAX: usize = 64 * 1024;
/// The end of standard error that is kept; the last lines say what went wrong.
const STDERR_BYTES_MAX: usize = 4 * 1024;
/// How long pipes may stay open after the group was killed: somebody who left the group may hold them.
const LAST_BYTES: Duration = Duration::from_millis(500);
/// What is read at once.
const CHUNK_BYTES: usize = 8 * 1024;
/// Characters of standard error in a sentence.
const WORDS_CHARS_MAX: usize = 200;

/// A program to be run once.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// What is run.
    pub argv: &'a Argv,
    /// Whether it inherits Cyan's own environment variables, and with them what secrets stand there; if
    /// not, it gets `PATH` alone.
    pub inherits: bool,
    /// Environment variables beside those.
    pub variables: Vec<(String, String)>,
    /// What it reads on its standard input, which ends after it.
    pub stdin: Vec<u8>,
    /// How long it may take.
    pub timeout: Duration,
    /// Bytes of standard output that are kept.
    pub stdout_bytes_max: usize,
}

/// How a program ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or the signal.
    pub status: ExitStatus,
    /// The beginning of its standard output.
    pub stdout: Vec<u8>,
    /// Whether there was more of it than is kept.
    pub stdout_was_cut: bool,
    /// The end of its standard error, fit for printing.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

/// Why a program did not end by itself. `Display` is safe to show to an API client.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("`{program}` cannot be started: {problem}; {}", remedy(*kind))]
    Start {
        /// What was to be run.
        program: String,
        /// What the system said.
        problem: String,
        /// What kind of problem it is.
        kind: ErrorKind,
    },
    /// It took too long and was killed, with everything it had started.
    #[error("`{program}` was killed after {} s{}", after.as_secs_f64(), last_words(stderr))]
    Timeout {
        /// What was run.
        program: String,
        /// Its timeout.
        after: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// The system would not tell how it ended.
    #[error("nobody knows how `{program}` ended: {problem}")]
    Wait {
        /// What was run.
        program: String,
        /// What the system said.
        problem: String,
    },
}

impl<'a> Program<'a> {
    /// A program without input and with nothing added to its environment.
    pub fn new(argv: &'a Argv, timeout: Duration) -> Self {
        let (variables, stdin) = (Vec::new(), Vec::new());
        let stdout_bytes_max = STDOUT_BYTES_MAX;
        Self { argv, inherits: true, variables, stdin, timeout, stdout_bytes_max }
    }

    /// Adds an environment variable. One with a zero byte cannot be handed on and is left out.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.contains('\0') {
            self.variables.push((name.to_owned(), value));
        }
        self
    }

    /// Runs it to its end. Cancel safe: who stops waiting kills it.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time. A bad exit code is no error here.
    pub async fn run(self) -> Result<Ended, ProgramError> {
        let began = Instant::now();
        let program = self.argv.program().to_owned();
        let child = self.start().map_err(|error| ProgramError::Start {
            program: program.clone(),
            problem: error.to_string(),
            kind: error.kind(),
        })?;
        let mut stdout = Kept::beginning(self.stdout_bytes_max);
        let mut stderr = Kept::end(STDERR_BYTES_MAX);
        let status = self.end(child, &mut stdout, &mut stderr).await;
        let stderr = stderr.into_text();
        match status {
            Ok(Ok(status)) => {
                let (stdout, stdout_was_cut) = (stdout.bytes, stdout.was_cut);
                Ok(Ended { status, stdout, stdout_was_cut, stderr, took: began.elapsed() })
            }
            Ok(Err(error)) => Err(ProgramError::Wait { program, problem: error.to_string() }),
            Err(_) => Err(ProgramError::Timeout { program, after: self.timeout, stderr }),
        }
    }

    /// Talks with the program until it or its time has ended, and kills what is left.
    async fn end(
        &self,
        mut child: Child,
        stdout: &mut Kept,
        stderr: &mut Kept,
    ) -> Result<io::Result<ExitStatus>, Elapsed> {
        let group = Group::of(&child);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut talk = std::pin::pin!(async {
            tokio::join!(write(pipes.0, &self.stdin), read(pipes.1, stdout), read(pipes.2, stderr));
        });
        let mut has_talked = false;
        // Pipes may be closed long before the end, or be held open long after it.
        let end = async {
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    () = &mut talk, if !has_talked => has_talked = true,
                }
            }
        };
        let status = timeout(self.timeout, end).await;
        drop(group);
        if !has_talked {
            // What was written before the end is still in the pipes.
            let _ = timeout(LAST_BYTES, talk).await;
        }
        status
    }

    fn start(&self) -> io::Result<Child> {
        let stdin = if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut command = Command::new(self.argv.program());
        if !self.inherits {
            command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        }
        command
            .args(self.argv.arguments())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

impl Ended {
    /// How it ended in words: `exit code 3: assertion failed`, or `signal 9`.
    pub fn sentence(&self) -> String {
        use std::os::unix::process::ExitStatusExt as _;
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown end".to_owned(),
        };
        how + &last_words(&self.stderr)
    }
}

/// The process group of a program, killed when nobody waits for it any more.
struct Group(Option<libc::pid_t>);

impl Group {
    /// The group that a child leads.
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| libc::pid_t::try_from(id).ok()).filter(|id| *id > 1))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // SAFETY: kill takes no pointers. The group is that of a child of ours; when nobody is left in
            // it there is no such group, and the number was given back moments ago at most.
            let _ = unsafe { libc::kill(-leader, libc::SIGKILL) };
        }
    }
}

/// A bounded part of what a program writes.
struct Kept {
    bytes: Vec<u8>,
    bytes_max: usize,
    keeps_end: bool,
    was_cut: bool,
}

impl Kept {
    fn beginning(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, keeps_end: false, was_cut: false }
    }

    fn end(bytes_max: usize) -> Self {
        Self { keeps_end: true, ..Self::beginning(bytes_max) }
    }

    fn add(&mut self, chunk: &[u8]) {
        let room = self.bytes_max.saturating_sub(self.bytes.len());
        self.was_cut |= chunk.len() > room;
        if self.keeps_end {
            self.bytes.extend_from_slice(chunk);
            let surplus = self.bytes.len().saturating_sub(self.bytes_max);
            self.bytes.drain(..surplus);
        } else {
            self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }

    fn into_text(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        text.trim().lines().map(printable).collect::<Vec<_>>().join("\n")
    }
}

/// Who does not read its input has its reasons, so that a failed write is no error.
async fn write(pipe: Option<impl tokio::io::AsyncWrite + Unpin>, bytes: &[u8]) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(bytes).await;
    }
}

/// Reads to the end, also what is not kept.
async fn read(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Kept) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
        kept.add(&chunk[..read]);
    }
}

/// The last line of standard error as the end of a sentence; nothing when there is none.
fn last_words(stderr: &str) -> String {
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(String::new, |line| {
        format!(": {}", line.trim().chars().take(WORDS_CHARS_MAX).collect::<String>())
    })
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "write its whole path, or install it where cyan runs",
        ErrorKind::PermissionDenied => "make it executable for the user that cyan runs as",
        _ => "try it by hand as the user that cyan runs as",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn sh(script: &str) -> Argv {
        Argv::try_from(["/bin/sh", "-c", script].map(str::to_owned).to_vec()).unwrap()
    }

    async fn run(script: &str) -> Ended {
        Program::new(&sh(script), PATIENCE).variable("GREETING", "good day").run().await.unwrap()
    }

    /// Waits until nobody of this process group is left.
    async fn gone(group: libc::pid_t) {
        let deadline = Instant::now() + PATIENCE;
        // SAFETY: kill takes no pointers, and signal 0 does nothing.
        while unsafe { libc::kill(-group, 0) } == 0 && !is_dead(group) {
            assert!(Instant::now() < deadline, "process group {group} still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether all that is left of a group waits to be reaped (by an init that may not care).
    fn is_dead(group: libc::pid_t) -> bool {
        let stats = std::fs::read_dir("/proc").unwrap().flatten();
        let stats = stats.filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok());
        stats.filter_map(|stat| Some(stat.rsplit_once(')')?.1.to_owned())).all(|fields| {
            let fields: Vec<&str> = fields.split_whitespace().collect();
            fields.get(2) != Some(&group.to_string().as_str()) || fields.first() == Some(&"Z")
        })
    }

    #[tokio::test]
    async fn output_and_exit_code_are_those_of_the_program() {
        let ended =
            run("echo \"$GREETING\"; echo first >&2; printf 'no\\033 luck' >&2; exit 3").await;
        assert_eq!(ended.stdout, b"good day\n");
        assert_eq!(ended.stderr, "first\nno\\u001b luck");
        assert_eq!(ended.sentence(), "exit code 3: no\\u001b luck");
        assert_eq!(run("kill -9 $$").await.sentence(), "signal 9");
        assert_eq!(
            run("exec >&- 2>&-; exit 4").await.sentence(),
            "exit code 4",
            "pipes closed early"
        );
    }

    #[tokio::test]
    async fn a_program_that_inherits_nothing_has_a_path_and_its_own_variables() {
        let argv = sh("/usr/bin/env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=");
        let program = Program { inherits: false, ..Program::new(&argv, PATIENCE) };
        let ended = program.variable("CYAN_SERVICE", "chat").run().await.unwrap();
        let text = String::from_utf8(ended.stdout).unwrap();
        let mut names: Vec<_> = text.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["CYAN_SERVICE", "PATH"]);
    }

    #[tokio::test]
    async fn input_is_handed_on_and_may_be_left_unread() {
        let reads = sh("cat");
        let program = Program { stdin: vec![b'x'; 300_000], ..Program::new(&reads, PATIENCE) };
        let ended = program.run().await.unwrap();
        assert_eq!((ended.stdout.len(), ended.stdout_was_cut), (STDOUT_BYTES_MAX, true));
        let ignores = sh("exit 0");
        let program = Program { stdin: vec![b'x'; 300_000], ..Program::new(&ignores, PATIENCE) };
        assert!(program.run().await.unwrap().status.success());
    }

    #[tokio::test]
    async fn endless_output_is_bounded_and_ended() {
        let endless = sh("echo $$ >&2; exec yes");
        let error = Program::new(&endless, Duration::from_millis(300)).run().await.unwrap_err();
        let ProgramError::Timeout { stderr, .. } = &error else { panic!("{error}") };
        gone(stderr.parse().unwrap()).await;
        assert!(error.to_string().starts_with("`/bin/sh` was killed after 0.3 s: "), "{error}");
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_is_killed_with_it() {
        // The one left behind holds the pipes, which would otherwise be read for its 100 s.
        let began = Instant::now();
        let ended = run("sleep 100 & echo $$").await;
        assert!(ended.status.success() && began.elapsed() < PATIENCE);
        gone(String::from_utf8(ended.stdout).unwrap().trim().parse().unwrap()).await;
    }

    #[tokio::test]
    async fn who_stops_waiting_kills_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let argv = sh(&format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 100", path.display()));
        let waiting = tokio::spawn(async move { Program::new(&argv, PATIENCE).run().await });
        let deadline = Instant::now() + PATIENCE;
        while !path.exists() {
            assert!(Instant::now() < deadline, "it never began");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        waiting.abort();
        gone(std::fs::read_to_string(path).unwrap().trim().parse().unwrap()).await;
    }

    #[tokio::test]
    async fn what_cannot_be_started_says_why_and_what_to_do() {
        let argv = Argv::try_from(vec!["/no/such/program".to_owned()]).unwrap();
        let error = Program::new(&argv, PATIENCE).run().await.unwrap_err().to_string();
        assert!(error.starts_with("`/no/such/program` cannot be started: No such file"), "{error}");
        assert!(
            error.ends_with("; write its whole path, or install it where cyan runs"),
            "{error}"
        );
        let text = tempfile::NamedTempFile::new().unwrap();
        let argv = Argv::try_from(vec![text.path().to_str().unwrap().to_owned()]).unwrap();
        let error = Program::new(&argv, PATIENCE).run().await.unwrap_err().to_string();
        assert!(error.ends_with("; make it executable for the user that cyan runs as"), "{error}");
    }
}
