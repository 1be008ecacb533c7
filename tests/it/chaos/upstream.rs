//! Upstreams that do as they are told by each request, and to which worse can be done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::ledger::{Ledger, What};
use super::script::{ANSWERED, Act, HEADER, NUMBER, Script, Shape, Word, close_frames};
use super::wire::{Ended, Framing, Head, Reading, Wire};

const PAUSE: Duration = Duration::from_millis(2);
const LONG_PAUSE: Duration = Duration::from_millis(300);
/// Connections that wait to be accepted, most.
const BACKLOG: u32 = 1024;

/// An upstream over HTTP/1.1; it stops when dropped.
pub struct Server {
    /// Where it listens, or would.
    pub address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
    /// Holds the port while nobody listens on it.
    _reserved: TcpSocket,
}

struct State {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    mood: watch::Sender<Mood>,
    resets: watch::Sender<u64>,
    lies: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Stalled,
    Closed,
}

/// How a connection ends.
enum Ending {
    Close,
    Reset,
}

impl Server {
    /// Starts one; a liar sends a wrong byte now and then.
    pub fn start(ledger: &Arc<Ledger>, lies: bool) -> Self {
        let reserved = socket("127.0.0.1:0".parse().expect("an address"));
        let address = reserved.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            address,
            ledger: Arc::clone(ledger),
            mood: watch::Sender::new(Mood::Well),
            resets: watch::Sender::new(0),
            lies,
        });
        let listener = socket(address).listen(BACKLOG).expect("the port is ours");
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Self { address, state, accepting, _reserved: reserved }
    }

    /// Listens no more, and resets every connection. Nobody writes it down.
    pub fn close(&self) {
        self.state.mood.send_replace(Mood::Closed);
        self.reset();
    }

    /// Resets every connection. Nobody writes it down.
    pub fn reset(&self) {
        self.state.resets.send_modify(|count| *count += 1);
    }

    /// Sends nothing more for the moment.
    pub fn stall(&self) {
        self.state.mood.send_replace(Mood::Stalled);
    }

    /// Is well again.
    pub fn heal(&self) {
        self.state.mood.send_replace(Mood::Well);
    }

    /// Whether it listens, or is about to.
    pub fn is_well(&self) -> bool {
        *self.state.mood.borrow() == Mood::Well
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A bound socket that leaves its port to others that listen.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a fresh socket takes options");
    socket.bind(address).expect("a free loopback port");
    socket
}

async fn accept(mut listener: TcpListener, state: Arc<State>) {
    let mut visits = JoinSet::new();
    let mut mood = state.mood.subscribe();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                visits.spawn(meet(stream, Arc::clone(&state)));
            }
            () = becomes(&mut mood, |mood| mood == Mood::Closed) => {
                drop(listener);
                becomes(&mut mood, |mood| mood != Mood::Closed).await;
                listener = socket(state.address).listen(BACKLOG).expect("the port is ours");
            }
        }
        while visits.try_join_next().is_some() {}
    }
}

async fn becomes(mood: &mut watch::Receiver<Mood>, wanted: fn(Mood) -> bool) {
    let _ = mood.wait_for(|mood| wanted(*mood)).await;
}

async fn meet(stream: TcpStream, state: Arc<State>) {
    let mut resets = state.resets.subscribe();
    let mut wire = Wire::over(stream);
    let ending = tokio::select! {
        ending = serve(&mut wire, &state) => ending,
        _ = resets.changed() => Ending::Reset,
    };
    if let (Ending::Reset, Ok(stream)) = (ending, wire.stream.into_std()) {
        let _ = socket2::Socket::from(stream).set_linger(Some(Duration::ZERO));
    }
}

async fn serve(wire: &mut Wire<TcpStream>, state: &State) -> Ending {
    while let Some(head) = wire.head().await {
        let Some((number, script)) = read(&head) else {
            // A look at whether it is there, not a request.
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            continue;
        };
        state.ledger.visited(number);
        let _at_work = state.ledger.works_on(number);
        if matches!(script.act, Act::Mute | Act::Garbage) {
            state.ledger.harm(state.address, What::Failed);
        }
        if script.act == Act::Mute {
            return Ending::Reset;
        }
        if !state.take_upload(wire, &head, number, script).await {
            return Ending::Close;
        }
        if let Some(ending) = state.answer(wire, number, script).await {
            return ending;
        }
    }
    Ending::Close
}

fn read(head: &Head) -> Option<(u64, Script)> {
    Some((head.field(NUMBER)?.parse().ok()?, Script::read(head.field(HEADER)?)?))
}

impl State {
    /// Reads what is uploaded; false when it breaks off.
    async fn take_upload(
        &self,
        wire: &mut Wire<TcpStream>,
        head: &Head,
        number: u64,
        script: Script,
    ) -> bool {
        let mut upload = Vec::new();
        let framing = head.framing(Framing::Length(0));
        let is_whole = wire.body(framing, Reading::default(), &mut upload).await == Ended::Whole;
        self.check(number, script, &upload, is_whole);
        is_whole
    }

    /// Holds an upload against what the client has sent.
    fn check(&self, number: u64, script: Script, upload: &[u8], is_whole: bool) {
        let sent = script.upload();
        if !sent.starts_with(upload) || (is_whole && upload.len() != sent.len()) {
            let (came, of) = (upload.len(), sent.len());
            self.ledger.complain(format!(
                "wrong bytes uploaded by request {number}: {came} of {of}, whole: {is_whole}"
            ));
        }
    }

    /// Plays the script; `None` when the connection goes on.
    async fn answer(
        &self,
        wire: &mut Wire<TcpStream>,
        number: u64,
        script: Script,
    ) -> Option<Ending> {
        match script.act {
            Act::Garbage => {
                wire.send("SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
                return Some(Ending::Close);
            }
            Act::Silent => {
                wire.until_closed().await;
                return Some(Ending::Close);
            }
            _ => {}
        }
        self.recovered().await;
        if script.shape == Shape::Tunnel {
            return Some(self.echo(wire, number, script).await);
        }
        if !wire.send(answer_head(number, script)).await {
            return Some(Ending::Close);
        }
        self.send_body(wire, script).await
    }

    async fn send_body(&self, wire: &mut Wire<TcpStream>, script: Script) -> Option<Ending> {
        let is_chunked = script.shape != Shape::Sized;
        let mut sent = 0;
        for (index, piece) in self.pieces(script).into_iter().enumerate() {
            let (now, is_last) = part(script, sent, &piece);
            sent += now.len();
            self.recovered().await;
            let chunk = if is_chunked && !now.is_empty() { frame(&now) } else { now.to_vec() };
            if !wire.send(chunk).await {
                return Some(Ending::Close);
            }
            if is_last {
                return Some(stop(wire, script).await);
            }
            pause(script, index).await;
        }
        if is_chunked && !wire.send("0\r\n\r\n").await {
            return Some(Ending::Close);
        }
        None
    }

    /// Sends back every word, as often as the script says.
    async fn echo(&self, wire: &mut Wire<TcpStream>, number: u64, script: Script) -> Ending {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             {ANSWERED}: {number}\r\n\r\n"
        );
        wire.send(head).await;
        for index in 0..script.length {
            let mut came = Vec::new();
            let framing = Framing::Length(Word::FRAME_BYTES);
            if wire.body(framing, Reading::default(), &mut came).await != Ended::Whole {
                return Ending::Close;
            }
            let word = script.word(index);
            if came != word.frame() {
                self.ledger.complain(format!("wrong word {index} in tunnel {number}"));
            }
            match script.act {
                Act::Cut if index == script.at => return Ending::Close,
                Act::Reset if index == script.at => return Ending::Reset,
                _ => {}
            }
            self.recovered().await;
            wire.send(word.answer()).await;
            pause(script, index).await;
        }
        let (theirs, ours) = close_frames();
        wire.body(Framing::Length(theirs.len()), Reading::default(), &mut Vec::new()).await;
        wire.send(ours).await;
        Ending::Close
    }

    /// Waits while it is stalled.
    async fn recovered(&self) {
        becomes(&mut self.mood.subscribe(), |mood| mood != Mood::Stalled).await;
    }

    fn pieces(&self, script: Script) -> Vec<Bytes> {
        let mut pieces = script.pieces();
        if let (true, Some(last)) = (self.lies && script.seed.is_multiple_of(16), pieces.last_mut())
        {
            let mut wrong = last.to_vec();
            wrong[0] ^= 1;
            *last = wrong.into();
        }
        pieces
    }
}

/// What is sent of this piece, and whether nothing follows.
pub fn part(script: Script, sent: usize, piece: &Bytes) -> (Bytes, bool) {
    let is_last =
        matches!(script.act, Act::Cut | Act::Reset | Act::Hush) && sent + piece.len() > script.at;
    if is_last { (piece.slice(..script.at - sent), true) } else { (piece.clone(), false) }
}

async fn stop(wire: &mut Wire<TcpStream>, script: Script) -> Ending {
    match script.act {
        Act::Reset => Ending::Reset,
        Act::Hush => {
            wire.until_closed().await;
            Ending::Close
        }
        _ => Ending::Close,
    }
}

/// What a script waits for after a piece.
pub async fn pause(script: Script, index: usize) {
    match script.act {
        Act::Slow => tokio::time::sleep(PAUSE).await,
        Act::Pause if index == 0 => tokio::time::sleep(LONG_PAUSE).await,
        _ => {}
    }
}

fn answer_head(number: u64, script: Script) -> String {
    let status = script.status();
    let framing = match script.shape {
        Shape::Sized => format!("content-length: {}", script.body().len()),
        Shape::Chunked => "transfer-encoding: chunked".to_owned(),
        Shape::Stream | Shape::Tunnel => {
            "content-type: text/event-stream\r\ntransfer-encoding: chunked".to_owned()
        }
    };
    format!("HTTP/1.1 {status} Told\r\n{ANSWERED}: {number}\r\n{framing}\r\n\r\n")
}

/// A chunk with these bytes.
pub fn frame(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}
