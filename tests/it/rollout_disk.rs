//! A rollout while the state file cannot be written: users are served, no step is taken, and the way back
//! is as short as ever.
//!
//! The disk is full, or the file is read-only, or another process holds it and has been stopped; each for
//! real, under traffic, with Cyan in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::release::{Mood, Release, Users};
use crate::support::served::has_small_disks;
use crate::support::upstream::Upstream;

/// The second step is taken by itself, the third is not.
const PLAN: &str = "steps = ['10% 3s 20', '50% 1h 20', '100%']";

/// What a busy machine may add. A rollback that waited for the disk would not end before it is well.
const NOISE_MAX: Duration = Duration::from_secs(5);

/// What is wrong with the state file. Dropping it puts it right.
enum Sickness {
    /// Something else has taken all the room.
    Full(PathBuf),
    /// Nobody may write to it.
    ReadOnly(PathBuf),
    /// Somebody holds it and does not go on.
    Held(Child),
}

impl Sickness {
    fn full(release: &Release) -> Self {
        // The disk is seen by the process alone, and through it by us.
        let root = PathBuf::from(format!("/proc/{}/root", release.cyan.pid()));
        let state = release.directory.path().join("state");
        let ballast = root.join(state.strip_prefix("/").expect("an absolute path")).join("ballast");
        let mut file = std::fs::File::create(&ballast).expect("the last file that fits");
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Self::Full(ballast)
    }

    fn read_only(release: &Release) -> Self {
        let state = release.directory.path().join("state");
        change_attributes("+i", &state);
        Self::ReadOnly(state)
    }

    fn held(release: &Release) -> Self {
        let hold = "import sqlite3, sys\nheld = sqlite3.connect(sys.argv[1], timeout=10)\n\
                    held.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()";
        let mut holder = Command::new("python3")
            .args(["-c", hold])
            .arg(release.directory.path().join("state/state.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python with its own SQLite");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut said).expect("a line");
        assert_eq!(said, "held\n");
        let pid = i32::try_from(holder.id()).expect("a process id");
        // SAFETY: no memory is touched; the process is our child and has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
        Self::Held(holder)
    }
}

impl Drop for Sickness {
    fn drop(&mut self) {
        match self {
            Self::Full(ballast) => std::fs::remove_file(ballast).unwrap_or_default(),
            Self::ReadOnly(state) => change_attributes("-i", state),
            Self::Held(holder) => {
                let _ = holder.kill();
                let _ = holder.wait();
            }
        }
    }
}

/// `chattr`, which binds even those who have the file open and may do everything.
fn change_attributes(change: &str, state: &Path) {
    let files = ["state.db", "state.db-wal"].map(|file| state.join(file));
    let status = Command::new("chattr").arg(change).args(files).status().expect("chattr");
    assert!(status.success(), "chattr {change}: {status}");
}

fn is_root() -> bool {
    // SAFETY: it only reads a number of this process.
    unsafe { libc::geteuid() == 0 }
}

/// A rollout under traffic that has come to its first step, and whoever hears of its alerts.
async fn under_way(is_on_a_small_disk: bool) -> (Release, Users, Upstream) {
    let pager = Upstream::replying(204, "").await;
    let hook = format!("[hooks.page]\non = 'alert'\nurl = '{}'", pager.url());
    let release = if is_on_a_small_disk {
        Release::on_a_small_disk(PLAN, &hook).await
    } else {
        Release::planned(PLAN, &hook).await
    };
    release.start().await;
    release.until("on the first step", |rollout| rollout["share_percent"] == 10.0).await;
    let users = release.users();
    (release, users, pager)
}

/// From the onset of total failure until nobody is sent to green any more.
async fn time_back(release: &Release) -> Duration {
    release.green.set("/", Mood::Fails);
    let onset = Instant::now();
    let after = release.until_in("rolled_back").await;
    assert_eq!(after["share_percent"], 0.0);
    onset.elapsed()
}

async fn on_the_second_step(release: &Release) {
    release.until("at 50 %", |rollout| rollout["share_percent"] == 50.0).await;
    release.until("judged", |rollout| rollout["judge"]["requests"].as_u64() >= Some(20)).await;
}

fn has(texts: &Value, words: &str) -> bool {
    texts.as_array().is_some_and(|texts| {
        texts.iter().any(|text| text.as_str().is_some_and(|text| text.contains(words)))
    })
}

/// What holds with every sickness; `words` say which it is.
async fn bears(sicken: fn(&Release) -> Sickness, is_on_a_small_disk: bool, words: &str) {
    let (healthy, users, _pager) = under_way(is_on_a_small_disk).await;
    on_the_second_step(&healthy).await;
    let when_healthy = time_back(&healthy).await;
    drop((users, healthy));

    let (release, users, pager) = under_way(is_on_a_small_disk).await;
    let sickness = sicken(&release);
    let cannot_be_written = |status: &Value| has(&status["warnings"], words);
    release.until_of("/v1/status", "said to be sick", cannot_be_written).await;
    eventually("somebody is alerted", || pager.bodies().iter().any(|body| has_words(body, words)))
        .await;
    let (status, refused) = release.try_call("POST", "/rollout/promote", &json!({})).await;
    assert_eq!(status, 503, "{refused}");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{refused}");
    let waits = |rollout: &Value| rollout["in_stage_s"].as_u64() >= Some(6);
    let waiting = release.until("due for its step", waits).await;
    assert_eq!(waiting["share_percent"], 10.0, "no step is taken");
    assert!(has(&waiting["waits_for"], words), "{waiting:#}");
    drop(sickness);
    on_the_second_step(&release).await;
    assert_eq!(users.failed(), 0);

    let sickness = sicken(&release);
    release.until_of("/v1/status", "said to be sick", cannot_be_written).await;
    let when_sick = time_back(&release).await;
    println!("{words}: back after {when_sick:?}, with a healthy disk after {when_healthy:?}");
    assert!(when_sick < when_healthy + NOISE_MAX, "{when_sick:?}");
    let not_kept = |status: &Value| has(&status["warnings"], "not on the disk yet");
    release.until_of("/v1/status", "not durable", not_kept).await;
    drop(sickness);
    let is_well = |status: &Value| status["warnings"] == json!([]);
    release.until_of("/v1/status", "well again", is_well).await;
    let journal = release.cyan.ask("/v1/journal?service=chat").await;
    let kinds: Vec<_> = journal["entries"].as_array().unwrap().iter().map(|e| &e["kind"]).collect();
    assert!(kinds.contains(&&json!("rollout_rolled_back")), "{kinds:?}");
    assert_eq!(users.failed(), release.green.failed(), "only what green itself answered with 500");
}

fn has_words(body: &[u8], words: &str) -> bool {
    String::from_utf8_lossy(body).contains(words)
}

#[tokio::test]
async fn a_full_disk_stops_no_rollback() {
    if !has_small_disks().await {
        eprintln!("not tested: the system gives no disk of its own to a process (unshare --mount)");
        return;
    }
    bears(Sickness::full, true, "the disk is full; make room").await;
}

#[tokio::test]
async fn a_read_only_file_stops_no_rollback() {
    if !is_root() {
        eprintln!("not tested: only root may take the right to write from itself (chattr +i)");
        return;
    }
    bears(Sickness::read_only, false, "see whether `state_dir` can be written").await;
}

#[tokio::test]
async fn a_stopped_holder_of_the_lock_stops_no_rollback() {
    bears(Sickness::held, false, "another program holds it").await;
}

/// What the disk never got is forgotten by a crash; the judge finds it again, still without a disk.
#[tokio::test]
async fn a_rollback_that_a_crash_forgets_is_done_again() {
    let (release, users, _pager) = under_way(false).await;
    on_the_second_step(&release).await;
    let held = Sickness::held(&release);
    let first = time_back(&release).await;
    drop(users);
    let release = release.crash(|_| {}).await;
    assert_eq!(release.rollout().await["share_percent"], 50.0, "the last state that was written");
    let users = release.users();
    let again = time_back(&release).await;
    println!("back after {first:?}, and after the restart in {again:?}");
    assert!(again < first + NOISE_MAX, "{again:?}");
    drop((users, held));
    let is_well = |status: &Value| status["warnings"] == json!([]);
    release.until_of("/v1/status", "well again", is_well).await;
}
