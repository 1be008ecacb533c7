//! The end of a process, by protocol: nothing new, what runs finishes, and what is cut at the deadline is seen
//! to be cut.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::crowd::{Choir, OpenStream, OpenTunnel};
use crate::support::http2::{Http2Client, get};
use crate::support::in_time;
use crate::support::proxy::{Builder, Proxy, environment};

/// A proxy whose end waits for what runs for so long.
fn proxy(choir: &Choir, drain: Duration) -> Proxy {
    let mut builder = Builder::new(vec![environment("blue", &[&choir.upstream])]);
    builder.config.shutdown.drain = drain;
    builder.start()
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn what_runs_is_finished_in_every_protocol() {
    let choir = Choir::start().await;
    let proxy = proxy(&choir, LONG);
    let stream = OpenStream::open(proxy.address).await;
    let tunnel = OpenTunnel::open(proxy.address).await;
    let http2 = Http2Client::connect(proxy.address).await;
    let reading = http2.call(get("/stream")).await.reading().await;
    let ended = proxy.shut_down();
    http2.refused().await; // a GOAWAY, and the stream goes on
    choir.is_enough();
    stream.ends_whole().await;
    assert!(tunnel.ends_whole().await > 0);
    let answer = in_time(reading.rest()).await;
    assert!(answer.end.is_ok(), "{:?}", answer.end);
    assert!(answer.body.starts_with(b"data: 0\n\n"));
    in_time(ended).await.unwrap();
}

#[tokio::test]
async fn what_is_cut_at_the_deadline_has_no_clean_end_in_any_protocol() {
    let choir = Choir::start().await;
    let proxy = proxy(&choir, SHORT);
    let mut stream = Client::connect(proxy.address).await;
    stream.send("GET /stream HTTP/1.1\r\nhost: test\r\n\r\n").await;
    stream.read_until(b"data: 0\n\n").await;
    let mut chunked = Client::connect(proxy.address).await; // by the other engine
    let head = "POST /stream HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    chunked.send(head).await;
    chunked.read_until(b"data: 0\n\n").await;
    let http2 = Http2Client::connect(proxy.address).await;
    let reading = http2.call(get("/stream")).await.reading().await;
    let ended = proxy.shut_down();
    for client in [&mut stream, &mut chunked] {
        let rest = client.rest().await.unwrap_or_default();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    }
    let answer = in_time(reading.rest()).await;
    assert!(answer.end.is_err(), "a stream that was cut ends with an error");
    in_time(ended).await.unwrap();
}

#[tokio::test]
async fn a_tunnel_that_is_cut_ends_without_a_close_frame() {
    let choir = Choir::start().await;
    let proxy = proxy(&choir, SHORT);
    let mut client = Client::connect(proxy.address).await;
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(client.get("/socket", upgrade).await.status, 101);
    client.send("word;").await;
    client.read_until(b"word;").await;
    let ended = proxy.shut_down();
    assert_eq!(client.rest().await.unwrap_or_default(), b"", "nothing is made up");
    in_time(ended).await.unwrap();
}

/// Closing a resting connection at once would fail the request that is on its way.
#[tokio::test]
async fn a_resting_connection_has_one_more_answer_which_says_close() {
    let choir = Choir::start().await;
    let proxy = proxy(&choir, LONG);
    let address = proxy.address;
    let mut clients = Vec::new();
    // The lean engine, and hyper, to which a chunked body is left.
    for more in ["", "transfer-encoding: chunked\r\n\r\n0\r\n"] {
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("GET / HTTP/1.1\r\nhost: test\r\n{more}\r\n")).await;
        assert_eq!(client.answer().await.body, b"ok");
        clients.push(client);
    }
    let mut silent = Client::connect(proxy.address).await;
    assert_eq!(silent.get("/", "").await.body, b"ok");
    let ended = proxy.shut_down();
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    in_time(refused).await; // the order has come to the cores
    for client in &mut clients {
        let answer = client.get("/", "").await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert_eq!(client.rest().await.unwrap(), b"");
    }
    assert_eq!(silent.rest().await.unwrap(), b"", "who asks nothing is let go");
    in_time(ended).await.unwrap();
}
