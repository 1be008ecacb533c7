//! A new process takes over from a running one: nobody is refused, nothing is cut, and whoever is killed on
//! the way, the other one serves.
//!
//! Real processes, with clients who come all the time. Where one side is to be killed at a certain point,
//! the test plays that side and hangs up there, which is all that the other one sees of a kill.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cyan::app::takeover::message::{Lent, Line, Message};
use cyan::model::listener::ListenAddress;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};

use crate::support::client::Client;
use crate::support::crowd::{Choir, Crowd, OpenStream, OpenTunnel, all_end_whole};
use crate::support::eventually;
use crate::support::in_time;
use crate::support::release::Release;
use crate::support::served::{Served, call, write_config};

/// How often the long test repeats a takeover; a few times where nothing else is said.
const TIMES_VARIABLE: &str = "CYAN_TAKEOVERS";
const TIMES: u32 = 3;
const LIMIT: Duration = Duration::from_secs(10);
/// Refused, and nothing was changed.
const REFUSED: i32 = 5;

/// A directory with a config and a choir behind it.
async fn stage() -> (tempfile::TempDir, Choir) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let choir = Choir::start().await;
    write_config(directory.path(), choir.upstream.address, choir.upstream.address);
    (directory, choir)
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("state/takeover.sock")
}

/// Changes weights, which needs the state.
async fn change(admin: SocketAddr, green: u32) -> (u16, Value) {
    let body = json!({ "weights": { "blue": 100 - green, "green": green } }).to_string();
    call(&mut Client::connect(admin).await, "PUT", "/v1/services/chat/weights", &body).await
}

async fn journal(admin: SocketAddr) -> String {
    let mut client = Client::connect(admin).await;
    call(&mut client, "GET", "/v1/journal", "").await.1.to_string()
}

#[tokio::test]
async fn nothing_fails_and_nothing_is_cut_however_often() {
    let times = std::env::var(TIMES_VARIABLE).ok().and_then(|times| times.parse().ok());
    let (directory, choir) = stage().await;
    let mut serving = Served::start(directory.path()).await;
    let address = serving.address;
    let crowd = Crowd::at(address);
    let (mut streams, mut tunnels, mut before) = (vec![], vec![], vec![]);
    for turn in 0..times.unwrap_or(TIMES) {
        streams.push(OpenStream::open(address).await);
        tunnels.push(OpenTunnel::open(address).await);
        crowd.goes_on(50).await;
        assert_eq!(change(serving.admin, turn % 100).await.0, 200);
        let next = Served::take_over(directory.path()).await.expect("it takes over");
        assert_eq!((next.address, next.admin), (address, serving.admin), "the same sockets");
        let weight =
            next.ask("/v1/services/chat").await["environments"][1]["weight_percent"].clone();
        assert_eq!(weight, f64::from(turn % 100), "the state has come along");
        before.push(std::mem::replace(&mut serving, next));
        crowd.goes_on(50).await;
    }
    choir.is_enough();
    all_end_whole(streams, tunnels).await;
    for process in before {
        assert_eq!(process.ended().await, Some(0), "it has ended with its last stream");
    }
    crowd.goes_on(50).await;
    let (answered, failed) = crowd.leave().await;
    println!("{answered} requests answered, {failed} failed");
    assert_eq!(failed, 0, "of {answered}");
}

#[tokio::test]
async fn a_rollout_goes_on_in_the_same_step_with_the_same_evidence() {
    let release = Release::planned("steps = ['10% 1h 1', '50% 1h 1', '100%']", "").await;
    release.start().await;
    let users = release.users();
    let judged = |rollout: &Value| rollout["judge"]["requests"].as_u64() >= Some(40);
    release.until("judged", judged).await;
    drop(users);
    // Strata that run are left out, so they are waited for: then the evidence is at rest.
    let mut before = release.rollout().await;
    loop {
        let later = before["in_stage_s"].as_u64().map(|seconds| seconds + 2);
        let is_later = |rollout: &Value| rollout["in_stage_s"].as_u64() >= later;
        let now = release.until("two seconds later", is_later).await;
        let evidence = |rollout: &Value| rollout["judge"]["details"]["explanation"].clone();
        let rests = evidence(&now) == evidence(&before);
        before = now;
        if rests {
            break;
        }
    }
    let (weights, places) = (release.weights().await, release.places().await);
    let release = release.take_over().await;
    let after = release.until("judged", |rollout| rollout["judge"].is_object()).await;
    for same in ["stage", "step", "share_percent", "held", "candidate", "id"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert!(after["in_stage_s"].as_u64() >= before["in_stage_s"].as_u64(), "{after:#}");
    assert!(
        after["judge"]["requests"].as_u64() >= before["judge"]["requests"].as_u64(),
        "{after:#}"
    );
    assert_eq!(release.weights().await, weights);
    assert_eq!(release.places().await, places);
    let journal = journal(release.cyan.admin).await;
    assert!(!journal.contains("evidence_lost"), "{journal}");
}

/// The new process is gone after it has said the first so many words.
async fn new_one_dies_after(words: usize) {
    let (directory, choir) = stage().await;
    let cyan = Served::start(directory.path()).await;
    let crowd = Crowd::at(cyan.address);
    let (stream, tunnel) =
        (OpenStream::open(cyan.address).await, OpenTunnel::open(cyan.address).await);
    assert_eq!(change(cyan.admin, 30).await.0, 200);
    let mut line = Line::new(UnixStream::connect(socket(directory.path())).await.unwrap());
    let hello = Message::Hello { protocol: 1, version: "0.1.0".to_owned() };
    let says = [hello, Message::Prepared, Message::Ready];
    for word in &says[..words] {
        line.say(word, LIMIT).await.unwrap();
        match line.hear(LIMIT).await.unwrap() {
            Message::Welcome { sockets, .. } => {
                for lent in sockets {
                    line.borrow(lent.count, LIMIT).await.unwrap();
                }
            }
            answer => assert!(matches!(answer, Message::StateIsFree | Message::LetGo)),
        }
        crowd.goes_on(20).await;
    }
    drop(line);
    crowd.goes_on(50).await;
    // A change waits for its turn while the state is away, and is done when it is back.
    assert_eq!(in_time(change(cyan.admin, 40)).await.0, 200);
    let told = journal(cyan.admin).await;
    assert_eq!(told.contains("takeover_failed"), words >= 2, "{told}");
    // It can be taken over still, or again.
    let next = Served::take_over(directory.path()).await.expect("it takes over");
    let chat = next.ask("/v1/services/chat").await;
    assert_eq!(chat["environments"][1]["weight_percent"], 40.0);
    choir.is_enough();
    stream.ends_whole().await;
    tunnel.ends_whole().await;
    assert_eq!(cyan.ended().await, Some(0));
    assert_eq!(crowd.leave().await.1, 0);
}

#[tokio::test]
async fn a_new_process_that_dies_before_it_has_said_anything_is_forgotten() {
    new_one_dies_after(0).await;
}

#[tokio::test]
async fn a_new_process_that_dies_with_the_sockets_leaves_the_old_one_serving() {
    new_one_dies_after(1).await;
}

#[tokio::test]
async fn a_new_process_that_dies_with_the_state_leaves_it_to_the_old_one() {
    new_one_dies_after(2).await;
}

#[tokio::test]
async fn a_new_process_that_dies_before_it_serves_leaves_the_old_one_serving() {
    new_one_dies_after(3).await;
}

/// The running process dies after it has heard the first so many words: the new one has its sockets, and
/// whoever waits in them is served.
async fn old_one_dies_after(words: usize) {
    let (directory, _choir) = stage().await;
    std::fs::create_dir(directory.path().join("state")).unwrap();
    let path = socket(directory.path());
    let (waiting, public) = (UnixListener::bind(&path).unwrap(), TcpListener::bind("127.0.0.1:0"));
    let public = public.unwrap();
    let address = public.local_addr().unwrap();
    let mut client = Client::connect(address).await; // it waits in the socket
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let dies = async move {
        let mut line = Line::new(waiting.accept().await.unwrap().0);
        let heard = line.hear(LIMIT).await.unwrap();
        assert!(matches!(heard, Message::Hello { protocol: 1, .. }), "{heard:?}");
        let asked = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let lent = Lent { address: asked, is_admin: false, is_ours: true, count: 1 };
        let welcome = Message::Welcome { version: "0.0.9".to_owned(), sockets: vec![lent] };
        line.say(&welcome, LIMIT).await.unwrap();
        line.lend(&[public.as_fd()], LIMIT).await.unwrap();
        for (word, answer) in
            [(Message::Prepared, Message::StateIsFree), (Message::Ready, Message::LetGo)]
                .iter()
                .take(words)
        {
            line.expect(word, LIMIT).await.unwrap();
            line.say(answer, LIMIT).await.unwrap();
        }
        // Everything is closed at once, as by a kill.
    };
    let ((), new) = tokio::join!(dies, Served::take_over(directory.path()));
    let new = new.expect("it goes on alone");
    assert_eq!(new.address, address);
    assert_eq!(client.answer().await.body, b"ok");
    assert_eq!(change(new.admin, 10).await.0, 200);
}

#[tokio::test]
async fn an_old_process_that_dies_with_its_state_is_done_without() {
    old_one_dies_after(0).await;
}

#[tokio::test]
async fn an_old_process_that_dies_after_it_has_left_its_state_is_done_without() {
    old_one_dies_after(1).await;
}

#[tokio::test]
async fn an_old_process_that_dies_after_it_has_let_go_is_done_without() {
    old_one_dies_after(2).await;
}

#[tokio::test]
async fn another_protocol_is_refused_in_words_and_the_old_process_goes_on() {
    let (directory, _choir) = stage().await;
    let cyan = Served::start(directory.path()).await;
    let mut line = Line::new(UnixStream::connect(socket(directory.path())).await.unwrap());
    let hello = Message::Hello { protocol: 2, version: "9.0.0".to_owned() };
    line.say(&hello, LIMIT).await.unwrap();
    let refused = line.hear(LIMIT).await.unwrap_err().to_string();
    let ours = env!("CARGO_PKG_VERSION");
    assert_eq!(
        refused,
        format!(
            "the running Cyan ({ours}) hands over by protocol 1, the new one (9.0.0) by 2; stop the \
             running one and start the new one"
        )
    );
    assert_eq!(change(cyan.admin, 10).await.0, 200);
}

#[tokio::test]
async fn garbage_on_the_socket_harms_nobody() {
    let (directory, _choir) = stage().await;
    let cyan = Served::start(directory.path()).await;
    let path = socket(directory.path());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    let mut random = fastrand::Rng::with_seed(7);
    for length in [0, 1, 3, 4, 5, 100, 4000] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        // It may have hung up before it has read everything.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await;
    }
    let next = Served::take_over(directory.path()).await.expect("it takes over");
    assert_eq!(cyan.ended().await, Some(0));
    assert_eq!(change(next.admin, 10).await.0, 200);
}

#[tokio::test]
async fn where_nobody_runs_there_is_nothing_to_take_over() {
    let (directory, _choir) = stage().await;
    let Err(ended) = Served::take_over(directory.path()).await else { panic!("it serves") };
    assert_eq!(ended.code, Some(REFUSED), "{}", ended.stderr);
    let words = "takeover.sock`: No such file or directory (os error 2); start without --takeover";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

/// A config that cannot be used is said before anything is asked for, and an address in use as well.
#[tokio::test]
async fn a_new_process_that_cannot_prepare_leaves_the_old_one_serving() {
    let (directory, _choir) = stage().await;
    let cyan = Served::start(directory.path()).await;
    let file = directory.path().join("cyan.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().to_string();
    std::fs::write(&file, text.replacen("127.0.0.1:0", &port, 1)).unwrap();
    let Err(ended) = Served::take_over(directory.path()).await else { panic!("it serves") };
    assert_eq!(ended.code, Some(REFUSED), "{}", ended.stderr);
    assert!(ended.stderr.contains("it is in use"), "{}", ended.stderr);
    std::fs::write(&file, text).unwrap();
    assert_eq!(change(cyan.admin, 10).await.0, 200);
    assert!(!journal(cyan.admin).await.contains("takeover_failed"), "the state was not asked for");
}

/// More cores, fewer cores, another address: every socket that came along is served, what is not wanted
/// any more is let go of, and what is new is bound.
#[tokio::test]
async fn cores_and_addresses_may_change_on_the_way() {
    let (directory, _choir) = stage().await;
    let file = directory.path().join("cyan.toml");
    let unix = directory.path().join("public.sock");
    let text = std::fs::read_to_string(&file).unwrap();
    let with = |workers: u32, listen: &str| {
        let text = text.replace("workers = 2", &format!("workers = {workers}"));
        text.replacen("http = \"127.0.0.1:0\"", &format!("http = {listen}"), 1)
    };
    let both = format!("[\"127.0.0.1:0\", \"unix:{}\"]", unix.display());
    std::fs::write(&file, with(3, &both)).unwrap();
    let mut serving = Served::start(directory.path()).await;
    let address = serving.address;
    let crowd = Crowd::at(address);
    for (workers, listen, has_unix) in
        [(1, both.as_str(), true), (4, "\"127.0.0.1:0\"", false), (2, both.as_str(), true)]
    {
        std::fs::write(&file, with(workers, listen)).unwrap();
        let next = Served::take_over(directory.path()).await.expect("it takes over");
        assert_eq!(next.address, address);
        let before = std::mem::replace(&mut serving, next);
        crowd.goes_on(50).await;
        assert_eq!(before.ended().await, Some(0));
        if has_unix {
            let stream = UnixStream::connect(&unix).await.expect("it is listened on");
            assert_eq!(Client::over(stream).get("/", "").await.body, b"ok");
        }
    }
    crowd.goes_on(200).await;
    assert_eq!(crowd.leave().await.1, 0);
    serving.signal(libc::SIGTERM);
    assert_eq!(serving.ended().await, Some(0));
    eventually("the socket's file has gone", || !unix.exists()).await;
    assert!(!socket(directory.path()).exists(), "and so has the one for the next process");
}
