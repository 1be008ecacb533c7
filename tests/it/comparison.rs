//! Two environments side by side after real traffic: the admin API, `cyan compare` and its exit codes.

use std::time::Duration;

use cyan::model::listener::ListenAddress;
use cyan::model::verdict::Verdict;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::program::{Run, cyan};
use crate::support::proxy::{Builder, Proxy, environment};
use crate::support::served::call;
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

const WORD: &str = r#"{"choices":[{"index":0,"delta":{"content":"word "}}]}"#;
const LAST: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

/// An upstream that answers every request with a stream.
async fn speaking() -> Upstream {
    let body = [WORD, LAST, "[DONE]"].map(|data| format!("data: {data}\n\n")).concat();
    let length = body.len();
    Upstream::sending(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
    .await
}

/// Half of the users on each side. The margin is what no machine is late by, however busy.
async fn between(blue: &Upstream, green: &Upstream) -> Proxy {
    let environments = vec![environment("blue", &[blue]), environment("green", &[green])];
    let builder = Builder::new(environments).service(|service| {
        service.plans.default.comparison.latency_p99_margin = Duration::from_secs(60);
    });
    let proxy = builder.start();
    proxy.set_weights(&[("blue", 50.0), ("green", 50.0)]).await;
    proxy
}

/// So many chats of as many users, all of them collected.
async fn chat(proxy: &Proxy, count: u64) {
    let mut client = proxy.client().await;
    for _ in 0..count {
        in_time(client.post("/v1/chat/completions", "", "{}")).await;
    }
    let ended = |verdict| proxy.verdicts("blue", verdict) + proxy.verdicts("green", verdict);
    eventually("everything is collected", || {
        ended(Verdict::Complete) + ended(Verdict::HttpError) == count
    })
    .await;
}

fn admin(proxy: &Proxy) -> std::net::SocketAddr {
    let ListenAddress::Tcp(address) = proxy.app().admin_address() else { panic!("it is TCP") };
    *address
}

async fn get(proxy: &Proxy, query: &str) -> (u16, Value) {
    let mut client = Client::connect(admin(proxy)).await;
    call(&mut client, "GET", &format!("/v1/services/chat/comparison{query}"), "").await
}

async fn compare(proxy: &Proxy, arguments: &[&str]) -> Run {
    let admin = format!("http://{}", admin(proxy));
    cyan(&[&["--admin", &admin, "compare"], arguments].concat()).await
}

#[tokio::test]
async fn an_environment_that_is_as_good_is_safe() {
    let (blue, green) = (speaking().await, speaking().await);
    let proxy = between(&blue, &green).await;
    // 381 without a failure are enough on the candidate's side; at half of it 1 000 bring that many.
    chat(&proxy, 1_000).await;
    let (code, found) = get(&proxy, "?candidate=green&window=5m").await;
    assert_eq!((code, &found["safe"], &found["answer"]), (200, &json!(true), &json!("safe")));
    assert_eq!((&found["latency_signal"], &found["window"]), (&json!("ttft"), &json!("5m")));
    let p99 = &found["latency_p99_ms"];
    let n = |side: &str| (p99[side]["n"].as_u64().unwrap(), found[side]["requests"].as_u64());
    let ((blue, requests), (green, _)) = (n("active"), n("candidate"));
    assert_eq!((blue + green, requests), (1_000, Some(blue)));
    assert!(p99["worse_by"]["low"].as_f64() <= p99["worse_by"]["value"].as_f64());
    assert_eq!((&found["quality"], &found["candidate"]["failed"]), (&json!(null), &json!(0)));
    let explanation = found["explanation"].as_str().unwrap();
    assert_eq!(explanation, format!("safe: {}", found["reason"].as_str().unwrap()));

    let run = compare(&proxy, &[]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("▲ green against ● blue, requests of the last "), "{run:?}");
    assert!(lines[2].starts_with("p99 TTFT ") && lines[2].ends_with(" ok"), "{run:?}");
    assert!(lines[4].starts_with("safe: true. p99 is at most "), "{run:?}");
    let run = compare(&proxy, &["chat", "green", "--window", "step", "--json"]).await;
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &json["window"], &json["safe"]), (0, &json!("step"), &json!(true)));
}

#[tokio::test]
async fn an_environment_that_fails_is_not_safe() {
    let (blue, green) = (speaking().await, Upstream::replying(500, "no").await);
    let proxy = between(&blue, &green).await;
    chat(&proxy, 60).await;
    let run = compare(&proxy, &["chat"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (10, ""), "{run:?}");
    let answer = "\nsafe: false. 100 % of green's requests fail, allowed 1 % (";
    assert!(run.stdout.contains(answer) && run.stdout.contains(" not ok\n"), "{run:?}");
    let (_, found) = get(&proxy, "").await;
    assert_eq!((&found["safe"], &found["answer"]), (&json!(false), &json!("unsafe")));
    let errors = &found["error_rate_percent"];
    assert_eq!((&errors["answer"], &errors["difference"]), (&json!("unsafe"), &json!(100.0)));
    assert_eq!((&errors["worse_by"]["value"], &errors["margin"]), (&json!(100.0), &json!(1.0)));
}

#[tokio::test]
async fn too_little_data_is_no_answer() {
    let (blue, green) = (speaking().await, speaking().await);
    let proxy = between(&blue, &green).await;
    let run = compare(&proxy, &["--ascii"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (11, ""), "{run:?}");
    let answer = "\nsafe: not enough data. p99 needs at least 368 more green requests, error rate \
                  needs at least 381 more green requests; so far 0 blue requests, 0 green\n";
    assert!(run.stdout.is_ascii() && run.stdout.ends_with(answer), "{run:?}");
    let (code, found) = get(&proxy, "").await;
    assert_eq!((code, &found["safe"], &found["quality"]), (200, &json!(null), &json!(null)));
    assert_eq!(found["latency_p99_ms"]["candidate"], json!({"value": null, "n": 0}));
}

#[tokio::test]
async fn scores_of_users_are_compared() {
    let (blue, green) = (speaking().await, speaking().await);
    let proxy = between(&blue, &green).await;
    let mut client = Client::connect(admin(&proxy)).await;
    let score = |name: &str, value: f64| json!({"environment": name, "value": value});
    let scores: Vec<_> = (0..40).flat_map(|_| [score("blue", 0.9), score("green", 0.5)]).collect();
    let (code, _) = call(&mut client, "POST", "/v1/scores", &json!(scores).to_string()).await;
    assert_eq!(code, 200);
    let (_, found) = get(&proxy, "").await;
    let quality = &found["quality"];
    assert_eq!(
        (&quality["difference"], &quality["worse_by"]["value"]),
        (&json!(-0.4), &json!(0.4))
    );
    assert_eq!(quality["candidate"], json!({"value": 0.5, "n": 40}));
    assert_eq!(
        found["reason"],
        "quality is 0.400 below blue's, allowed 0.02 (0 blue requests, 0 green)"
    );
    let run = compare(&proxy, &[]).await;
    assert!(
        run.code == 10 && run.stdout.contains("\nquality     0.900  0.500  -0.400 ("),
        "{run:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused() {
    let upstream = speaking().await;
    let proxy = between(&upstream, &upstream).await;
    for (query, status, detail) in [
        (
            "?candidate=red",
            404,
            "unknown environment `red` of service `chat`; configured: blue, green",
        ),
        ("?candidate=blue", 422, "`blue` is the active environment; name one to compare with it"),
        ("?window=1h", 422, "window: `1h` is not within 1s and 15m; or ask for `step`"),
        ("?window=soon", 422, "window: `soon` is not a duration; write a number and a unit"),
        ("?since=5m", 422, "unknown field `since`"),
    ] {
        let (code, problem) = get(&proxy, query).await;
        let said = problem["detail"].as_str().unwrap();
        assert!(code == status && said.contains(detail), "{query}: {code} {said}");
    }
    let run = compare(&proxy, &["chat", "red"]).await;
    let said = "error: unknown environment `red` of service `chat`; configured: blue, green\n";
    assert_eq!((run.code, run.stderr.as_str()), (5, said));
    let alone = Proxy::before(&upstream);
    let (code, problem) = get(&alone, "").await;
    let detail = "`chat` has no candidate; name the environment to compare";
    assert_eq!((code, &problem["detail"]), (422, &json!(detail)));
}
