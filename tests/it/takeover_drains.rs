//! An environment is drained when both processes say so.
//!
//! A takeover leaves streams to the process before, for minutes. The new one counted only its own, and so
//! said `drained` at once when such an environment was rolled back or drained by hand: a hook scaled it
//! down, and every stream was cut. A drain that was under way died with the controller of the process
//! before, and nobody said anything.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::crowd::{Choir, OpenStream};
use crate::support::in_time;
use crate::support::served::{Served, call, write_config};

const GREEN: &str = "/v1/services/chat/environments/green";

struct Stage {
    directory: tempfile::TempDir,
    choir: Choir,
    cyan: Served,
    stream: OpenStream,
}

/// A Cyan with a stream in green, which gets no more traffic.
async fn green_streams() -> Stage {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let choir = Choir::start().await;
    write_config(directory.path(), choir.upstream.address, choir.upstream.address);
    let cyan = Served::start(directory.path()).await;
    weigh(cyan.admin, 100).await;
    let stream = OpenStream::open(cyan.address).await;
    weigh(cyan.admin, 0).await;
    Stage { directory, choir, cyan, stream }
}

async fn weigh(admin: SocketAddr, green: u32) {
    let body = format!(r#"{{"weights":{{"blue":{},"green":{green}}}}}"#, 100 - green);
    let put = in_time(request(admin, "PUT", "/v1/services/chat/weights", &body)).await;
    assert_eq!(put.0, 200, "{}", put.1);
}

async fn request(admin: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Value) {
    call(&mut Client::connect(admin).await, method, path, body).await
}

async fn drain(admin: SocketAddr) {
    let body = r#"{"deadline":"1m"}"#;
    let (status, answer) =
        in_time(request(admin, "POST", &format!("{GREEN}/drain?wait=false"), body)).await;
    assert_eq!(status, 202, "{answer}");
}

/// Waits until the drain of green looks so.
async fn is_seen(cyan: &Served, state: &str, in_flight: u32) {
    let seen = async {
        loop {
            let chat = cyan.ask("/v1/services/chat").await;
            let drain = &chat["environments"][1]["drain"];
            if drain["state"] == state && drain["in_flight"] == in_flight {
                return;
            }
            assert!(state == "drained" || drain["state"] != "drained", "{drain}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    in_time(seen).await;
}

#[tokio::test]
async fn what_the_process_before_still_streams_is_not_drained() {
    let Stage { directory, choir, cyan, stream } = green_streams().await;
    let next = Served::take_over(directory.path()).await.expect("it takes over");
    drain(next.admin).await;
    is_seen(&next, "draining", 1).await;
    let (status, refused) = request(next.admin, "DELETE", GREEN, "").await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused.to_string().contains("`green` has 1 in flight"), "{refused}");
    is_seen(&next, "draining", 1).await;
    choir.is_enough();
    stream.ends_whole().await;
    is_seen(&next, "drained", 0).await;
    assert_eq!(cyan.ended().await, Some(0));
}

#[tokio::test]
async fn a_process_before_that_is_killed_has_nothing_in_flight() {
    let Stage { directory, cyan, stream, .. } = green_streams().await;
    let next = Served::take_over(directory.path()).await.expect("it takes over");
    drain(next.admin).await;
    is_seen(&next, "draining", 1).await;
    cyan.kill().await;
    is_seen(&next, "drained", 0).await;
    drop(stream);
}

#[tokio::test]
async fn a_drain_under_way_is_taken_up() {
    let Stage { directory, choir, cyan, stream } = green_streams().await;
    drain(cyan.admin).await;
    is_seen(&cyan, "draining", 1).await;
    let next = Served::take_over(directory.path()).await.expect("it takes over");
    is_seen(&next, "draining", 1).await;
    choir.is_enough();
    stream.ends_whole().await;
    is_seen(&next, "drained", 0).await;
    assert_eq!(cyan.ended().await, Some(0));
}
