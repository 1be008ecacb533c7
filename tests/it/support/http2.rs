//! HTTP/2 stream by stream: a client that sees how each one ended, and an upstream that ends them as a
//! test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, request, response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::in_time;

/// A connection to the proxy.
pub struct Http2Client {
    sender: SendRequest<Bytes>,
    /// Answers pings; taken out by whoever sends them.
    pub pings: Option<h2::PingPong>,
    driving: JoinHandle<Result<(), h2::Error>>,
}

/// A stream on which a request goes out.
pub struct Call {
    /// Where its body goes.
    pub upload: SendStream<Bytes>,
    response: ResponseFuture,
}

/// A stream on which an answer comes.
pub struct Reading {
    /// The answer's head.
    pub head: response::Parts,
    /// The way to reset the stream, or to go on sending.
    pub upload: SendStream<Bytes>,
    body: RecvStream,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Http2Answer {
    /// Its head.
    pub head: response::Parts,
    /// Its body, as far as it came.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
    /// How the stream ended.
    pub end: Result<(), h2::Error>,
}

/// A GET of this path.
pub fn get(path: &str) -> Request<()> {
    Request::get(format!("http://test{path}")).body(()).expect("a request")
}

/// A POST to this path, of a user that is known before the body comes.
pub fn post(path: &str) -> Request<()> {
    let request = Request::post(format!("http://test{path}")).header("x-user-id", "ana");
    request.body(()).expect("a request")
}

impl Http2Client {
    /// Connects by prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = in_time(TcpStream::connect(address)).await.expect("the proxy accepts");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self::over(stream).await
    }

    /// The same, taking so many bytes of an answer that is not read; of all answers together, many more.
    pub async fn with_stream_window(address: SocketAddr, bytes: u32) -> Self {
        let stream = in_time(TcpStream::connect(address)).await.expect("the proxy accepts");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(bytes).initial_connection_window_size(1 << 20);
        Self::shaken(&builder, stream).await
    }

    /// Speaks HTTP/2 on a stream that exists already.
    pub async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Self {
        Self::shaken(&h2::client::Builder::new(), stream).await
    }

    async fn shaken<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        builder: &h2::client::Builder,
        stream: S,
    ) -> Self {
        let shaken = in_time(builder.handshake(stream)).await;
        let (sender, mut connection) = shaken.expect("the proxy speaks HTTP/2");
        let pings = connection.ping_pong();
        Self { sender, pings, driving: tokio::spawn(connection) }
    }

    /// Sends the head of a request whose body follows.
    pub async fn open(&self, request: Request<()>) -> Call {
        self.begin(request, false).await
    }

    /// Sends a request without a body.
    pub async fn call(&self, request: Request<()>) -> Call {
        self.begin(request, true).await
    }

    /// Sends a request without a body, and reads its answer.
    pub async fn answer(&self, request: Request<()>) -> Http2Answer {
        self.call(request).await.answer().await
    }

    /// The same, unless the proxy takes no further request or breaks off.
    pub async fn try_answer(&self, request: Request<()>) -> Result<Http2Answer, h2::Error> {
        let mut sender = in_time(self.sender.clone().ready()).await?;
        let (response, upload) = sender.send_request(request, true)?;
        Ok(Call { upload, response }.try_reading().await?.rest().await)
    }

    async fn begin(&self, request: Request<()>, is_end: bool) -> Call {
        let mut sender = in_time(self.sender.clone().ready()).await.expect("an open connection");
        let (response, upload) = sender.send_request(request, is_end).expect("a valid request");
        Call { upload, response }
    }

    /// Waits until the connection ends; the error is the proxy's.
    pub async fn ended(self) -> Result<(), h2::Error> {
        drop(self.sender);
        in_time(self.driving).await.expect("the connection does not panic")
    }

    /// Waits until the proxy takes no further request, after a GOAWAY.
    pub async fn refused(&self) {
        let mut sender = self.sender.clone();
        let refused = async {
            while let Ok(ready) = sender.clone().ready().await {
                sender = ready;
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        in_time(refused).await;
    }
}

impl Call {
    /// Waits for the head of the answer.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn reading(self) -> Reading {
        self.try_reading().await.expect("a head")
    }

    /// Waits for the head of the answer.
    pub async fn try_reading(self) -> Result<Reading, h2::Error> {
        let (head, body) = in_time(self.response).await?.into_parts();
        Ok(Reading { head, upload: self.upload, body })
    }

    /// The whole answer.
    pub async fn answer(self) -> Http2Answer {
        self.reading().await.rest().await
    }

    /// Sends a piece of the body.
    pub fn send(&mut self, piece: impl Into<Bytes>) {
        self.upload.send_data(piece.into(), false).expect("an open stream");
    }
}

impl Reading {
    /// The next frame of data; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let frame = in_time(self.body.data()).await?;
        if let Ok(data) = &frame {
            let _ = self.body.flow_control().release_capacity(data.len());
        }
        Some(frame)
    }

    /// Everything else that comes.
    pub async fn rest(mut self) -> Http2Answer {
        let mut answer =
            Http2Answer { body: Vec::new(), trailers: None, end: Ok(()), head: self.head.clone() };
        while let Some(frame) = self.next().await {
            match frame {
                Ok(data) => answer.body.extend_from_slice(&data),
                Err(error) => {
                    answer.end = Err(error);
                    return answer;
                }
            }
        }
        match in_time(self.body.trailers()).await {
            Ok(trailers) => answer.trailers = trailers,
            Err(error) => answer.end = Err(error),
        }
        answer
    }
}

impl Http2Answer {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A trailer's first value.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.as_ref()?.get(name)?.to_str().ok()
    }

    /// Whether the stream was reset.
    pub fn is_reset(&self) -> bool {
        self.end.as_ref().is_err_and(h2::Error::is_reset)
    }
}

/// What an upstream does with each request.
type Script =
    Arc<dyn Fn(Visit) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A real HTTP/2 server on a free loopback port; it stops when dropped, with all its connections.
pub struct Http2Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Seen {
    heads: Mutex<Vec<request::Parts>>,
    connections: watch::Sender<usize>,
    open: watch::Sender<usize>,
}

/// One request at an upstream.
pub struct Visit {
    /// Its head.
    pub head: request::Parts,
    /// Which request it is, from 0.
    pub number: usize,
    body: RecvStream,
    respond: SendResponse<Bytes>,
}

impl Http2Upstream {
    /// An upstream that runs a script for each request.
    pub async fn scripted<F>(script: impl Fn(Visit) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::allowing(100, script).await
    }

    /// The same, with so many streams at once on a connection.
    pub async fn allowing<F>(
        streams: u32,
        script: impl Fn(Visit) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Seen::default());
        let script: Script = Arc::new(move |visit| Box::pin(script(visit)));
        let accepting = accept(listener, streams, script, Arc::clone(&seen));
        Self { address, seen, accepting: tokio::spawn(accepting).abort_handle() }
    }

    /// Answers every request alike.
    pub async fn replying(status: u16, body: &'static str) -> Self {
        Self::scripted(move |mut visit| async move {
            let mut sending = visit.answer(status);
            let _ = sending.send_data(body.into(), true);
        })
        .await
    }

    /// As an upstream in a config.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<request::Parts> {
        self.seen.heads.lock().expect("no test panics with the lock").clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        *self.seen.connections.borrow()
    }

    /// Requests being worked on.
    pub fn open(&self) -> usize {
        *self.seen.open.borrow()
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, streams: u32, script: Script, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        seen.connections.send_modify(|count| *count += 1);
        connections.spawn(serve(stream, streams, Arc::clone(&script), Arc::clone(&seen)));
    }
}

async fn serve(stream: TcpStream, streams: u32, script: Script, seen: Arc<Seen>) {
    let mut builder = h2::server::Builder::new();
    let shaken = builder.max_concurrent_streams(streams).handshake(stream).await;
    let Ok(mut connection) = shaken else { return };
    let mut visits = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, body) = request.into_parts();
        let number = {
            let mut heads = seen.heads.lock().expect("no test panics with the lock");
            heads.push(head.clone());
            heads.len() - 1
        };
        seen.open.send_modify(|count| *count += 1);
        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
        visits.spawn(async move {
            script(Visit { head, number, body, respond }).await;
            seen.open.send_modify(|count| *count -= 1);
        });
    }
}

impl Visit {
    /// Sends the head of an answer. Dropping what is returned before its end resets the stream.
    pub fn answer(&mut self, status: u16) -> SendStream<Bytes> {
        self.answer_with(Response::builder().status(status).body(()).expect("a head"))
    }

    /// Sends a head that a body or trailers follow.
    pub fn answer_with(&mut self, response: Response<()>) -> SendStream<Bytes> {
        self.try_answer_with(response).expect("an open stream")
    }

    /// The same, unless the proxy has left the stream.
    pub fn try_answer_with(&mut self, response: Response<()>) -> Option<SendStream<Bytes>> {
        self.respond.send_response(response, false).ok()
    }

    /// Sends an answer that is nothing but a head.
    pub fn answer_only(&mut self, response: Response<()>) {
        self.respond.send_response(response, true).expect("an open stream");
    }

    /// Resets the stream.
    pub fn reset(&mut self, reason: h2::Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits until the proxy resets the stream.
    pub async fn until_reset(sending: &mut SendStream<Bytes>) -> h2::Reason {
        let reset = std::future::poll_fn(|cx| sending.poll_reset(cx)).await;
        reset.unwrap_or(h2::Reason::INTERNAL_ERROR)
    }

    /// The next piece of the request's body; `None` at its end or when it breaks off.
    pub async fn piece(&mut self) -> Option<Bytes> {
        let piece = self.body.data().await?.ok()?;
        let _ = self.body.flow_control().release_capacity(piece.len());
        Some(piece)
    }

    /// The request's whole body and its trailers; `None` when it breaks off.
    pub async fn body(&mut self) -> Option<(Vec<u8>, Option<HeaderMap>)> {
        let mut body = Vec::new();
        while let Some(piece) = self.body.data().await {
            let piece = piece.ok()?;
            let _ = self.body.flow_control().release_capacity(piece.len());
            body.extend_from_slice(&piece);
        }
        Some((body, self.body.trailers().await.ok()?))
    }
}
