//! The command line against a real controller: what it prints, what it asks, what it exits with.

use crate::support::admin::TestAdmin;
use crate::support::program::cyan_at;

#[tokio::test]
async fn a_release_by_hand_reads_as_a_story() {
    let admin = TestAdmin::start().await;
    let set = cyan_at(&admin, "weights chat blue=95 green=5 --yes --reason first").await;
    assert_eq!(set.stderr, "chat: blue 100 % -> 95 %, green 0 % -> 5 %\n");
    assert!(set.stdout.starts_with("applied on all cores in "), "{set:?}");
    let status = cyan_at(&admin, "status").await;
    let first = "chat   – SPLIT  95 % goes to blue and 5 % to green, the candidate.";
    assert_eq!(status.stdout.lines().next(), Some(first), "{status:?}");
    assert!(status.stdout.contains("▲ green      5 %  candidate  0 in flight"), "{status:?}");

    let switch = cyan_at(&admin, "switch green --yes").await;
    let moved = "chat: blue 95 % -> 0 %, green 5 % -> 100 %\nchat: active blue -> green\n";
    assert_eq!((switch.code, switch.stderr.as_str()), (0, moved));
    let drain = cyan_at(&admin, "drain blue --deadline 5s --yes").await;
    assert_eq!((drain.code, drain.stdout.as_str()), (0, "blue is drained: nothing is in flight\n"));

    let back = cyan_at(&admin, "rollback").await;
    assert_eq!((back.code, back.stderr.as_str()), (0, ""));
    let journal = cyan_at(&admin, "journal chat").await;
    // How long it took may stand below it, or not yet.
    let back = journal.stdout.lines().rfind(|line| line.contains("chat: rolled back: "));
    assert!(back.unwrap().ends_with("(cli:ana)"), "{journal:?}");
    assert!(journal.stdout.contains("(cli:ana: \"first\")"), "{journal:?}");
}

#[tokio::test]
async fn environments_are_shown_side_by_side() {
    let admin = TestAdmin::start().await;
    let shown = cyan_at(&admin, "stats chat --window step --ascii").await;
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    assert!(shown.stdout.starts_with("chat  since the weights changed, "), "{shown:?}");
    assert!(shown.stdout.contains("\n* blue "), "{shown:?}");
    assert!(shown.stdout.contains("\n^ green "), "{shown:?}");
    for window in ["10s", "1m", "5m", "15m", "step", "start"] {
        let json = cyan_at(&admin, &format!("stats chat green --json --window {window}")).await;
        let stats: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((&stats["environment"], &stats["window"]), (&"green".into(), &window.into()));
    }
    for (line, code, said) in [
        ("stats chat --window 7m", 2, "[possible values: 10s, 1m, 5m, 15m, step, start]"),
        (
            "stats chat red",
            2,
            "unknown environment `red` of service `chat`; there are: blue, green",
        ),
        ("stats embed", 2, "unknown service `embed`"),
    ] {
        let refused = cyan_at(&admin, line).await;
        assert!(refused.code == code && refused.stderr.contains(said), "{line}: {refused:?}");
    }
}

#[tokio::test]
async fn off_a_terminal_a_change_needs_yes_and_rollback_does_not() {
    let admin = TestAdmin::start().await;
    for line in [
        "weights blue=95 green=5",
        "switch",
        "drain green",
        "reload",
        "environment put red --upstream http://127.0.0.1:3",
        "environment remove green",
        "config reset green --field version",
        "config reset green --field model",
    ] {
        let run = cyan_at(&admin, line).await;
        assert_eq!(run.code, 2, "{line}: {run:?}");
        assert!(run.stderr.ends_with("hint: repeat with --yes, or look first with --dry-run\n"));
        let dry = cyan_at(&admin, &format!("{line} --dry-run")).await;
        assert_eq!(dry.code, 0, "{line}: {dry:?}");
        assert!(dry.stderr.ends_with("dry run: nothing was changed\n"), "{line}: {dry:?}");
    }
    let view = admin.controller.service("chat").unwrap();
    assert_eq!((view.generation, view.environments.len()), (1, 2));
}

#[tokio::test]
async fn environments_come_and_go_by_command() {
    let admin = TestAdmin::start().await;
    let put =
        cyan_at(&admin, "environment put red --upstream http://127.0.0.1:3 --version v3 --yes");
    let put = put.await;
    assert_eq!(
        (put.code, put.stderr.as_str()),
        (
            0,
            "red: new environment, 0 % of the traffic\n\
             red: upstreams none -> http://127.0.0.1:3\n\
             red: version none -> v3\n"
        )
    );
    let shown = cyan_at(&admin, "environment show chat red").await;
    assert!(
        shown.stdout.contains("v3") && shown.stdout.contains("http://127.0.0.1:3"),
        "{shown:?}"
    );
    assert_eq!(cyan_at(&admin, "environment remove red --yes").await.code, 0);
    let gone = cyan_at(&admin, "environment show red").await;
    let message = "error: unknown environment `red`; configured: blue, green\n";
    assert_eq!((gone.code, gone.stderr.as_str()), (5, message));
}

#[tokio::test]
async fn json_is_one_object_per_answer() {
    let admin = TestAdmin::start().await;
    for line in ["status --json", "weights --json", "environment show blue --json"] {
        let run = cyan_at(&admin, line).await;
        assert_eq!(run.stdout.lines().count(), 1, "{line}: {run:?}");
        let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert!(value.is_object(), "{line}");
    }
}
