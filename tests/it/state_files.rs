//! A state that cannot be used: the process refuses to start, says what to do, and changes nothing.

use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::program::cyan;
use crate::support::served::{Served, call, write_config};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);
/// Refused, and nothing was changed.
const REFUSED: i32 = 5;

/// A directory with a config and the state that a killed process has left.
async fn directory_with_state() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary folder");
    write_config(directory.path(), NOWHERE, NOWHERE);
    let cyan = Served::start(directory.path()).await;
    let mut client = Client::connect(cyan.admin).await;
    for green in 1..=60 {
        let body = format!(r#"{{"weights":{{"blue":{},"green":{green}}}}}"#, 100 - green);
        let (status, _) = call(&mut client, "PUT", "/v1/services/chat/weights", &body).await;
        assert_eq!(status, 200);
    }
    cyan.kill().await;
    directory
}

fn state_file(directory: &Path) -> PathBuf {
    directory.join("state/state.db")
}

/// The state file and the log of writes beside it, as they are; an empty log is as good as none.
fn bytes(directory: &Path) -> (Vec<u8>, Option<Vec<u8>>) {
    let log = directory.join("state/state.db-wal");
    (
        std::fs::read(state_file(directory)).expect("a state file"),
        std::fs::read(log).ok().filter(|log| !log.is_empty()),
    )
}

/// What a killed process has left is brought into one file, so that damage cannot hide.
fn in_one_file(directory: &Path) {
    let connection = rusqlite::Connection::open(state_file(directory)).unwrap();
    connection.pragma_update(None, "wal_checkpoint", "truncate").unwrap();
    connection.close().unwrap();
}

/// Starting is refused with these words, and leaves every byte as it was.
async fn is_refused(directory: &Path, words: &[&str]) {
    let before = bytes(directory);
    let Err(ended) = Served::try_start(directory).await else { panic!("it serves: {words:?}") };
    assert_eq!(ended.code, Some(REFUSED), "{}", ended.stderr);
    for words in words {
        assert!(ended.stderr.contains(words), "`{words}` is not in: {}", ended.stderr);
    }
    assert!(before == bytes(directory), "the state was changed: {words:?}");
}

#[tokio::test]
async fn a_damaged_state_is_refused_and_left_as_it_is() {
    const DAMAGED: [&str; 2] = [
        "state.db` is damaged: ",
        "nothing was changed in it. Put the last good copy in its place with",
    ];
    let directory = directory_with_state().await;
    in_one_file(directory.path());
    let (whole, _) = bytes(directory.path());
    assert!(whole.len() > 8 * 4096, "{}", whole.len());
    let damage = |change: &dyn Fn(&std::fs::File)| {
        std::fs::write(state_file(directory.path()), &whole).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(state_file(directory.path()));
        change(&file.unwrap());
    };
    damage(&|file| file.write_all_at(b"nonsense", 0).unwrap());
    is_refused(directory.path(), &DAMAGED).await;
    damage(&|file| file.set_len(whole.len() as u64 / 2).unwrap());
    is_refused(directory.path(), &DAMAGED).await;
    damage(&|file| file.write_all_at(&[0xa5; 4096], 3 * 4096).unwrap());
    is_refused(directory.path(), &DAMAGED).await;
    // Also what a new installation would look like, were there not the copy of an earlier state.
    std::fs::write(directory.path().join("state/state.db.last-good"), &whole).unwrap();
    damage(&|file| file.set_len(0).unwrap());
    is_refused(directory.path(), &DAMAGED).await;
    damage(&|_| {});
    Served::start(directory.path()).await;
}

/// The last changes of the killed process are still in the log beside the file. Whoever opens a
/// database and closes it again moves them over; a version that does not understand them must not.
#[tokio::test]
async fn a_state_of_a_newer_version_is_refused_and_left_as_it_is() {
    let directory = directory_with_state().await;
    let connection = rusqlite::Connection::open(state_file(directory.path())).unwrap();
    let keep_log = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(keep_log, true).unwrap();
    connection.execute("UPDATE cyan SET schema_version = 7", []).unwrap();
    connection.close().unwrap();
    assert!(bytes(directory.path()).1.is_some());
    let words = ["has schema 7, this version knows up to 3; run the newer version again", "aside"];
    is_refused(directory.path(), &words).await;
}

#[tokio::test]
async fn a_second_process_on_the_same_state_is_refused_by_the_first_ones_number() {
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), NOWHERE, NOWHERE);
    let first = Served::start(directory.path()).await;
    let in_use = format!("is in use by process {}; stop it first", first.pid());
    is_refused(directory.path(), &[&in_use, "or give this one its own `state_dir`"]).await;
    let generation = first.ask("/v1/services/chat").await["generation"].clone();
    first.kill().await;
    // The lock goes with its process, so nothing has to be cleaned up.
    let second = Served::start(directory.path()).await;
    assert_eq!(second.ask("/v1/services/chat").await["generation"], generation);
}

/// The copy was made when the process that is gone had started; what it did later is in the damaged file.
#[tokio::test]
async fn a_damaged_state_is_recovered_by_the_copy() {
    let directory = directory_with_state().await;
    let state_dir = directory.path().join("state");
    let copy = state_dir.join("state.db.last-good");
    let _ = std::fs::remove_file(&copy); // of the first process
    let again = Served::start(directory.path()).await;
    let before = again.ask("/v1/services/chat").await;
    eventually("the state has been copied", || copy.exists()).await;
    again.kill().await;
    let recover = ["state", "recover", "--state-dir", state_dir.to_str().unwrap()];
    let whole = cyan(&recover).await;
    assert_eq!(whole.code, REFUSED, "{whole:?}");
    assert!(whole.stderr.contains("can be read, so there is nothing to recover"), "{whole:?}");
    in_one_file(directory.path());
    std::fs::write(state_file(directory.path()), "no database").unwrap();
    let would = cyan(&[&recover[..], &["--dry-run"]].concat()).await;
    assert!(would.stdout.contains("would take the place of the damaged one"), "{would:?}");
    let done = cyan(&recover).await;
    assert!(
        done.stdout.contains("\nchat: blue 40, green 60\nwhat was damaged is kept as "),
        "{done:?}"
    );
    let recovered = Served::start(directory.path()).await;
    let after = recovered.ask("/v1/services/chat").await;
    assert_eq!(after["weights"], before["weights"]);
}
