//! The LLM servers that stand behind every proxy: two ports, one thread, as little work as can be.
//!
//! Small requests get a fixed answer, streams get stamped events from one shared ring. Whatever
//! this costs is taken from the core that drives the load, never from the proxy's.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::clock::Pace;
use crate::event::EventChunk;
use crate::message;

/// Events a second that each stream gets: what a fast model writes.
pub(crate) const EVENTS_PER_SECOND: f64 = 20.0;
/// At 1000 streams five events are due in each turn, so they leave spread out rather than in bursts.
const TURN: Duration = Duration::from_micros(250);
/// No request of this bench is longer; a connection that sends more is closed.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// The length of a small answer: a short completion.
const SMALL_BODY_BYTES: usize = 512;

/// Addresses of the two environments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environments {
    /// Answers `environment: blue` to `/echo`.
    pub(crate) blue: SocketAddr,
    /// Answers `environment: green` to `/echo`.
    pub(crate) green: SocketAddr,
}

/// Starts both environments on free loopback ports. Their thread ends with the process.
pub(crate) fn start() -> io::Result<Environments> {
    let (blue, green) = (listen()?, listen()?);
    let environments = Environments { blue: blue.local_addr()?, green: green.local_addr()? };
    let serve = move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async {
            let ring = Rc::new(EventRing::default());
            tokio::try_join!(
                accept("blue", blue, Rc::clone(&ring)),
                accept("green", green, Rc::clone(&ring)),
                ring.turn()
            )?;
            Ok(())
        })
    };
    std::thread::Builder::new().name("upstream".into()).spawn(move || {
        serve().expect("the upstream emulator has its sockets and descriptors");
    })?;
    Ok(environments)
}

fn listen() -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    // Room for every stream of a run, so that no connect waits for a retransmitted SYN.
    socket.listen(8192)?;
    Ok(socket.into())
}

async fn accept(
    name: &'static str,
    listener: std::net::TcpListener,
    ring: Rc<EventRing>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let small = Rc::new(small_answer());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (ring, small) = (Rc::clone(&ring), Rc::clone(&small));
        tokio::task::spawn_local(async move {
            // A proxy may close a connection whenever it likes; that ends the task, no more.
            let _ = Connection { name, stream, buffer: Vec::new() }.serve(&small, &ring).await;
        });
    }
}

fn small_answer() -> Vec<u8> {
    let body = "x".repeat(SMALL_BODY_BYTES);
    answer("application/json", &body)
}

fn answer(content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

struct Connection {
    name: &'static str,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn serve(mut self, small: &[u8], ring: &EventRing) -> io::Result<()> {
        while let Some((head_bytes, request_bytes)) = self.request().await? {
            let head = &self.buffer[..head_bytes];
            match path(head) {
                b"/stream" => return self.stream_events(Some(ring)).await,
                b"/idle" => return self.stream_events(None).await,
                b"/echo" => {
                    let echo = answer("text/plain", &self.echo(head));
                    self.stream.write_all(&echo).await?;
                }
                _ => self.stream.write_all(small).await?,
            }
            self.buffer.drain(..request_bytes);
        }
        Ok(())
    }

    /// Reads until the buffer begins with a whole request; lengths of its head and of all of it.
    async fn request(&mut self) -> io::Result<Option<(usize, usize)>> {
        loop {
            if let Some(head) = message::head_end(&self.buffer) {
                let body = message::content_length(&self.buffer[..head]).unwrap_or(0);
                if self.buffer.len() >= head + body {
                    return Ok(Some((head, head + body)));
                }
            }
            let is_full = self.buffer.len() > REQUEST_BYTES_MAX;
            if is_full || self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// What arrived here, for the check that each proxy does the same work.
    fn echo(&self, head: &[u8]) -> String {
        let seen = |name| message::header(head, name).unwrap_or("");
        let (deployment, forwarded_for) = (seen("x-deployment"), seen("x-forwarded-for"));
        format!(
            "environment:{}\nx-deployment:{deployment}\nx-forwarded-for:{forwarded_for}\n",
            self.name
        )
    }

    /// Sends the head with the first event, joins the ring if one is given, and stays until the
    /// other side leaves.
    async fn stream_events(self, ring: Option<&EventRing>) -> io::Result<()> {
        let mut first = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
            Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
        first.extend_from_slice(EventChunk::new().stamped());
        let stream = Rc::new(self.stream);
        write_whole(&stream, &first)?;
        let _place = ring.map(|ring| ring.join(Rc::clone(&stream)));
        let mut ignored = [0; 256];
        loop {
            stream.readable().await?;
            match stream.try_read(&mut ignored) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }
}

fn path(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b' ').nth(1).unwrap_or(b"/")
}

/// Writes all at once or fails: a stream whose reader is so slow that its socket is full would
/// measure the buffers in between. It is closed, and the load counts it as failed.
fn write_whole(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    match stream.try_write(bytes)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// All running streams in a circle: one task serves them in turn, so that their events are spread
/// evenly and a thousand streams need one timer.
#[derive(Default)]
struct EventRing {
    streams: RefCell<Vec<Rc<TcpStream>>>,
    next: Cell<usize>,
    joined: Notify,
}

/// A stream's place in the ring, given up on drop.
struct Place<'ring> {
    ring: &'ring EventRing,
    stream: Rc<TcpStream>,
}

impl EventRing {
    fn join(&self, stream: Rc<TcpStream>) -> Place<'_> {
        self.streams.borrow_mut().push(Rc::clone(&stream));
        self.joined.notify_one();
        Place { ring: self, stream }
    }

    /// Sends each stream its events for as long as the process lives.
    async fn turn(&self) -> io::Result<()> {
        let mut event = EventChunk::new();
        loop {
            self.joined.notified().await;
            let mut pace = Pace::every(TURN)?;
            let (mut last, mut owed) = (Instant::now(), 0.0);
            while !self.streams.borrow().is_empty() {
                // What is owed follows from the clock, not from the number of ticks.
                let _ = pace.due().await?;
                let streams = count_as_f64(self.streams.borrow().len());
                owed += last.elapsed().as_secs_f64() * EVENTS_PER_SECOND * streams;
                last = Instant::now();
                // After a pause of this thread each stream gets one event, not a burst of many.
                owed = owed.min(streams);
                while owed >= 1.0 {
                    owed -= 1.0;
                    self.send_next(&mut event);
                }
            }
        }
    }

    fn send_next(&self, event: &mut EventChunk) {
        let mut streams = self.streams.borrow_mut();
        let at = if self.next.get() < streams.len() { self.next.get() } else { 0 };
        let Some(stream) = streams.get(at) else { return };
        if write_whole(stream, event.stamped()).is_ok() {
            self.next.set(at + 1);
        } else {
            shut(&streams.swap_remove(at));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.ring.streams.borrow_mut().retain(|stream| !Rc::ptr_eq(stream, &self.stream));
    }
}

/// Ends a stream from outside its task, which then sees the end and leaves.
fn shut(stream: &TcpStream) {
    // The other side may be gone already; then there is nothing left to end.
    let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Both);
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand streams are exact in an f64")]
fn count_as_f64(count: usize) -> f64 {
    count as f64
}
