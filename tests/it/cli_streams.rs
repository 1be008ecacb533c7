//! What verbs do with streams that nobody reads, and with text that would be obeyed.
//!
//! `cyan rollout start --wait --yes 2>&1 | head -3` started the rollout and then panicked; `cyan compare | head`
//! said that the switch is safe.

use std::process::Stdio;

use crate::support::admin::TestAdmin;
use crate::support::in_time;
use crate::support::program::{command, cyan_at};

/// A pipe that nobody reads any more.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

async fn unread_at(admin: &TestAdmin, line: &str) -> Option<i32> {
    let arguments: Vec<_> = line.split_whitespace().collect();
    let mut command = command(&arguments);
    command.env("CYAN_ADMIN", admin.url()).stdout(unread()).stderr(unread());
    in_time(command.status()).await.expect("the program starts").code()
}

#[tokio::test]
async fn streams_that_nobody_reads_change_no_exit_code() {
    let admin = TestAdmin::start().await;
    for (line, code) in [
        ("status", 0),
        ("compare", 11),
        ("rollback", 5),
        ("weights blue=95 green=5 --yes", 0),
        ("switch red --yes", 5),
        // What goes on for ever ends when nobody reads it.
        ("events --since 0", 0),
        ("top --json", 0),
    ] {
        assert_eq!(unread_at(&admin, line).await, Some(code), "{line}");
    }
    assert_eq!(admin.controller.service("chat").unwrap().generation, 2);
}

#[tokio::test]
async fn a_reason_is_shown_and_not_obeyed() {
    let admin = TestAdmin::start().await;
    let body = r#"{"weights": {"blue": 95, "green": 5}, "reason": "\u001b[2J\u009b1Aquiet\r"}"#;
    let set = admin.put("/v1/services/chat/weights", body).await;
    assert_eq!(set.status, 200, "{set:?}");
    for line in ["journal", "journal --json", "status", "events --since 0 --limit 1"] {
        let run = cyan_at(&admin, line).await;
        assert_eq!(run.code, 0, "{run:?}");
        let obeyed = run.stdout.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(obeyed, None, "{line}: {run:?}");
    }
    let journal = cyan_at(&admin, "journal").await.stdout;
    assert!(journal.contains("(api: \"[2J 1Aquiet\")"), "{journal}");
}
