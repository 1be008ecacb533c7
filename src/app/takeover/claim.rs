//! The new process asks the running one for its sockets and its state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;

use super::message::{Lent, Line, LineError, Message, PROTOCOL};
use super::{Sockets, is_one_of_us};
use crate::listen::{Bound, Listening};

/// For a message that needs no work. Above the time that the running one gives the controller's disk.
const WORD_LIMIT: Duration = Duration::from_secs(10);

/// For the system to close everything that a dead process had open.
const DEATH_LIMIT: Duration = Duration::from_millis(500);

/// Why the running process goes on, and this one ends.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// There is none.
    #[error(
        "no Cyan can be taken over at `{}`: {problem}; start without --takeover, or name the running \
         one's socket: --takeover=STATE_DIR/takeover.sock", path.display()
    )]
    Nobody {
        /// Where it should have been.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// Somebody else has put a socket there.
    #[error("`{}` belongs to another user's process; run as the user of the running Cyan", .0.display())]
    Foreign(PathBuf),
    /// It does not go on.
    #[error("the takeover has failed, and the running Cyan goes on serving: {0}")]
    Failed(String),
}

/// A takeover under way. Dropped, it is called off.
#[derive(Debug)]
pub struct Claim {
    line: Line,
    path: PathBuf,
    is_alone: bool,
}

impl Claim {
    /// Asks the process that waits at `path`, and takes its sockets. They are accepted from by it alone
    /// until `let_go` returns.
    ///
    /// # Errors
    /// When nobody waits there, or it refuses.
    pub async fn begin(path: &Path) -> Result<(Self, Sockets), ClaimError> {
        let stream = UnixStream::connect(path).await.map_err(|error| ClaimError::Nobody {
            path: path.to_owned(),
            problem: error.to_string(),
        })?;
        if !is_one_of_us(&stream) {
            return Err(ClaimError::Foreign(path.to_owned()));
        }
        let mut claim = Self { line: Line::new(stream), path: path.to_owned(), is_alone: false };
        let sockets = claim.borrow_sockets().await.map_err(failed)?;
        Ok((claim, sockets))
    }

    /// Everything but the state is there: asks for that. When this returns, it may be taken.
    ///
    /// # Errors
    /// When the running one keeps it.
    pub async fn ask_for_state(&mut self) -> Result<(), ClaimError> {
        self.step(&Message::Prepared, &Message::StateIsFree).await
    }

    /// Whether the other one has gone or is ending, so that this one goes on by itself. The state may be a
    /// while in coming back then.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// All that is missing is the word of the running one: asks for that. Whoever has it accepts.
    ///
    /// # Errors
    /// When the running one goes on.
    pub async fn ask_to_serve(&mut self) -> Result<(), ClaimError> {
        self.step(&Message::Ready, &Message::LetGo).await?;
        // An earlier version takes its word back from one that was stopped for five seconds.
        if !self.is_alone && self.line.has_hung_up() && self.is_somebody_there().await {
            return Err(failed(LineError::Gone));
        }
        Ok(())
    }

    /// Clients are served: the one before may stop accepting. It tells on the connection what it has in
    /// flight, until it ends.
    pub async fn tell_serving(mut self) -> Line {
        // One that hears nothing of it has gone.
        let _ = self.line.say(&Message::Serving, WORD_LIMIT).await;
        self.line
    }

    async fn borrow_sockets(&mut self) -> Result<Sockets, LineError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.line.say(&Message::Hello { protocol: PROTOCOL, version }, WORD_LIMIT).await?;
        let heard = self.line.hear(WORD_LIMIT).await?;
        let Message::Welcome { sockets: lists, .. } = heard else {
            return Err(LineError::Garbage(format!("expected Welcome, heard {heard:?}")));
        };
        let mut sockets = Sockets::default();
        for Lent { address, is_admin, is_ours, count } in lists {
            let borrowed = self.line.borrow(count, WORD_LIMIT).await?;
            let adopted: std::io::Result<Vec<_>> = borrowed.into_iter().map(Bound::adopt).collect();
            let adopted =
                adopted.map_err(|error| LineError::Garbage(format!("{address}: {error}")))?;
            if adopted.is_empty() {
                continue;
            }
            let set = if is_admin { &mut sockets.admin } else { &mut sockets.public };
            set.add(Listening { address, sockets: adopted, is_ours });
        }
        Ok(sockets)
    }

    async fn step(&mut self, word: &Message, answer: &Message) -> Result<(), ClaimError> {
        if self.is_alone {
            return Ok(());
        }
        let stepped = async {
            self.line.say(word, WORD_LIMIT).await?;
            self.line.expect(answer, WORD_LIMIT).await
        };
        match stepped.await {
            // It was killed, or is ending: then nobody serves but us, and its state is free or will be.
            Err(LineError::Gone) if !self.is_somebody_there().await => {
                tracing::warn!(
                    "the process that was to be taken over has died or is ending; going on without it"
                );
                self.is_alone = true;
                Ok(())
            }
            stepped => stepped.map_err(failed),
        }
    }

    /// Whether the process still waits for others: a dead one's socket refuses, and one that is just dying
    /// takes with it whoever waits there.
    pub async fn is_somebody_there(&self) -> bool {
        let Ok(stream) = UnixStream::connect(&self.path).await else { return false };
        !matches!(Line::new(stream).hear(DEATH_LIMIT).await, Err(LineError::Gone))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error, and reads so")]
fn failed(error: LineError) -> ClaimError {
    ClaimError::Failed(error.to_string())
}
