//! Slow and greedy clients do not keep anybody from rolling back.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::admin::{PATIENCE, TestAdmin};

#[tokio::test]
async fn half_a_request_on_many_connections_leaves_room() {
    let admin = TestAdmin::start().await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(b"POST /v1/services/chat/switch HTTP/1.1\r\nhost: loc").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(admin.post("/v1/services/chat/switch", "").await.status.as_u16(), 200);
    // Who comes meanwhile is served once, and comes back without the haste of the crowd.
    let text = said(&admin, "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
}

/// What is said to these bytes until the connection closes.
async fn said(admin: &TestAdmin, bytes: &str) -> String {
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("closed in time").unwrap();
    text
}

#[tokio::test]
async fn a_silent_crowd_is_let_go_sooner_than_who_was_there_before() {
    let admin = TestAdmin::start().await;
    let mut first = TcpStream::connect(admin.address).await.unwrap();
    let mut crowd = Vec::new();
    for _ in 0..255 {
        crowd.push(TcpStream::connect(admin.address).await.unwrap());
    }
    let mut last = crowd.pop().unwrap();
    let (mut of_last, mut of_first) = ([0], [0]);
    let is_last_sooner = async {
        tokio::select! {
            biased;
            read = last.read(&mut of_last) => !matches!(read, Ok(1..)),
            _ = first.read(&mut of_first) => false,
        }
    };
    assert!(timeout(PATIENCE, is_last_sooner).await.expect("let go in time"));
    assert_eq!(admin.post("/v1/services/chat/switch", "").await.status.as_u16(), 200);
}

#[tokio::test]
async fn large_bodies_that_do_not_come_leave_room_for_small_ones() {
    let admin = TestAdmin::start().await;
    let begun = "x".repeat(20 << 10); // more than is read without a turn
    let head = "POST /v1/services/chat/switch HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900000\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(format!("{head}{{\"reason\":\"{begun}").as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(admin.post("/v1/services/chat/switch", "").await.status.as_u16(), 200);
    let chunked = "POST /v1/services/chat/switch HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                   transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let text = said(&admin, chunked).await;
    assert!(text.starts_with("HTTP/1.1 200"), "how long it is may be said or not: {text}");
}

/// The one body that is read of anybody.
#[tokio::test]
async fn a_token_that_is_entered_is_short_and_comes_at_once() {
    let admin = TestAdmin::start().await;
    let head = "POST /dashboard/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let text = said(&admin, &format!("{head}content-length: 10\r\n\r\n{{")).await;
    assert!(text.contains("the body did not arrive within 1 s"), "{text}");
    let long = format!("{{\"token\":\"{}\"}}", "x".repeat(5000));
    let length = long.len();
    let text = said(&admin, &format!("{head}content-length: {length}\r\n\r\n{long}")).await;
    assert!(text.contains("the body is longer than 4096 bytes"), "{text}");
}

#[tokio::test]
async fn a_body_beyond_a_mebibyte_is_refused() {
    let admin = TestAdmin::start().await;
    let body = format!("{{\"reason\":\"{}\"}}", "x".repeat(1 << 20));
    let answer = admin.post("/v1/services/chat/rollback", &body).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["title"]),
        (413, &"The body is too large".into())
    );
}

#[tokio::test]
async fn what_is_no_http_is_let_go() {
    let admin = TestAdmin::start().await;
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed in time").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}
