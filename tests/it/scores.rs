//! Quality scores: sent to the admin API, counted once, shown in stats and metrics.

use serde_json::{Value, json};

use crate::support::admin::TestAdmin;
use crate::support::client::Client;
use crate::support::program::{cyan as program, cyan_at};
use crate::support::proxy::Proxy;
use crate::support::served::{Served, call, write_config};
use crate::support::upstream::Upstream;

const GREEN: &str = "/v1/services/chat/environments/green/stats";

async fn scores(admin: &TestAdmin) -> Value {
    admin.get(GREEN).await.json()["scores"].clone()
}

#[tokio::test]
async fn scores_are_counted_one_by_one_and_in_batches() {
    let admin = TestAdmin::start().await;
    assert_eq!(scores(&admin).await, json!({}), "nothing was scored yet");
    let one = r#"{"exchange":"chat.green.0.00f3a1c2d4e5f607","value":0.5,"key":"ana"}"#;
    let answer = admin.post("/v1/scores", one).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"schema":1,"counted":1})));
    let batch = r#"[
        {"environment":"green","value":1},
        {"service":"chat","environment":"green","name":"helpful","value":0.25,"timestamp":1000},
        {"environment":"green","value":0.75,"evaluation":true}
    ]"#;
    assert_eq!(admin.post("/v1/scores", batch).await.json()["counted"], 3);
    let scores = scores(&admin).await;
    let quality = json!({"count":3,"mean":0.75,"variance":0.0625});
    for window in ["5m", "1h", "step", "start"] {
        assert_eq!(scores["quality"][window], quality, "{window}");
    }
    let late = json!({"count":1,"mean":0.25,"variance":null});
    assert_eq!(scores["helpful"]["5m"], late, "it came in now");
    assert_eq!(scores["helpful"]["step"]["count"], 0, "its exchange is of 1970");
    let page = admin.get("/metrics").await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let quality = "service=\"chat\",environment=\"green\",score=\"quality\"";
    for line in [
        format!("cyan_scores_total{{{quality}}} 3"),
        format!("cyan_score_points_total{{{quality}}} 2.25"),
        format!("cyan_score_mean_ratio{{{quality},window=\"5m\"}} 0.75"),
    ] {
        assert!(page.lines().any(|found| found == line), "{line}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a row for each thing that can be wrong")]
async fn what_cannot_be_counted_is_named_and_nothing_is_counted() {
    let admin = TestAdmin::start().await;
    for (body, status, pointer, detail) in [
        (
            r#"{"environment":"green","value":1.2}"#,
            422,
            "#/value",
            "1.2 is no score; send a number from 0 to 1, higher is better",
        ),
        (
            r#"[{"environment":"green","value":1},{"environment":"green","value":-0.1}]"#,
            422,
            "#/1/value",
            "score 1: -0.1 is no score; send a number from 0 to 1, higher is better; nothing was counted",
        ),
        (
            r#"{"exchange":"00f3a1c2d4e5f607","value":1}"#,
            422,
            "#/exchange",
            "`00f3a1c2d4e5f607` is no id of an exchange; send the answer's `X-Cyan-Exchange` as it was, e.g. chat.green.0.00f3a1c2d4e5f607",
        ),
        (
            r#"{"exchange":"embed.green.0.00f3a1c2d4e5f607","value":1}"#,
            404,
            "#/service",
            "unknown service `embed`; configured: chat",
        ),
        (
            r#"[{"environment":"red","value":1}]"#,
            404,
            "#/0/environment",
            "score 0: unknown environment `red` of service `chat`; configured: blue, green; nothing was counted",
        ),
        (
            r#"{"exchange":"chat.green.0.00f3a1c2d4e5f607","environment":"blue","value":1}"#,
            422,
            "#/exchange",
            "an exchange names its service and environment itself; leave them out",
        ),
        (
            r#"{"value":1}"#,
            422,
            "#",
            "nobody knows what is scored; send the exchange or the environment",
        ),
        (
            r#"[{"environment":"green","value":1,"timestamp":99999999999}]"#,
            422,
            "#/0/timestamp",
            "score 0: 99999999999 is ",
        ),
        (r#"{"environment":"green"}"#, 422, "#", "missing field `value`"),
        (
            r#"{"environment":"green","value":"good"}"#,
            422,
            "#",
            "invalid type: string \"good\", expected f64",
        ),
        (
            r#"{"environment":"green","value":1,"scale":5}"#,
            422,
            "#",
            "unknown field `scale`, expected one of",
        ),
        (
            r#"[{"environment":"green","value":2},{"environment":"green","value":1},{"value":1}]"#,
            422,
            "#/0/value",
            "2 scores cannot be counted, so nothing was; score 0: 2 is no score",
        ),
        (
            r#"{"environment":"green","value":1,"count":2}"#,
            422,
            "#/count",
            "only an evaluation has cases; send each score by itself",
        ),
        (
            r#"{"environment":"green","value":1,"count":0,"evaluation":true}"#,
            422,
            "#/count",
            "0 is out of range; send 1 to 1000000",
        ),
    ] {
        let answer = admin.post("/v1/scores", body).await;
        let problem = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{body}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        let found = problem["detail"].as_str().unwrap();
        assert!(found.starts_with(detail), "{body}: {found}");
    }
    for (body, status, detail) in [
        (r#"{"environment":"green","value":NaN}"#, 400, "body: "),
        (r#"{"environment":"green","value":1e999}"#, 400, "body: number out of range"),
        ("good", 400, "body: "),
        ("[[1]]", 422, "score 0: "),
        ("7", 422, "invalid type"),
        (
            r#"{"exchange":"chat.red.0.00f3a1c2d4e5f607","value":1}"#,
            404,
            "unknown environment `red`",
        ),
        (
            r#"{"exchange":"chat.green.1.00f3a1c2d4e5f607","value":1}"#,
            404,
            "unknown exchange: it names rollout 1, and `chat` has had 0; send the answer's `X-Cyan-Exchange` as it was",
        ),
    ] {
        let answer = admin.post("/v1/scores", body).await;
        let problem = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{body}: {problem}");
        let found = problem["detail"].as_str().unwrap();
        assert!(found.starts_with(detail), "{body}: {found}");
    }
    let many = vec![json!({"environment":"green","value":1}); 1_001];
    let answer = admin.post("/v1/scores", &Value::from(many).to_string()).await;
    let detail = answer.json()["detail"].clone();
    assert_eq!(detail, "1001 scores in one request; send at most 1000, and the rest in another");
    assert_eq!(admin.post("/v1/scores", "[").await.status, 400);
    assert_eq!(scores(&admin).await, json!({}));
}

#[tokio::test]
async fn the_id_in_an_answer_leads_to_its_environment() {
    let upstream = Upstream::sending("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let proxy = Proxy::before(&upstream);
    let answer = proxy.client().await.get("/", "").await;
    let exchange = answer.header("x-cyan-exchange").unwrap().to_owned();
    let id: cyan::model::exchange_id::ExchangeId = exchange.parse().unwrap();
    assert_eq!(id.to_string(), exchange, "the data plane writes what is read here");
    let mut scored = proxy.app().controller().scored();
    let cyan::model::listener::ListenAddress::Tcp(admin) = proxy.app().admin_address() else {
        panic!("it is TCP")
    };
    let mut client = crate::support::client::Client::connect(*admin).await;
    let body = json!({"exchange": exchange, "value": 0.75, "key": "ana"}).to_string();
    let (code, counted) = call(&mut client, "POST", "/v1/scores", &body).await;
    assert_eq!((code, counted["counted"].as_u64()), (200, Some(1)));
    let scored = scored.try_recv().unwrap();
    assert_eq!((scored.environment.as_str(), scored.exchange), ("blue", Some(id.number)));
    let stats = "/v1/services/chat/environments/blue/stats";
    let (_, stats) = call(&mut client, "GET", stats, "").await;
    assert_eq!(stats["scores"]["quality"]["step"]["mean"], 0.75);
}

/// While a rollout is under way, answers name it; its scores count for it, and those of a rollout that there
/// never was are refused, in the command line too.
#[tokio::test]
async fn the_id_in_an_answer_names_the_rollout() {
    let upstream = Upstream::replying(200, "hello").await;
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), upstream.address, upstream.address);
    let cyan = Served::start(dir.path()).await;
    let (mut client, mut admin) =
        (Client::connect(cyan.address).await, Client::connect(cyan.admin).await);
    let rollout = "/v1/services/chat/rollout";
    let mut ids = Vec::new();
    for action in [None, Some((rollout, r#"{"candidate":"green"}"#)), Some(("/rollback", "{}"))] {
        if let Some((path, body)) = action {
            let path = if path == rollout { path.to_owned() } else { format!("{rollout}{path}") };
            let (code, answer) = call(&mut admin, "POST", &path, body).await;
            assert_eq!(code, 200, "{answer}");
        }
        let answer = client.get("/", "").await;
        let id = answer.header("x-cyan-exchange").unwrap().to_owned();
        ids.push(id.split('.').nth(2).unwrap().to_owned());
        let score = json!({ "exchange": id, "value": 0.5 }).to_string();
        assert_eq!(call(&mut admin, "POST", "/v1/scores", &score).await.0, 200);
    }
    assert_eq!(ids, ["0", "1", "0"]);
    let stats = cyan.ask("/v1/services/chat/environments/blue/stats").await;
    assert_eq!(stats["scores"]["quality"]["1h"]["count"], 3);

    let unknown = "chat.green.2.00f3a1c2d4e5f607";
    let score = json!([{ "exchange": unknown, "value": 0.5 }]).to_string();
    let (code, problem) = call(&mut admin, "POST", "/v1/scores", &score).await;
    assert_eq!((code, problem["errors"][0]["pointer"].as_str()), (404, Some("#/0/exchange")));
    let sentence = "unknown exchange: it names rollout 2, and `chat` has had 1; send the answer's \
                    `X-Cyan-Exchange` as it was";
    assert_eq!(problem["errors"][0]["detail"], sentence);
    let at = format!("http://{}", cyan.admin);
    let run = program(&["score", "--value", "0.5", "--exchange", unknown, "--admin", &at]).await;
    assert_eq!((run.code, run.stderr), (5, format!("error: {sentence}\n")));
    let stats = cyan.ask("/v1/services/chat/environments/green/stats").await;
    assert_eq!(stats["scores"], json!({}));
}

#[tokio::test]
async fn the_command_line_says_the_same_of_what_cannot_be_counted() {
    let admin = TestAdmin::start().await;
    let no_score = "is no score; send a number from 0 to 1, higher is better";
    for (line, code, sentence) in [
        ("--value 1.2 --environment green", 2, format!("1.2 {no_score}")),
        ("--value -0.1 --environment green", 2, format!("-0.1 {no_score}")),
        ("--value nan --environment green", 2, format!("NaN {no_score}")),
        (
            "--value 1 --environment red",
            5,
            "unknown environment `red` of service `chat`; configured: blue, green".to_owned(),
        ),
        (
            "--value 1 --environment green --service embed",
            5,
            "unknown service `embed`; configured: chat".to_owned(),
        ),
        (
            "--value 1 --exchange 00f3a1c2d4e5f607",
            5,
            "`00f3a1c2d4e5f607` is no id of an exchange; send the answer's `X-Cyan-Exchange` as it \
             was, e.g. chat.green.0.00f3a1c2d4e5f607"
                .to_owned(),
        ),
    ] {
        let run = cyan_at(&admin, &format!("score {line}")).await;
        assert_eq!((run.code, run.stderr), (code, format!("error: {sentence}\n")), "{line}");
    }
    assert_eq!(scores(&admin).await, json!({}));
}
