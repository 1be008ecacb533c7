//! Clients of HTTP/2 at a takeover: their connection is said GOAWAY, what is open on it ends whole in the old
//! process, and what they ask next goes to the new one.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};

use crate::support::crowd::Choir;
use crate::support::http2::{Http2Client, Http2Upstream, get};
use crate::support::in_time;
use crate::support::served::{Served, write_config};

/// Sends back what it gets, and says at the end that all was well, as gRPC does.
async fn echoing() -> Http2Upstream {
    Http2Upstream::scripted(|mut visit| async move {
        let mut sending = visit.answer(200);
        while let Some(piece) = visit.piece().await {
            let _ = sending.send_data(piece, false);
        }
        let status = ("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"));
        let _ = sending.send_trailers(HeaderMap::from_iter([status]));
    })
    .await
}

fn talk() -> Request<()> {
    let request = Request::post("http://grpc.test/llm.Chat/Talk")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    request.body(()).expect("a request")
}

/// Waits until requests were counted; the count of a process begins at 0.
async fn serves(process: &Served) {
    while process.ask("/v1/status").await["requests"] == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn open_streams_end_whole_and_the_next_request_goes_to_the_new_process() {
    let directory = tempfile::tempdir().unwrap();
    let (choir, echo) = (Choir::start().await, echoing().await);
    write_config(directory.path(), choir.upstream.address, choir.upstream.address);
    let file = directory.path().join("cyan.toml");
    let grpc = format!(
        "[service.grpc]\nhosts = [\"grpc.test\"]\n[service.grpc.environment.blue]\n\
         upstreams = [\"{}\"]\nprotocol = \"http2\"\n",
        echo.url()
    );
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &grpc).unwrap();
    let old = Served::start(directory.path()).await;

    let client = Http2Client::connect(old.address).await;
    let mut events = client.call(get("/stream")).await.reading().await;
    let mut heard = events.next().await.unwrap().unwrap().to_vec();
    let mut call = client.open(talk()).await;
    call.send("one");
    let mut call = call.reading().await;
    assert_eq!(call.next().await.unwrap().unwrap(), "one");

    let new = Served::take_over(directory.path()).await.expect("it takes over");
    client.refused().await;
    let next = Http2Client::connect(old.address).await;
    assert_eq!(next.answer(get("/")).await.text(), "ok");
    in_time(serves(&new)).await;

    call.upload.send_data("two".into(), true).expect("the call goes on");
    let said = call.rest().await;
    assert!(said.end.is_ok() && said.text() == "two", "{said:?}");
    assert_eq!(said.trailer("grpc-status"), Some("0"));
    choir.is_enough();
    let rest = events.rest().await;
    assert!(rest.end.is_ok(), "{rest:?}");
    heard.extend(&rest.body);
    let heard = String::from_utf8(heard).unwrap();
    for (number, line) in heard.split_terminator("\n\n").enumerate() {
        assert_eq!(line, format!("data: {number}"));
    }
    client.ended().await.expect("GOAWAY without an error");
    assert_eq!(old.ended().await, Some(0));
    assert_eq!(next.answer(get("/")).await.text(), "ok", "in the new process");
}
