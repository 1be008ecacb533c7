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
