//! A call that is made twice with one key is done once, also when Cyan was killed in between.

use std::net::SocketAddr;

use http::Method;
use serde_json::{Value, json};

use crate::support::admin::{Answer, TestAdmin};
use crate::support::client::Client;
use crate::support::served::{Served, write_config};
use crate::support::upstream::Upstream;

const SWITCH: &str = "/v1/services/chat/switch";

async fn post(admin: &TestAdmin, path: &str, key: &str, body: &str) -> Answer {
    admin.call(Method::POST, path, &[("idempotency-key", key)], body).await
}

async fn active(admin: &TestAdmin) -> Value {
    admin.get("/v1/services/chat").await.json()["active"].clone()
}

#[tokio::test]
async fn the_same_call_is_done_once_and_answered_alike() {
    let admin = TestAdmin::start().await;
    let first = post(&admin, SWITCH, "one", "").await;
    assert_eq!((first.status.as_u16(), active(&admin).await), (200, json!("green")));
    // To the partner, which is blue by now: without the key it would go back.
    let again = post(&admin, SWITCH, "one", "").await;
    assert_eq!(active(&admin).await, "green");
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("etag"), first.header("etag"));
    let another = post(&admin, SWITCH, "two", "").await;
    assert_eq!((another.status.as_u16(), active(&admin).await), (200, json!("blue")));
}

#[tokio::test]
async fn a_key_belongs_to_one_call_and_has_a_form() {
    let admin = TestAdmin::start().await;
    assert_eq!(post(&admin, SWITCH, "one", "").await.status.as_u16(), 200);
    for (path, body) in [
        (SWITCH, r#"{"to":"blue"}"#),
        ("/v1/services/chat/rollback", ""),
        ("/v1/services/chat/switch?dry_run=true", ""),
    ] {
        let other = post(&admin, path, "one", body).await;
        assert_eq!(other.json()["type"], "/problems/key-reused", "{path} {body}");
    }
    assert_eq!(active(&admin).await, "green");
    for key in ["", "a b", "\u{e9}", &"x".repeat(256)] {
        let answer = post(&admin, SWITCH, key, "").await;
        assert_eq!(answer.status.as_u16(), 400, "{key}");
    }
}

#[tokio::test]
async fn who_was_refused_may_ask_again_with_the_same_key() {
    let admin = TestAdmin::start().await;
    let body = r#"{"to":"green","generation":7}"#;
    let refused = post(&admin, SWITCH, "one", body).await;
    assert_eq!(refused.status.as_u16(), 409);
    let asked = post(&admin, SWITCH, "one", r#"{"to":"green"}"#).await;
    assert_eq!((asked.status.as_u16(), active(&admin).await), (200, json!("green")));
}

/// A start of a rollout with this key; its status and its answer.
async fn start(admin: SocketAddr, key: &str, body: &str) -> (u16, Value) {
    let mut client = Client::connect(admin).await;
    let length = body.len();
    client
        .send(format!(
            "POST /v1/services/chat/rollout HTTP/1.1\r\nhost: 127.0.0.1\r\nidempotency-key: {key}\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await;
    let answer = client.answer().await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn a_rollout_is_started_once_although_cyan_was_killed_before_it_was_asked_again() {
    let upstream = Upstream::replying(200, "ok").await;
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), upstream.address, upstream.address);
    let cyan = Served::start(dir.path()).await;
    let generation = cyan.ask("/v1/services/chat").await["generation"].clone();
    let body = json!({ "candidate": "green", "generation": generation }).to_string();
    let (status, started) = start(cyan.admin, "one", &body).await;
    assert_eq!((status, &started["changed"]), (200, &json!(true)), "{started}");
    assert_eq!(started["durable"], true);
    cyan.kill().await;

    let cyan = Served::start(dir.path()).await;
    let (status, again) = start(cyan.admin, "one", &body).await;
    assert_eq!((status, &again["changed"]), (200, &json!(false)), "{again}");
    let warning = "rollout 1 was started by this very call; it is not done again";
    assert_eq!(again["warnings"], json!([warning]));
    let (status, other) = start(cyan.admin, "one", r#"{"candidate":"green","again":true}"#).await;
    assert_eq!((status, &other["type"]), (422, &json!("/problems/key-reused")), "{other}");
    let (status, running) = start(cyan.admin, "two", r#"{"candidate":"green"}"#).await;
    assert_eq!((status, &running["type"]), (409, &json!("/problems/conflict")), "{running}");
    assert_eq!(cyan.ask("/v1/services/chat/rollout").await["id"], 1);
}
