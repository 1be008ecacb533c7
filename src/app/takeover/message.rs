//! What two processes say to each other in a takeover: a length of four bytes and a JSON object, with
//! sockets between.
//!
//! Both may be of different versions, and the socket may be found by a program that speaks something
//! else. So nothing is believed: lengths and counts have limits, every wait has one, and the number of
//! the protocol is told first.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use crate::control_plane::predecessor::InFlightByEnvironment;
use crate::model::listener::ListenAddress;

/// The number of these messages and their order. A field that the other side may ignore needs no new one.
pub const PROTOCOL: u32 = 1;
/// Some hundred listeners with long paths.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// More than cores times listeners anywhere; beyond it, it is a mistake.
const SOCKETS_MAX: usize = 4096;
/// Sockets in one post; the kernel takes 253.
const POSTED_MAX: usize = 64;

/// One message. Which side says which, and when, is in `super`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Message {
    /// I would like to take over.
    Hello {
        /// `PROTOCOL` of who says it.
        protocol: u32,
        /// Its version, for people.
        version: String,
    },
    /// No; nothing has changed.
    Refused {
        /// Why, and what to do.
        problem: String,
    },
    /// These sockets follow.
    Welcome {
        /// The version of who says it.
        version: String,
        /// Its sockets, in the order in which they follow.
        sockets: Vec<Lent>,
    },
    /// Everything but the state is there.
    Prepared,
    /// The state is written, and may be taken.
    StateIsFree,
    /// The state is taken; all that is missing is the word.
    Ready,
    /// The word.
    LetGo,
    /// Clients are served; you may stop accepting.
    Serving,
    /// What is left to be finished where the state was before. Not every version says it.
    Finishing {
        /// Exchanges in flight; `None` while requests may still come in.
        #[serde(default)]
        in_flight: Option<InFlightByEnvironment>,
        /// Drains that were under way, told once.
        #[serde(default)]
        drains: Vec<Unfinished>,
    },
}

/// A drain that has lost its process.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Where the environment is.
    pub service: String,
    /// Which it is.
    pub environment: String,
    /// Until its deadline.
    pub left_ms: u64,
}

/// The sockets of one address.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// The address as the config has it.
    pub address: ListenAddress,
    /// Whether it is the admin API's.
    pub is_admin: bool,
    /// Whether a unix socket's file goes when Cyan ends.
    pub is_ours: bool,
    /// How many sockets follow.
    pub count: usize,
}

/// Why two processes do not understand each other.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It has closed the connection, or is dead.
    #[error("the other process has gone")]
    Gone,
    /// It says nothing.
    #[error("the other process has said nothing for {0:?}")]
    Silent(Duration),
    /// It says something else.
    #[error("the other process does not speak the language of a takeover: {0}")]
    Garbage(String),
    /// It, or we, do not want to.
    #[error("{0}")]
    Refused(String),
}

/// A connection between two processes.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
}

impl Line {
    /// Over this connection.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Says something. A peer that reads nothing is one that has gone, after `limit`.
    pub async fn say(&mut self, message: &Message, limit: Duration) -> Result<(), LineError> {
        let text = serde_json::to_vec(message).map_err(garbage)?;
        let length = u32::try_from(text.len()).map_err(garbage)?;
        let written = async {
            self.stream.write_all(&length.to_be_bytes()).await?;
            self.stream.write_all(&text).await
        };
        in_time(written, limit).await
    }

    /// Hears what the other side says within `limit`.
    pub async fn hear(&mut self, limit: Duration) -> Result<Message, LineError> {
        let mut length = [0; 4];
        in_time(self.stream.read_exact(&mut length), limit).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(garbage(format!(
                "a message of {length} bytes; at most {MESSAGE_BYTES_MAX} are possible"
            )));
        }
        let mut text = vec![0; length];
        in_time(self.stream.read_exact(&mut text), limit).await?;
        match serde_json::from_slice(&text).map_err(garbage)? {
            Message::Refused { problem } => Err(LineError::Refused(problem)),
            message => Ok(message),
        }
    }

    /// Hears exactly this.
    pub async fn expect(&mut self, expected: &Message, limit: Duration) -> Result<(), LineError> {
        let heard = self.hear(limit).await?;
        if heard == *expected {
            return Ok(());
        }
        Err(garbage(format!("expected {expected:?}, heard {heard:?}")))
    }

    /// Whether the other side has hung up already. To be asked between messages, when it has nothing to say.
    pub fn has_hung_up(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Ok(0))
    }

    /// Waits until the other side has hung up; whatever it says is not heard.
    pub async fn ended(&mut self) {
        let mut unheard = [0; 1024];
        while let Ok(1..) = self.stream.read(&mut unheard).await {}
    }

    /// Lends sockets.
    pub async fn lend(
        &mut self,
        sockets: &[BorrowedFd<'_>],
        limit: Duration,
    ) -> Result<(), LineError> {
        for post in sockets.chunks(POSTED_MAX) {
            in_time(self.stream.async_io(Interest::WRITABLE, || send(&self.stream, post)), limit)
                .await?;
        }
        Ok(())
    }

    /// Takes so many sockets.
    pub async fn borrow(
        &mut self,
        count: usize,
        limit: Duration,
    ) -> Result<Vec<OwnedFd>, LineError> {
        if count > SOCKETS_MAX {
            return Err(garbage(format!("{count} sockets; at most {SOCKETS_MAX} are possible")));
        }
        let mut sockets = Vec::with_capacity(count);
        while sockets.len() < count {
            let post = self.stream.async_io(Interest::READABLE, || receive(&self.stream));
            let post = in_time(post, limit).await?;
            if post.is_empty() {
                return Err(garbage("sockets were announced and did not come"));
            }
            sockets.extend(post);
        }
        if sockets.len() > count {
            return Err(garbage(format!("{} sockets instead of {count}", sockets.len())));
        }
        Ok(sockets)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn garbage(problem: impl ToString) -> LineError {
    LineError::Garbage(problem.to_string())
}

async fn in_time<T>(
    work: impl Future<Output = io::Result<T>>,
    limit: Duration,
) -> Result<T, LineError> {
    let done = tokio::time::timeout(limit, work).await;
    done.map_err(|_| LineError::Silent(limit))?.map_err(|_| LineError::Gone)
}

/// A byte, with sockets attached. The byte keeps them from being mixed up with the next message.
fn send(stream: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(POSTED_MAX))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    if !attached.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(stream, &[IoSlice::new(&[0])], &mut attached, SendFlags::empty())?;
    Ok(())
}

fn receive(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(POSTED_MAX))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let received = recvmsg(stream, &mut bytes, &mut attached, RecvFlags::empty())?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut sockets = Vec::new();
    for message in attached.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            sockets.extend(more);
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn lines() -> (Line, Line) {
        let (one, other) = UnixStream::pair().unwrap();
        (Line::new(one), Line::new(other))
    }

    /// What a listener makes of these bytes.
    async fn heard(bytes: &[u8]) -> Result<Message, LineError> {
        let (mut one, mut other) = lines();
        one.stream.write_all(bytes).await.unwrap();
        drop(one);
        other.hear(LIMIT).await
    }

    #[tokio::test]
    async fn messages_and_sockets_arrive_in_order() {
        let (mut one, mut other) = lines();
        let sockets: Vec<TcpListener> =
            (0..150).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let lent: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        one.say(&Message::Prepared, LIMIT).await.unwrap();
        one.lend(&lent, LIMIT).await.unwrap();
        one.say(&Message::Ready, LIMIT).await.unwrap();
        other.expect(&Message::Prepared, LIMIT).await.unwrap();
        let borrowed = other.borrow(150, LIMIT).await.unwrap();
        other.expect(&Message::Ready, LIMIT).await.unwrap();
        for (socket, borrowed) in sockets.iter().zip(borrowed) {
            let borrowed = TcpListener::from(borrowed);
            assert_eq!(borrowed.local_addr().unwrap(), socket.local_addr().unwrap());
        }
    }

    #[tokio::test]
    async fn garbage_is_said_to_be_garbage() {
        for (bytes, problem) in [
            (&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], "at most 65536 are possible"),
            (&[0xff; 16][..], "a message of 4294967295 bytes"),
            (&[0, 0, 0, 2, b'{', b'}'][..], "missing field `say`"),
            (&[0, 0, 0, 0][..], "EOF"),
            (&[0, 0, 0, 15, 0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13][..], "expected"),
            (&b"\0\0\0\x0f{\"say\":\"world\"}"[..], "unknown variant `world`"),
        ] {
            let error = heard(bytes).await.unwrap_err();
            assert!(matches!(error, LineError::Garbage(_)), "{error:?}");
            assert!(error.to_string().contains(problem), "{error}");
        }
        for bytes in [&b""[..], b"\0\0", b"\0\0\0\x0f{\"say\""] {
            assert!(matches!(heard(bytes).await, Err(LineError::Gone)), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn sockets_that_do_not_come_or_are_too_many_are_refused() {
        let (mut one, mut other) = lines();
        one.say(&Message::Prepared, LIMIT).await.unwrap();
        let error = other.borrow(1, LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("did not come"), "{error}");
        let error = other.borrow(5000, LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("at most 4096"), "{error}");
    }

    #[tokio::test]
    async fn nobody_is_waited_for_without_end() {
        let limit = Duration::from_millis(20);
        let (_one, mut other) = lines();
        assert!(matches!(other.hear(limit).await, Err(LineError::Silent(_))));
        assert!(matches!(other.borrow(1, limit).await, Err(LineError::Silent(_))));
    }
}
