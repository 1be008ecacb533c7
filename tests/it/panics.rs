//! A bug costs the request it is in, and nothing else; one in the controller ends the process aloud, after
//! what is in flight.

use serde_json::json;

use crate::support::client::Client;
use crate::support::crowd::{Choir, Crowd, OpenStream};
use crate::support::eventually;
use crate::support::http2::{Http2Client, get};
use crate::support::in_time;
use crate::support::served::{A_BUG, Served, write_config};

async fn stage() -> (tempfile::TempDir, Choir, Served) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let choir = Choir::start().await;
    write_config(directory.path(), choir.upstream.address, choir.upstream.address);
    let cyan = Served::start(directory.path()).await;
    (directory, choir, cyan)
}

/// Waits until the metrics tell of so many panics, and nothing in flight but this.
async fn counted(cyan: &Served, panics: u32) {
    let page = async {
        loop {
            let mut client = Client::connect(cyan.admin).await;
            client.send("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await;
            let page = client.answer().await.text();
            if page.contains(&format!("\ncyan_panics_total {panics}\n")) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    in_time(page).await;
}

#[tokio::test]
async fn a_bug_costs_the_request_it_is_in() {
    let (_directory, choir, cyan) = stage().await;
    let stream = OpenStream::open(cyan.address).await;
    let crowd = Crowd::at(cyan.address);
    let http2 = Http2Client::connect(cyan.address).await;
    // The lean engine, hyper, and one stream of a connection whose others go on.
    let plain = format!("GET {A_BUG} HTTP/1.1\r\nhost: test\r\n\r\n");
    let chunked = format!(
        "POST {A_BUG} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    for (request, panics) in [(plain, 1), (chunked, 2)] {
        let mut client = Client::connect(cyan.address).await;
        client.send(request).await;
        assert!(client.try_answer().await.is_none(), "nothing that could be taken for an answer");
        counted(&cyan, panics).await;
    }
    assert!(http2.call(get(A_BUG)).await.try_reading().await.is_err());
    assert_eq!(http2.answer(get("/")).await.body, b"ok", "the same connection goes on");
    counted(&cyan, 3).await;
    eventually("the log tells", || cyan.log().matches("a bug has ended a task").count() == 3).await;
    choir.is_enough();
    stream.ends_whole().await;
    crowd.goes_on(50).await;
    assert_eq!(crowd.leave().await.1, 0);
    cyan.signal(libc::SIGTERM);
    assert_eq!(cyan.ended().await, Some(0), "nothing is left in flight");
}

#[tokio::test]
async fn a_bug_in_the_controller_ends_the_process_aloud_after_what_is_in_flight() {
    let (directory, choir, cyan) = stage().await;
    let stream = OpenStream::open(cyan.address).await;
    let body = json!({ "weights": { "blue": 90, "green": 10 }, "reason": A_BUG }).to_string();
    let mut client = Client::connect(cyan.admin).await;
    let request = format!(
        "PUT /v1/services/chat/weights HTTP/1.1\r\nhost: 127.0.0.1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(request).await;
    assert_eq!(client.answer().await.status, 503, "it was not done");
    eventually("the log tells", || cyan.log().contains("a bug has ended the controller")).await;
    choir.is_enough();
    stream.ends_whole().await;
    assert_eq!(cyan.ended().await, Some(1));
    // Nothing of it was kept, and the next one serves.
    let next = Served::start(directory.path()).await;
    let chat = next.ask("/v1/services/chat").await;
    assert_eq!(chat["environments"][1]["weight_percent"], 0.0);
}
