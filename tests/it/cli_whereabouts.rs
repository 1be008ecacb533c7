//! Verbs that are given `--config` find the Cyan that runs, whatever became of the file since.
//!
//! They read the whole file once. A typo was saved: the reload was refused and users were served on, but
//! `cyan healthcheck` of the container said no, the container was started anew, and the fresh start refused the
//! file. And `cyan rollback` was refused for a variable that only the unit of the service had.

use std::path::Path;

use crate::support::admin::TestAdmin;
use crate::support::program::{Run, cyan};
use crate::support::served::{Served, write_config};

async fn at(config: &Path, verb: &[&str]) -> Run {
    cyan(&[verb, &["--config", config.to_str().unwrap()]].concat()).await
}

/// A Cyan whose upstreams are not there; nobody asks for them.
async fn served(directory: &Path) -> Served {
    let nobody = "127.0.0.1:1".parse().unwrap();
    write_config(directory, nobody, nobody);
    Served::start(directory).await
}

#[tokio::test]
async fn a_spoilt_file_makes_nothing_unhealthy_and_keeps_nobody_from_going_back() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("cyan.toml");
    let running = served(directory.path()).await;
    let good = std::fs::read_to_string(&config).unwrap();
    let moved =
        good.replace("[admin]\naddress = \"127.0.0.1:0\"", "[admin]\naddress = \"127.0.0.1:1\"");
    assert_ne!(good, moved);
    for (edit, text) in [
        ("nothing", good.clone()),
        ("a typo", good.replace("sticky", "stiky")),
        ("no TOML", good.clone() + "[listen\n"),
        ("a broken table", good.replace("[admin]", "[admin")),
        ("an address that waits for a restart", moved),
    ] {
        std::fs::write(&config, text).unwrap();
        let health = at(&config, &["healthcheck", "--live"]).await;
        assert_eq!(health.code, 0, "{edit}: {health:?}");
        let back = at(&config, &["rollback"]).await;
        assert_eq!(back.code, 5, "{edit}: {back:?}");
        assert!(back.stderr.starts_with("error: nothing to roll back: "), "{edit}: {back:?}");
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.ended().await, Some(0));
    assert!(!directory.path().join("state/admin.json").exists());
    assert_eq!(at(&config, &["healthcheck", "--live"]).await.code, 1);
}

#[tokio::test]
async fn who_takes_over_is_found_in_place_of_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let old = served(directory.path()).await;
    let heir = Served::take_over(directory.path()).await.unwrap();
    assert_eq!(old.ended().await, Some(0));
    let text = std::fs::read_to_string(directory.path().join("state/admin.json")).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(announced["pid"], heir.pid());
    assert_eq!(announced["admin"], format!("http://{}", heir.admin));
}

#[tokio::test]
async fn of_the_file_only_the_way_to_the_admin_api_is_read() {
    let admin = TestAdmin::with(Some("t0ken-t0ken"), None).await;
    let directory = tempfile::tempdir().unwrap();
    let (config, token) = (directory.path().join("cyan.toml"), directory.path().join("token"));
    std::fs::write(&token, "t0ken-t0ken\n").unwrap();
    let rest = "[listen]\nhttps = '127.0.0.1:0'\ncertificate_file = '/none'\nkey_file = '/none'\n\
                [service.chat.environment.blue]\nupstreams = ['${NOT_SET_HERE}']\n";
    let write = |line: &str| {
        let address = admin.address;
        std::fs::write(&config, format!("[admin]\naddress = '{address}'\n{line}\n{rest}")).unwrap();
    };
    write(&format!("token_file = '{}'", token.display()));
    assert_eq!(at(&config, &["rollback"]).await.code, 5);
    // The file's token is needed by who names no other.
    write("token = '${NOT_SET_HERE}'");
    let refused = at(&config, &["rollback"]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains(":3: admin.token: variable `NOT_SET_HERE` is not set"));
    let named = ["rollback", "--token-file", token.to_str().unwrap()];
    assert_eq!(at(&config, &named).await.code, 5);
    let health = at(&config, &["healthcheck", "--live"]).await;
    assert_eq!(health.code, 0, "it needs no token: {health:?}");
    // Where nobody has announced anything, a table whose name is broken leads to no guess.
    std::fs::write(&config, "[admin\naddress = '127.0.0.1:1'\n").unwrap();
    let refused = at(&config, &["rollback"]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
}

#[tokio::test]
async fn an_empty_variable_is_not_set() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("cyan.toml");
    std::fs::write(&config, format!("admin.address = '{closed}'\n")).unwrap();
    let mut command = crate::support::program::command(&["status", "--config"]);
    let run = command.arg(&config).env("CYAN_ADMIN", "").output().await.unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(4), "{said}");
    assert!(said.contains(" (from [admin] of "), "{said}");
}
