//! One request over HTTP/1.1.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::caller::{HOST, Heard, method, path, waits};
use super::ledger::Ledger;
use super::script::{ANSWERED, Act, HEADER, NUMBER, Script, Shape, close_frames};
use super::told::{Ask, End, Leave};
use super::upstream::frame;
use super::wire::{Ended, Framing, Head, Reading, Wire};

/// The pause of a client that takes its time, after each piece.
const PAUSE: Duration = Duration::from_millis(1);
/// Bytes of an upload in a chunk.
const CHUNK_BYTES: usize = 3000;

/// Any byte stream.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// A connection to Cyan.
pub struct Connection {
    wire: Wire<Box<dyn Socket>>,
    goes_on: bool,
}

impl Connection {
    /// A fresh one.
    pub fn over(stream: Box<dyn Socket>) -> Self {
        Self { wire: Wire::over(stream), goes_on: true }
    }

    /// Whether Cyan has closed it meanwhile.
    pub async fn was_closed(&mut self) -> bool {
        self.wire.was_closed().await
    }

    /// Itself, if it can take another request.
    pub fn goes_on(self) -> Option<Self> {
        Some(self).filter(|connection| connection.goes_on)
    }
}

/// Sends a request and reads its answer.
pub async fn exchange(connection: &mut Connection, ask: &Ask, ledger: &Ledger) -> Heard {
    connection.goes_on = false;
    let wire = &mut connection.wire;
    // Who cannot send everything may have been answered all the same.
    wire.send(request_head(ask)).await;
    if upload(wire, ask).await {
        return Heard::nothing(End::Left);
    }
    if ask.leaves == Some(Leave::Waiting) {
        waits(ledger, ask.number).await;
        return Heard::nothing(End::Left);
    }
    let Some(head) = wire.head().await else { return Heard::nothing(End::Nothing) };
    let mut answer = Heard {
        status: head.status(),
        answered: head.field(ANSWERED).map(str::to_owned),
        body: Vec::new(),
        end: End::Broken,
    };
    answer.end = if head.status() == Some(101) {
        talk(wire, ask, &mut answer.body).await
    } else {
        let enough = enough(ask);
        let reading = Reading { pause: ask.is_slow.then_some(PAUSE), enough };
        let framing = head.framing(Framing::UntilClose);
        let ended = wire.body(framing, reading, &mut answer.body).await;
        connection.goes_on = ended == Ended::Whole && stays(&head, framing);
        end(ended)
    };
    answer
}

fn stays(head: &Head, framing: Framing) -> bool {
    framing != Framing::UntilClose && head.field("connection") != Some("close")
}

fn end(ended: Ended) -> End {
    match ended {
        Ended::Whole => End::Whole,
        Ended::Broken => End::Broken,
        Ended::Enough => End::Left,
    }
}

fn enough(ask: &Ask) -> Option<usize> {
    match ask.leaves {
        Some(Leave::Answer(bytes)) => Some(bytes),
        _ => None,
    }
}

fn request_head(ask: &Ask) -> String {
    let Ask { number, script, user, .. } = ask;
    let (method, path) = (method(script), path(ask));
    let more = match script.shape {
        Shape::Tunnel => {
            "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                .to_owned()
        }
        Shape::Stream => {
            let length = script.upload().len();
            format!("content-type: application/json\r\ncontent-length: {length}\r\n")
        }
        _ if script.upload > 0 => "transfer-encoding: chunked\r\n".to_owned(),
        _ => String::new(),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {HOST}\r\n{NUMBER}: {number}\r\nx-user-id: {user}\r\n\
         {HEADER}: {}\r\n{more}\r\n",
        script.header()
    )
}

/// Sends the body; true when the client leaves on the way.
async fn upload(wire: &mut Wire<Box<dyn Socket>>, ask: &Ask) -> bool {
    let upload = ask.script.upload();
    if ask.script.shape == Shape::Stream {
        wire.send(upload).await;
        return false;
    }
    if ask.script.upload == 0 {
        return false;
    }
    for (index, piece) in upload.chunks(CHUNK_BYTES).enumerate() {
        let sent = index * CHUNK_BYTES;
        if matches!(ask.leaves, Some(Leave::Upload(bytes)) if sent + piece.len() > bytes) {
            return true;
        }
        if !wire.send(frame(piece)).await {
            return false;
        }
        if ask.is_slow {
            tokio::time::sleep(PAUSE).await;
        }
    }
    wire.send("0\r\n\r\n").await;
    false
}

/// Says every word of the script and hears it again, then closes.
async fn talk(wire: &mut Wire<Box<dyn Socket>>, ask: &Ask, heard: &mut Vec<u8>) -> End {
    let Script { length, .. } = ask.script;
    let (ours, theirs) = close_frames();
    for index in 0..=length {
        let (said, answer) = if index < length {
            let word = ask.script.word(index);
            (word.frame(), word.answer().len())
        } else {
            (ours.clone(), theirs.len())
        };
        if matches!(ask.leaves, Some(Leave::Answer(bytes)) if heard.len() >= bytes) {
            return End::Left;
        }
        wire.send(said).await;
        let framing = Framing::Length(answer);
        if wire.body(framing, Reading::default(), heard).await != Ended::Whole {
            return End::Broken;
        }
        if ask.script.act != Act::Finish {
            tokio::time::sleep(PAUSE).await;
        }
    }
    End::Whole
}
