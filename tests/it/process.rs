//! The real program: how it ends, what it says when it cannot start, and how it takes a new config.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::support::program::cyan;
use crate::support::serving::{Serving, serve_on};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// Streams one event and the rest when it is let.
async fn held(go: &tokio::sync::watch::Sender<bool>) -> Upstream {
    let go = go.subscribe();
    Upstream::scripted(move |mut visit| {
        let mut go = go.clone();
        async move {
            visit.request().await;
            visit.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
            let is_left = tokio::select! {
                _ = go.wait_for(|go| *go) => false,
                () = visit.until_closed() => true,
            };
            if !is_left {
                visit.send("4\r\nlast\r\n0\r\n\r\n").await;
            }
        }
    })
    .await
}

fn blue(upstream: &Upstream) -> String {
    format!("[environment.blue]\nupstreams = [\"{}\"]\n", upstream.url())
}

/// Waits until the admin API answers a path with a status.
async fn until_status(cyan: &Serving, path: &str, status: u16) {
    let waiting = async {
        while cyan.admin_status(path).await != status {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    in_time(waiting).await;
}

#[tokio::test]
async fn sigterm_finishes_what_runs_and_takes_nothing_new() {
    let (go, _) = tokio::sync::watch::channel(false);
    let upstream = held(&go).await;
    let mut cyan = Serving::start(&blue(&upstream)).await;
    until_status(&cyan, "/readyz", 200).await;
    let mut client = cyan.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    client.read_until(b"first").await;
    cyan.signal(libc::SIGTERM);
    until_status(&cyan, "/readyz", 503).await;
    let refused = async {
        while TcpStream::connect(cyan.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    in_time(refused).await;
    go.send_replace(true);
    client.read_until(b"last\r\n0\r\n\r\n").await;
    assert_eq!(cyan.ended().await.code(), Some(0), "{}", cyan.log());
}

/// Found by chaos: signals were listened to last, and one that came while users were served already killed
/// the process.
#[tokio::test]
async fn a_signal_right_after_the_start_is_heard() {
    let upstream = Upstream::replying(200, "ok").await;
    for _ in 0..5 {
        let mut cyan = Serving::start(&blue(&upstream)).await;
        cyan.signal(libc::SIGHUP);
        assert_eq!(cyan.client().await.get("/", "").await.text(), "ok");
        cyan.signal(libc::SIGTERM);
        assert_eq!(cyan.ended().await.code(), Some(0), "{}", cyan.log());
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (go, _) = tokio::sync::watch::channel(false);
    let upstream = held(&go).await;
    let mut cyan = Serving::start(&blue(&upstream)).await;
    let mut client = cyan.client().await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    client.read_until(b"first").await;
    cyan.signal(libc::SIGTERM);
    eventually("it drains", || cyan.log().contains("a second signal ends at once")).await;
    cyan.signal(libc::SIGTERM);
    assert_eq!(cyan.ended().await.code(), Some(130), "{}", cyan.log());
    let rest = client.rest().await.unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[tokio::test]
async fn a_busy_port_is_named_with_the_process_that_has_it() {
    let (upstream, busy) = (Upstream::replying(200, "").await, Upstream::replying(200, "").await);
    let (said, code) = serve_on(busy.address, &blue(&upstream)).await;
    assert_eq!(code, Some(5), "{said}");
    let expected = format!(
        "cannot listen on {}: it is in use, by process {} (",
        busy.address,
        std::process::id()
    );
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn a_broken_config_changes_nothing_and_is_shown_until_it_is_mended() {
    let upstream = Upstream::replying(200, "ok").await;
    let cyan = Serving::start(&blue(&upstream)).await;
    let broken = blue(&upstream).replace("upstreams", "upstream");
    cyan.write(&broken);
    eventually("the change is seen", || cyan.log().contains("was not taken over")).await;
    assert_eq!(cyan.client().await.get("/", "").await.text(), "ok");
    let status = shown(&cyan).await;
    assert!(status.contains("the last reload was refused, the old config stays"), "{status}");
    assert!(status.contains("upstream"), "it says which field: {status}");
    let version = blue(&upstream) + "version = \"two\"\n";
    cyan.write(&version);
    eventually("the next one is taken", || cyan.log().contains("the config was taken over")).await;
    let status = shown(&cyan).await;
    assert!(!status.contains("refused") && status.contains("two"), "{status}");
    // And once more, by signal: the file is the same, so it is taken without a change.
    std::fs::write(cyan.file(), "not toml at all [").unwrap();
    cyan.signal(libc::SIGHUP);
    eventually("it is read again", || cyan.log().matches("was not taken over").count() >= 2).await;
    assert_eq!(cyan.client().await.get("/", "").await.text(), "ok");
}

async fn shown(serving: &Serving) -> String {
    let run = cyan(&["status", "--admin", &format!("http://{}", serving.admin)]).await;
    format!("{}{}", run.stdout, run.stderr)
}
