//! Events over HTTP: told as they happen, and gone on with after a break.

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::admin::{PATIENCE, TestAdmin};

/// A connection that follows events.
struct Follower {
    body: Incoming,
    text: String,
}

impl Follower {
    async fn connect(admin: &TestAdmin, last_event_id: Option<u64>) -> Self {
        let stream = TcpStream::connect(admin.address).await.expect("the admin API listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let mut request = http::Request::get("/v1/events").header("host", "localhost");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
        let answer = timeout(PATIENCE, sender.send_request(request))
            .await
            .expect("in time")
            .expect("an answer");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut follower = Self { body: answer.into_body(), text: String::new() };
        follower.until(": events of cyan").await;
        follower
    }

    /// Reads on until the text has `part`.
    async fn until(&mut self, part: &str) {
        let reading = async {
            while !self.text.contains(part) {
                let frame = self.body.frame().await.expect("the stream goes on").expect("no break");
                self.text
                    .push_str(std::str::from_utf8(frame.data_ref().expect("text")).expect("data"));
            }
        };
        timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {part} in {}", self.text));
    }
}

#[tokio::test]
async fn changes_are_told_as_they_happen_and_after_a_break() {
    let admin = TestAdmin::start().await;
    let mut follower = Follower::connect(&admin, None).await;
    admin.put("/v1/services/chat/weights", r#"{"weights":{"blue":95,"green":5}}"#).await;
    follower.until("event: weights_set").await;
    let id = follower.text.split("id: ").nth(1).unwrap().lines().next().unwrap();
    let id: u64 = id.parse().unwrap();
    drop(follower);
    admin.post("/v1/services/chat/rollback", "").await;
    let mut back = Follower::connect(&admin, Some(id)).await;
    back.until("event: rolled_back").await;
    assert!(!back.text.contains("event: weights_set"), "{}", back.text);
}

#[tokio::test]
async fn followers_leave_room_for_those_who_act() {
    let admin = TestAdmin::start().await;
    let mut followers = Vec::new();
    for _ in 0..cyan::admin::state::FOLLOWERS_MAX {
        followers.push(Follower::connect(&admin, None).await);
    }
    let one_more = admin.get("/v1/events").await;
    assert_eq!(one_more.status.as_u16(), 429);
    assert_eq!(admin.post("/v1/services/chat/switch", "").await.status.as_u16(), 200);
}
