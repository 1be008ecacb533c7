//! Secrets stay where they are: no log, error, journal, answer or file of Cyan has one.
//!
//! Every key of the config that takes a secret gets a marked one. Then the program is driven through what it
//! can say: at its most talkative, with requests that succeed and fail, hooks that cannot be told, a reload
//! that is refused, and every page of the admin API that takes no argument. The marks must be found where
//! they belong (an upstream gets its header), and nowhere else.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::client::Client;
use crate::support::in_time;
use crate::support::program::cyan;
use crate::support::served::{Served, call};
use crate::support::upstream::Upstream;

/// In every secret, and in nothing else.
const MARK: &str = "s3cr3t";

/// Keys that take a secret; nobody listens at the port `nowhere`.
fn config(directory: &Path, upstream: &Upstream, nowhere: u16) -> String {
    format!(
        "state_dir = '{state}'
listen.http = '127.0.0.1:0'
access_log = {{ path = '{log}', format = 'json' }}
[admin]
address = '127.0.0.1:0'
token = '{MARK}-admin'
tokens.reader = {{ role = 'read', token = '{MARK}-reader' }}
[hooks.pager]
on = ['started', 'held', 'rolled_back', 'alert']
retries = 0
url = 'http://127.0.0.1:{nowhere}/{MARK}-path?key={MARK}-query'
secret = '{MARK}-hook-signature'
timeout = '1s'
[service.chat]
active = 'blue'
sticky = 'header:x-user-id'
[service.chat.force]
secret = '{MARK}-force-signature'
[service.chat.rollout.smoke.one]
path = '/smoke'
headers.x-smoke = '{MARK}-smoke'
[service.chat.rollout.smoke_hooks.own]
url = 'http://127.0.0.1:{nowhere}/{MARK}-smoke-hook'
[service.chat.rollout.probes]
apis = ['chat']
headers.x-probe = '{MARK}-probe'
[service.chat.environment.blue]
upstreams = '{url}'
weight = 100
credentials = '{MARK}-credentials'
set_headers.x-own = '{MARK}-set'
health.path = '/health'
[service.chat.environment.green]
upstreams = 'http://127.0.0.1:{nowhere}'
credentials = '{MARK}-green'
weight = 0
",
        state = directory.join("state").display(),
        log = directory.join("access.log").display(),
        url = upstream.url(),
    )
}

/// Pages that take no argument.
const PAGES: &[&str] = &[
    "/v1/status",
    "/v1/services",
    "/v1/services/chat",
    "/v1/services/chat/rollout",
    "/v1/services/chat/stats",
    "/v1/config",
    "/v1/journal",
    "/v1/log-level",
    "/v1/openapi.json",
    "/metrics",
    "/livez",
    "/readyz",
    "/",
    "/v1/nowhere",
];

/// Verbs that show something.
const VERBS: &[&str] = &["status", "stats", "journal", "environment list", "log-level"];

async fn page(cyan: &Served, path: &str, token: &str) -> String {
    let mut client = Client::connect(cyan.admin).await;
    let answer = client.get(path, &format!("authorization: Bearer {token}\r\n")).await;
    format!("{:?}\n{}", answer.headers, answer.text())
}

fn no_secret_in(what: &str, text: &str) {
    let at = text.find(MARK);
    let around = at.map(|at| String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(60)..]));
    assert!(at.is_none(), "{what} has a secret: …{:.120}", around.unwrap_or_default());
}

/// Every file below a directory but the config; the state file as bytes.
fn written_files(directory: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(directory).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            written_files(&path, look);
        } else if path
            .extension()
            .is_none_or(|extension| extension != "toml" && extension != "sock")
        {
            look(&path, &std::fs::read(&path).expect("a file of ours"));
        }
    }
}

#[tokio::test]
async fn no_secret_comes_out_by_any_way() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let upstream = Upstream::replying(200, "ok").await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = closed.local_addr().unwrap().port();
    drop(closed);
    let file = directory.path().join("cyan.toml");
    let text = config(directory.path(), &upstream, nowhere);
    std::fs::write(&file, &text).unwrap();
    let cyan_process = Served::try_start_with(directory.path(), &["--log-level", "trace"]).await;
    let cyan_process = cyan_process.unwrap_or_else(|ended| panic!("{}", ended.stderr));
    let admin = format!("{MARK}-admin");

    // Requests that succeed, that fail, and that try to name an environment.
    let mut client = Client::connect(cyan_process.address).await;
    let mut seen = client.get("/", "x-user-id: ana\r\n").await.text();
    let weights = r#"{"weights":{"blue":50,"green":50}}"#;
    let mut operator = Client::connect(cyan_process.admin).await;
    let put = format!(
        "PUT /v1/services/chat/weights HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {admin}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{weights}",
        weights.len()
    );
    operator.send(put).await;
    seen += &operator.answer().await.text();
    for user in 0..20 {
        let mut client = Client::connect(cyan_process.address).await;
        let answer = client
            .get("/", &format!("x-user-id: {user}\r\nx-cyan-environment: green.0.no\r\n"))
            .await;
        seen += &format!("{:?}{}", answer.headers, answer.text());
    }
    // A token that is wrong, and a rollout whose smoke test and hook are told of secrets.
    let wrong = format!("{MARK}-wrong");
    let (_, refused) =
        call(&mut Client::connect(cyan_process.admin).await, "GET", "/v1/status", "").await;
    seen += &refused.to_string();
    seen += &page(&cyan_process, "/v1/status", &wrong).await;
    let start = r#"{"candidate":"green"}"#;
    let post = format!(
        "POST /v1/services/chat/rollout HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {admin}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{start}",
        start.len()
    );
    operator.send(post).await;
    seen += &operator.answer().await.text();
    // A config that is refused, with secrets in the lines at fault.
    let broken = text
        .replace(&format!("credentials = '{MARK}-green'"), &format!("credential = '{MARK}-green'"));
    let broken = broken
        .replace(&format!("secret = '{MARK}-force-signature'"), &format!("secret = '{MARK}'"));
    std::fs::write(&file, broken).unwrap();
    cyan_process.signal(libc::SIGHUP);
    crate::support::eventually("the reload is refused", || {
        cyan_process.log().contains("was not taken over")
    })
    .await;
    std::fs::write(&file, &text).unwrap();

    for path in PAGES {
        for token in [&admin, &format!("{MARK}-reader")] {
            no_secret_in(path, &page(&cyan_process, path, token).await);
        }
    }
    let url = format!("http://{}", cyan_process.admin);
    let token = directory.path().join("token.toml"); // named so that it is not read below
    std::fs::write(&token, &admin).unwrap();
    for verb in VERBS {
        for json in [false, true] {
            let token = token.display().to_string();
            let mut arguments: Vec<&str> = verb.split(' ').collect();
            arguments.extend(["--admin", &url, "--token-file", &token]);
            arguments.extend(json.then_some("--json"));
            let run = cyan(&arguments).await;
            no_secret_in(verb, &format!("{}{}", run.stdout, run.stderr));
        }
    }
    for arguments in [&["check"][..], &["check", "--diff"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cyan"));
        command.args(arguments).arg(&file).args(["--admin", &url]).arg("--token-file").arg(&token);
        let run = in_time(command.stdin(Stdio::null()).output()).await.unwrap();
        no_secret_in("check", &String::from_utf8_lossy(&[run.stdout, run.stderr].concat()));
    }
    no_secret_in("an answer", &seen);
    // The upstream got what it should: the marks are real.
    let heads = upstream.heads().concat();
    for secret in ["Bearer s3cr3t-credentials", "s3cr3t-set"] {
        assert!(heads.contains(secret), "{secret} did not arrive");
    }
    cyan_process.signal(libc::SIGTERM);
    let log = cyan_process.log();
    assert!(log.len() > 1000, "it was talkative");
    no_secret_in("the log", &log);
    assert_eq!(cyan_process.ended().await, Some(0));
    let mut files = 0;
    written_files(directory.path(), &mut |path, bytes| {
        files += 1;
        no_secret_in(&path.display().to_string(), &String::from_utf8_lossy(bytes));
    });
    assert!(files >= 3, "state, journal and access log were looked at");
}
