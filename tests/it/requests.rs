//! Single requests, followed live: `cyan events --requests` beside a whole proxy.

use std::collections::BTreeSet;
use std::process::Stdio;

use cyan::metrics::feed::WATCHERS_MAX;
use cyan::metrics::record_fields::FIELDS;
use cyan::model::header_id::HeaderId;
use cyan::model::service::ForceRule;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::client::Client;
use crate::support::in_time;
use crate::support::program::{Run, command, cyan};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::upstream::Upstream;

/// A proxy whose clients may name their environment, and its upstreams.
async fn proxy() -> (Proxy, [Upstream; 2]) {
    let (blue, green) =
        (Upstream::replying(200, "blue").await, Upstream::replying(500, "green").await);
    let environments = vec![environment("blue", &[&blue]), environment("green", &[&green])];
    let proxy = Builder::new(environments).service(|service| {
        let trusted = vec!["127.0.0.0/8".parse().unwrap()];
        let header = HeaderId::X_CYAN_ENVIRONMENT;
        service.force = Some(ForceRule { header, cookie: None, trusted, secret: None });
    });
    (proxy.start(), [blue, green])
}

fn admin(proxy: &Proxy) -> String {
    format!("http://{}", proxy.app().admin_address())
}

/// Runs `cyan events --requests` while requests go to both environments in turn.
async fn followed(proxy: &Proxy, flags: &str) -> Run {
    let line = format!("events --requests --admin {} {flags}", admin(proxy));
    let arguments: Vec<_> = line.split_whitespace().collect();
    let traffic = async {
        let mut client = proxy.client().await;
        loop {
            for environment in ["blue", "green"] {
                let header = format!("x-cyan-environment: {environment}\r\n");
                client.get("/v1/models?key=secret", &header).await;
            }
        }
    };
    tokio::select! {
        run = cyan(&arguments) => run,
        () = traffic => unreachable!("traffic goes on"),
    }
}

#[tokio::test]
async fn only_what_is_asked_for_is_followed_with_the_fields_of_the_access_log() {
    let (proxy, _upstreams) = proxy().await;
    let run = followed(&proxy, "--environment green --limit 3 --json").await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stdout.lines().count(), 3, "{run:?}");
    assert!(!run.stdout.contains("secret"), "{run:?}");
    let listed: BTreeSet<_> = FIELDS.iter().map(|field| field.name).collect();
    for line in run.stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["environment"], "green", "{line}");
        assert_eq!(record["status"], 500, "{line}");
        let fields: BTreeSet<_> = record.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, listed);
    }
}

#[tokio::test]
async fn people_get_a_line_per_request() {
    let (proxy, _upstreams) = proxy().await;
    let run = followed(&proxy, "--service chat --verdict complete,stalled --limit 2").await;
    assert_eq!(run.code, 0, "{run:?}");
    for line in run.stdout.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[1..5], ["●", "blue", "complete", "200"], "{line}");
        assert!(line.contains("GET /v1/models  "), "{line}");
    }
    assert_eq!(run.stdout.lines().count(), 2, "{run:?}");
}

#[tokio::test]
async fn what_can_never_come_is_refused() {
    let (proxy, _upstreams) = proxy().await;
    let url = admin(&proxy);
    for (flags, code, message) in [
        ("--environment gren", 5, "error: unknown environment `gren`; configured: blue, green"),
        ("--service chit", 5, "error: unknown service `chit`; configured: chat"),
        ("--verdict broken", 2, "there are: complete, length, filtered"),
        ("--limit 0", 2, "0 is not in 1.."),
        ("--since 3", 2, "cannot be used with"),
    ] {
        let line = format!("events --requests --admin {url} {flags}");
        let run = cyan(&line.split_whitespace().collect::<Vec<_>>()).await;
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(message), "{run:?}");
    }
    let run = cyan(&["events", "--admin", &url, "--environment", "blue"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("--requests"), "{run:?}");
}

#[tokio::test]
async fn ctrl_c_ends_the_watching() {
    let (proxy, _upstreams) = proxy().await;
    let url = admin(&proxy);
    let mut child = command(&["events", "--requests", "--admin", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut client = proxy.client().await;
    let first = async {
        loop {
            tokio::select! {
                line = lines.next_line() => break line.unwrap().unwrap(),
                _ = client.get("/", "") => {}
            }
        }
    };
    assert!(in_time(first).await.contains("GET /"));
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    // SAFETY: no memory is touched; the process is our child and has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    let output = in_time(child.wait_with_output()).await.unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: stopped watching; what was asked for goes on\n");
}

const REQUEST: &str = "GET /v1/requests HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Opens `/v1/requests` and returns after the beginning of the answer.
async fn watcher(proxy: &Proxy) -> Client {
    let address = proxy.app().admin_address().to_string().parse().unwrap();
    let mut client = Client::connect(address).await;
    client.send(REQUEST).await;
    client.read_until(b": requests of cyan\n\n").await;
    client
}

#[tokio::test]
async fn beyond_the_rate_records_are_left_out_and_told() {
    let (proxy, _upstreams) = proxy().await;
    let mut watcher = watcher(&proxy).await;
    let traffic = async {
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(proxy.client().await);
        }
        loop {
            let mut requests = tokio::task::JoinSet::new();
            for mut client in clients.drain(..) {
                requests.spawn(async move {
                    for _ in 0..100 {
                        client.get("/", "").await;
                    }
                    client
                });
            }
            clients = requests.join_all().await;
        }
    };
    tokio::select! {
        _ = watcher.read_until(b"event: requests_left_out\ndata: {\"over_rate\":") => {}
        () = traffic => unreachable!("traffic goes on"),
    }
}

#[tokio::test]
async fn places_are_few_and_given_back() {
    let (proxy, _upstreams) = proxy().await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS_MAX {
        watchers.push(watcher(&proxy).await);
    }
    let address = proxy.app().admin_address().to_string().parse().unwrap();
    let mut client = Client::connect(address).await;
    client.send(REQUEST).await;
    let refused = client.answer().await;
    assert_eq!(refused.status, 429);
    assert!(refused.text().contains("16 watch single requests already"), "{}", refused.text());
    watchers.pop();
    // The server learns of the end when it next looks; until then it answers 429.
    let again = async {
        loop {
            let mut client = Client::connect(address).await;
            client.send(REQUEST).await;
            if client.read_until(b"\r\n").await.starts_with(b"HTTP/1.1 200") {
                return;
            }
        }
    };
    in_time(again).await;
}
