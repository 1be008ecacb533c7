//! Each fault does on the wire what its name says.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CHAT, DEADLINE, STREAM, WHOLE, exchange, get, post, post_text, wait_until};
use crate::demo::mock_llm::{Connections, Faults, Health, MockLlm, MockOptions};

fn server(faults: Faults) -> MockLlm {
    MockLlm::start(MockOptions { faults, ..MockOptions::named("bad").instant() }).unwrap()
}

#[tokio::test]
async fn status_answers_with_that_status() {
    let server = server(Faults { status: 1.0, status_code: 529, ..Faults::default() });
    let reply = post(&server, "/v1/messages", r#"{"messages":[],"max_tokens":1}"#).await;
    assert_eq!(reply.status, 529);
    assert_eq!(reply.json()["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn errors_in_band_stand_before_or_after_content_and_vllm_still_says_done() {
    let server = server(Faults { error_first: 1.0, ..Faults::default() });
    let reply = post(&server, CHAT, STREAM).await;
    assert_eq!((reply.status, reply.events().len()), (200, 3)); // role, error, [DONE]
    assert!(reply.events()[1].contains(r#""error":{"message":"EngineCore"#));
    assert_eq!(reply.events()[2], "[DONE]");
    assert_eq!(post(&server, CHAT, WHOLE).await.json()["error"]["code"], 500);

    server.set_faults(Faults { error_midway: 1.0, ..Faults::default() }).await.unwrap();
    let events = post(&server, CHAT, STREAM).await;
    assert!(events.events().len() > 3, "some content before the error");
    let messages = r#"{"messages":[],"max_tokens":9,"stream":true}"#;
    let reply = post(&server, "/v1/messages", messages).await;
    assert!(reply.body.contains("event: error\n"), "{}", reply.body);
    assert!(!reply.body.contains("message_stop"));
}

#[tokio::test]
async fn cut_reset_and_truncated_streams_end_differently() {
    for (faults, is_reset, has_last_chunk) in [
        (Faults { cut: 1.0, ..Faults::default() }, false, false),
        (Faults { reset: 1.0, ..Faults::default() }, true, false),
        (Faults { truncate: 1.0, ..Faults::default() }, false, true),
    ] {
        let server = server(faults.clone());
        let reply = post(&server, CHAT, STREAM).await;
        assert_eq!(reply.status, 200, "{faults:?}");
        assert!(reply.events().len() > 1, "some content first: {faults:?}");
        assert!(!reply.body.contains("[DONE]"), "{faults:?}");
        assert_eq!(
            (reply.is_reset, reply.has_last_chunk()),
            (is_reset, has_last_chunk),
            "{faults:?}"
        );
    }
}

#[tokio::test]
async fn whole_answers_break_in_the_middle_too() {
    let server = server(Faults { cut: 1.0, ..Faults::default() });
    let reply = post(&server, CHAT, WHOLE).await;
    let promised: usize = reply.header("content-length").unwrap().parse().unwrap();
    assert_eq!(reply.body.len(), promised / 2);

    server.set_faults(Faults { truncate: 1.0, ..Faults::default() }).await.unwrap();
    let reply = post(&server, CHAT, WHOLE).await;
    assert!(reply.has_last_chunk(), "{}", reply.body);
    assert!(!reply.body.contains("usage"));
}

#[tokio::test]
async fn empty_answers_have_no_content() {
    let server = server(Faults { empty: 1.0, ..Faults::default() });
    let reply = post(&server, CHAT, STREAM).await;
    assert_eq!((reply.status, reply.events().len()), (200, 0));
    assert!(reply.has_last_chunk());
    let whole = post(&server, CHAT, WHOLE).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "");
}

#[tokio::test]
async fn no_answer_closes_the_connection_before_any_byte() {
    let server = server(Faults { no_answer: 1.0, ..Faults::default() });
    let reply = post(&server, CHAT, STREAM).await;
    assert_eq!((reply.status, reply.head.as_str()), (0, ""));
    assert_eq!(server.stats().cancelled, 0);
}

#[tokio::test]
async fn stalls_and_slow_starts_take_their_time_and_end_well() {
    let pause = Duration::from_millis(80);
    let server = server(Faults { stall: 1.0, stall_for: pause, ..Faults::default() });
    for body in [STREAM, WHOLE] {
        let started = Instant::now();
        let reply = post(&server, CHAT, body).await;
        assert!(started.elapsed() >= pause);
        assert!(reply.body.contains(r#""finish_reason":"stop""#), "{}", reply.body);
    }

    let ttft = "20ms".parse().unwrap();
    let faults = Faults { slow: 1.0, slow_factor: 5.0, ..Faults::default() };
    let options = MockOptions { ttft, faults, ..MockOptions::named("bad") };
    let server = MockLlm::start(options).unwrap();
    let started = Instant::now();
    assert_eq!(post(&server, CHAT, STREAM).await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn health_loads_or_hangs_until_it_is_changed() {
    let server = server(Faults { health: Health::Loading, ..Faults::default() });
    let reply = get(&server, "/health").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["error"]["message"], "Loading model");

    server.set_faults(Faults { health: Health::Hang, ..Faults::default() }).await.unwrap();
    let probe = get(&server, "/ready");
    tokio::pin!(probe);
    assert!(timeout(Duration::from_millis(50), &mut probe).await.is_err(), "it answered");
    server.set_faults(Faults::default()).await.unwrap();
    assert_eq!(probe.await.status, 200);
}

#[tokio::test]
async fn refused_connections_can_be_allowed_again_over_the_control_listener() {
    let control = Some("127.0.0.1:0".parse().unwrap());
    let faults = Faults { connections: Connections::Refuse, ..Faults::default() };
    let options = MockOptions { control, faults, ..MockOptions::named("bad").instant() };
    let server = MockLlm::start(options).unwrap();
    let control = server.control_address().unwrap();
    let set = |json: &str| post_text("/mock/faults", json, "connection: close\r\n");
    // Setting the same faults again returns only when the listener is closed.
    exchange(control, &set(r#"{"connections":"refuse"}"#)).await;
    let refused = TcpStream::connect(server.address()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    let reply = exchange(control, &set("{}")).await;
    assert_eq!(reply.json()["connections"], "accept");
    assert_eq!(get(&server, "/health").await.status, 200);
}

#[tokio::test]
async fn connections_can_be_accepted_and_closed_at_once() {
    let server = server(Faults { connections: Connections::Close, ..Faults::default() });
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let read = timeout(DEADLINE, stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_freeze_stops_running_streams_until_it_is_lifted() {
    let options = MockOptions { gap: "2ms".parse().unwrap(), ..MockOptions::named("bad") };
    let server = MockLlm::start(options).unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = post_text(CHAT, STREAM, "connection: close\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    wait_until(&server, |stats| stats.in_flight == 1).await;
    server.set_faults(Faults { freeze: true, ..Faults::default() }).await.unwrap();
    let mut bytes = Vec::new();
    let silent = timeout(Duration::from_millis(200), stream.read_to_end(&mut bytes)).await;
    assert!(silent.is_err(), "the stream went on to its end");
    server.set_faults(Faults::default()).await.unwrap();
    timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("[DONE]"));
}

#[tokio::test]
async fn bad_faults_are_refused_and_the_old_ones_stay() {
    let server = server(Faults { empty: 0.5, ..Faults::default() });
    for body in [r#"{"cut":2}"#, r#"{"cutt":1}"#, "no json"] {
        assert_eq!(post(&server, "/mock/faults", body).await.status, 422, "{body}");
    }
    assert_eq!(get(&server, "/mock/faults").await.json()["empty"], 0.5);
}
