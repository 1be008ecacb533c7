//! The running process waits for the next one, lends it its sockets and leaves it its state.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::message::{Lent, Line, LineError, Message, PROTOCOL};
use super::{Sockets, is_one_of_us, socket_path};
use crate::control_plane::handle::ControllerHandle;
use crate::listen::Listening;

/// For a message that needs no work.
const WORD_LIMIT: Duration = Duration::from_secs(5);
/// For reading a config and binding what is new in it. Nothing waits meanwhile.
const PREPARE_LIMIT: Duration = Duration::from_secs(60);
/// For reading the state and asking upstreams whether they answer. Nothing is judged meanwhile.
const RESTORE_LIMIT: Duration = Duration::from_secs(10);
/// For one that cannot be done without any more.
const FOREVER: Duration = Duration::MAX;
/// After a failed accept, for which there is no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The place where a next process may ask.
#[derive(Debug)]
pub struct Offer {
    socket: UnixListener,
    path: PathBuf,
    // Cells, since one task stands here and looks.
    has_lent: Cell<bool>,
    is_lending: Cell<bool>,
}

/// The process that has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heir {
    /// Its number, as far as the system tells.
    pub pid: Option<u32>,
}

impl Offer {
    /// Waits in the state directory, which is this process's own.
    ///
    /// # Errors
    /// When the system gives no socket there.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let path = socket_path(state_dir);
        // Whoever has the state has the name: the socket found here is that of a process before.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { socket, path, has_lent: Cell::new(false), is_lending: Cell::new(false) })
    }

    /// Returns when another process serves in place of this one. Who asks and does not come to serve is
    /// told of in the log. Cancel safe: a takeover under way is called off. The heir is told on the connection
    /// what is still in flight, for as long as it is held.
    pub async fn stand(&self, controller: &ControllerHandle, sockets: &Sockets) -> (Heir, Line) {
        loop {
            let Ok((stream, _)) = self.socket.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            match self.converse(stream, controller, sockets).await {
                Ok(heir) => return heir,
                Err(problem) => {
                    self.is_lending.set(false);
                    tracing::warn!(%problem, "nobody has taken over; this process goes on");
                }
            }
        }
    }

    /// Nobody will be waited for any more. After a takeover the name belongs to another, and stays.
    pub fn withdraw(self) {
        // A file that stays is replaced by the next process.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Whether somebody has sockets of this process and was let neither serve nor go.
    pub fn is_lending(&self) -> bool {
        self.is_lending.get()
    }

    /// Whether somebody was ever lent a socket, and may serve it without this process's knowing.
    pub fn has_lent(&self) -> bool {
        self.has_lent.get()
    }

    async fn converse(
        &self,
        stream: UnixStream,
        controller: &ControllerHandle,
        sockets: &Sockets,
    ) -> Result<(Heir, Line), LineError> {
        if !is_one_of_us(&stream) {
            return Err(LineError::Refused("it belongs to another user".to_owned()));
        }
        let pid = stream.peer_cred().ok().and_then(|peer| u32::try_from(peer.pid()?).ok());
        let mut line = Line::new(stream);
        greet(&mut line).await?;
        self.has_lent.set(true);
        self.is_lending.set(true);
        lend(&mut line, sockets).await?;
        line.expect(&Message::Prepared, PREPARE_LIMIT).await?;
        tracing::info!(pid, "another process takes over");
        let away = match controller.hand_over().await {
            Ok(away) => away,
            Err(error) => return refuse(&mut line, error.to_string()).await,
        };
        line.say(&Message::StateIsFree, WORD_LIMIT).await?;
        line.expect(&Message::Ready, RESTORE_LIMIT).await?;
        line.say(&Message::LetGo, WORD_LIMIT).await?;
        until_serving(&mut line).await?;
        away.is_taken();
        Ok((Heir { pid }, line))
    }
}

async fn greet(line: &mut Line) -> Result<(), LineError> {
    let heard = line.hear(WORD_LIMIT).await?;
    let Message::Hello { protocol, version } = heard else {
        return Err(LineError::Garbage(format!("expected Hello, heard {heard:?}")));
    };
    if protocol == PROTOCOL {
        return Ok(());
    }
    let ours = env!("CARGO_PKG_VERSION");
    let problem = format!(
        "the running Cyan ({ours}) hands over by protocol {PROTOCOL}, the new one ({version}) by \
         {protocol}; stop the running one and start the new one"
    );
    refuse(line, problem).await
}

/// Waits for the heir's last word. It may serve as soon as it runs, and has the state: however long it is
/// silent, only its end gives both back.
async fn until_serving(line: &mut Line) -> Result<(), LineError> {
    let heard = {
        let mut serving = pin!(line.expect(&Message::Serving, FOREVER));
        let in_time = tokio::time::timeout(WORD_LIMIT, &mut serving).await;
        if let Ok(heard) = in_time {
            heard
        } else {
            tracing::warn!(
                "the new process was let serve and says nothing; waiting for it or its end"
            );
            serving.await
        }
    };
    if let Err(LineError::Garbage(_) | LineError::Refused(_)) = heard {
        line.ended().await;
    }
    heard
}

async fn refuse<T>(line: &mut Line, problem: String) -> Result<T, LineError> {
    line.say(&Message::Refused { problem: problem.clone() }, WORD_LIMIT).await?;
    Err(LineError::Refused(problem))
}

async fn lend(line: &mut Line, sockets: &Sockets) -> Result<(), LineError> {
    let public = sockets.public.iter().map(|listening| (listening, false));
    let all: Vec<(&Listening, bool)> =
        public.chain(sockets.admin.iter().map(|listening| (listening, true))).collect();
    let describe = |(listening, is_admin): &(&Listening, bool)| Lent {
        address: listening.address.clone(),
        is_admin: *is_admin,
        is_ours: listening.is_ours,
        count: listening.sockets.len(),
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let welcome = Message::Welcome { version, sockets: all.iter().map(describe).collect() };
    line.say(&welcome, WORD_LIMIT).await?;
    for (listening, _) in all {
        let descriptors: Vec<_> = listening.sockets.iter().map(AsFd::as_fd).collect();
        line.lend(&descriptors, WORD_LIMIT).await?;
    }
    Ok(())
}
