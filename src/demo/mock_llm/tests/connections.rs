//! Connections: reuse, HTTP/2, unannounced ends, and what is counted about them.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CHAT, DEADLINE, STREAM, exchange, get, post, post_text, wait_until};
use crate::demo::mock_llm::stats::unix_ns;
use crate::demo::mock_llm::{Faults, MockLlm, MockOptions, StartMockError};

#[tokio::test]
async fn http2_by_prior_knowledge_streams_as_well() {
    let server = MockLlm::start(MockOptions::named("blue").instant()).unwrap();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let running = tokio::spawn(connection);
    let request = hyper::Request::post(format!("{}{CHAT}", server.url()))
        .body(Full::new(bytes::Bytes::from(STREAM)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.headers()["x-mock-upstream"], "blue");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.ends_with(b"data: [DONE]\n\n"));
    running.abort();
}

#[tokio::test]
async fn streams_can_end_their_connection_unannounced() {
    let faults = Faults { close_after_stream: true, ..Faults::default() };
    let options = MockOptions { faults, ..MockOptions::named("blue").instant() };
    let server = MockLlm::start(options).unwrap();
    // Without `connection: close` from the client, the end of the connection is the server's doing.
    let reply = exchange(server.address(), &post_text(CHAT, STREAM, "")).await;
    assert!(reply.has_last_chunk() && reply.body.contains("[DONE]"));
    assert_eq!(reply.header("connection"), None);
}

#[tokio::test]
async fn resting_connections_can_be_closed() {
    let idle_close = Some(Duration::from_millis(60));
    let options = MockOptions { idle_close, ..MockOptions::named("blue").instant() };
    let server = MockLlm::start(options).unwrap();
    let reply = exchange(server.address(), "GET /health HTTP/1.1\r\nhost: mock\r\n\r\n").await;
    assert_eq!((reply.status, reply.is_reset), (200, false));
    assert_eq!(reply.body, r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn clients_that_leave_are_counted_as_cancelled() {
    let options = MockOptions { gap: "50ms".parse().unwrap(), ..MockOptions::named("blue") };
    let server = MockLlm::start(options).unwrap();
    for body in [STREAM, super::WHOLE] {
        let cancelled = server.stats().cancelled;
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(post_text(CHAT, body, "").as_bytes()).await.unwrap();
        wait_until(&server, |stats| stats.in_flight == 1).await;
        drop(stream);
        wait_until(&server, |stats| stats.in_flight == 0).await;
        assert_eq!(server.stats().cancelled, cancelled + 1);
    }
}

#[tokio::test]
async fn statistics_tell_who_came_when_and_where() {
    let server = MockLlm::start(MockOptions::named("blue").instant()).unwrap();
    let before = unix_ns();
    for user in ["ana", "ben", "ana"] {
        let headers = format!("connection: close\r\nx-user-id: {user}\r\n");
        exchange(server.address(), &post_text(CHAT, STREAM, &headers)).await;
    }
    get(&server, "/nope").await;
    let after = unix_ns();
    let stats: crate::demo::mock_llm::Stats =
        serde_json::from_value(get(&server, "/mock/stats").await.json()).unwrap();
    assert_eq!(stats.requests[CHAT], 3);
    assert_eq!(stats.requests["other"], 1);
    assert_eq!((stats.users["ana"], stats.users["ben"]), (2, 1));
    assert_eq!((stats.in_flight, stats.cancelled, stats.connections), (0, 0, 5));
    let times: Vec<u64> = stats.arrivals.iter().map(|a| a.first_byte_unix_ns).collect();
    assert_eq!(times.len(), 4);
    assert!(times.is_sorted() && times[0] >= before && times[3] <= after, "{times:?}");
}

#[tokio::test]
async fn arrival_is_the_first_byte_even_if_the_rest_comes_late() {
    let server = MockLlm::start(MockOptions::named("blue").instant()).unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nhost: mock\r\n\r\n";
    let mut answer = [0; 512];
    for _ in 0..2 {
        let before = unix_ns();
        stream.write_all(&request[..20]).await.unwrap();
        // One thread serves both connections in order: this answer means that it has read the above.
        get(&server, "/v1/models").await;
        let between = unix_ns();
        stream.write_all(&request[20..]).await.unwrap();
        assert!(timeout(DEADLINE, stream.read(&mut answer)).await.unwrap().unwrap() > 0);
        let arrived = server.stats().arrivals.last().unwrap().clone();
        assert_eq!(arrived.path, "/health");
        assert!((before..=between).contains(&arrived.first_byte_unix_ns));
    }
}

#[tokio::test]
async fn several_threads_share_connections() {
    let options = MockOptions { workers: 3, ..MockOptions::named("blue").instant() };
    let server = MockLlm::start(options).unwrap();
    for _ in 0..9 {
        assert_eq!(post(&server, CHAT, STREAM).await.status, 200);
    }
    assert_eq!(server.stats().connections, 9);
}

#[tokio::test]
async fn a_dropped_server_frees_its_address_and_a_taken_one_is_named() {
    let server = MockLlm::start(MockOptions::named("blue")).unwrap();
    let again = MockOptions { listen: server.address(), ..MockOptions::named("green").instant() };
    let problem = MockLlm::start(again.clone()).unwrap_err();
    assert!(matches!(problem, StartMockError::Listen { .. }));
    assert!(problem.to_string().contains(&server.address().to_string()), "{problem}");
    drop(server);
    let server = MockLlm::start(again).unwrap();
    assert_eq!(get(&server, "/health").await.header("x-mock-upstream"), Some("green"));
}
