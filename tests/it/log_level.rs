//! What the program's own log holds, changed while it runs.

use serde_json::json;

use crate::support::admin::TestAdmin;
use crate::support::program::cyan;
use crate::support::serving::Serving;
use crate::support::{client::Client, eventually, served::call};

const PATH: &str = "/v1/log-level";
const SERVICE: &str = "[environment.blue]\nupstreams = 'http://127.0.0.1:9'\n";

#[tokio::test]
async fn the_level_is_changed_while_cyan_runs_and_the_journal_tells_who_did() {
    let serving = Serving::start(SERVICE).await;
    let admin = format!("http://{}", serving.admin);
    let verb = async |rest: &str| {
        let line = format!("--admin {admin} log-level {rest}");
        let run = cyan(&line.split_whitespace().collect::<Vec<_>>()).await;
        (run.code, run.stdout, run.stderr)
    };
    assert_eq!(verb("").await, (0, "info\n".into(), String::new()));
    assert_eq!(verb("debug --dry-run").await.0, 0);
    assert!(!serving.log().contains(r#""level":"DEBUG""#));
    assert_eq!(verb("debug").await, (0, "info -> debug\n".into(), String::new()));
    // A connection that breaks off is worth a line of this level and of no higher one.
    eventually("a line of the new level", || {
        std::net::TcpStream::connect(serving.admin)
            .and_then(|mut stream| std::io::Write::write_all(&mut stream, b"no http\r\n\r\n"))
            .expect("the admin API listens");
        serving.log().contains(r#""level":"DEBUG""#)
    })
    .await;
    assert_eq!(verb("--json").await.1.trim(), r#"{"schema":1,"level":"debug"}"#);
    let (code, _, stderr) = verb("verbose").await;
    assert_eq!(code, 5);
    assert!(stderr.starts_with("error: `verbose` is no log level; write off, error"), "{stderr}");

    let mut client = Client::connect(serving.admin).await;
    let journal = call(&mut client, "GET", "/v1/journal", "").await.1;
    let entries = journal["entries"].as_array().unwrap();
    let told: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "log_level_set").collect();
    assert_eq!(told.len(), 1, "{journal}");
    assert_eq!(
        (&told[0]["text"], &told[0]["actor"]),
        (&json!("log level info -> debug"), &json!("cli:ana"))
    );
}

#[tokio::test]
async fn a_log_that_is_not_cyans_is_left_alone() {
    let admin = TestAdmin::start().await;
    for answer in [admin.get(PATH).await, admin.put(PATH, r#"{"level":"debug"}"#).await] {
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["type"]),
            (409, &json!("/problems/conflict"))
        );
    }
    let wrong = admin.put(PATH, r#"{"level":"loud"}"#).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["errors"][0]["pointer"]),
        (422, &json!("#/level"))
    );
}

#[tokio::test]
async fn a_level_that_is_none_starts_nothing() {
    let run = cyan(&["serve", "--blue", ":9", "--log-level", "loud"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("`loud` is no log level"), "{run:?}");
}
