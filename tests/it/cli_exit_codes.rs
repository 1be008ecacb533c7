//! Every exit code that is documented is reached by the real program.

use std::collections::BTreeSet;
use std::process::Stdio;

use cyan::cli::exit_code::MEANINGS;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::support::admin::TestAdmin;
use crate::support::in_time;
use crate::support::program::{command, cyan, cyan_at};

const SMOKE: &str = "\
[service.chat.environment.blue]
upstreams = 'http://127.0.0.1:1'
[service.chat.environment.green]
upstreams = 'http://127.0.0.1:2'
[service.chat.rollout.smoke.health]
path = '/health'
";

#[tokio::test]
async fn each_exit_code_is_reached() {
    let admin = TestAdmin::configured(SMOKE).await;
    let mut reached = BTreeSet::new();
    for (line, code) in [
        ("status", 0),
        ("nonsense", 2),
        ("check no-such-file.toml", 3),
        ("rollback", 5),
        ("smoke green", 10),
        ("compare", 11),
        ("deploy green --wait --within 1ms", 12),
    ] {
        let run = cyan_at(&admin, line).await;
        assert_eq!(run.code, code, "{line}: {run:?}");
        reached.insert(run.code);
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    reached.insert(cyan(&["healthcheck", "--admin", &closed]).await.code); // 1
    reached.insert(cyan(&["status", "--admin", &closed]).await.code); // 4
    let guarded = TestAdmin::with(Some("t0ken"), None).await;
    reached.insert(cyan_at(&guarded, "status").await.code); // 6
    reached.insert(interrupted(&admin).await); // 130

    let documented: BTreeSet<_> = MEANINGS.iter().map(|(code, _)| i32::from(*code)).collect();
    assert_eq!(reached, documented);
}

/// Ctrl-C for somebody who waits.
async fn interrupted(admin: &TestAdmin) -> i32 {
    let mut waiting = command(&["deploy", "green", "--wait", "--admin", &admin.url()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(waiting.stderr.take().expect("it is piped")).lines();
    let line = in_time(lines.next_line()).await.unwrap().unwrap();
    assert!(line.starts_with("green is not ready: "), "{line}");
    interrupt(&waiting);
    let line = in_time(lines.next_line()).await.unwrap().unwrap();
    assert_eq!(line, "error: stopped watching; what was asked for goes on");
    in_time(waiting.wait()).await.unwrap().code().unwrap()
}

fn interrupt(process: &Child) {
    let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
    // SAFETY: a signal to a process that this test has started; no memory is involved.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
}
