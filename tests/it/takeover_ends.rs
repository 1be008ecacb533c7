//! Takeovers that meet a signal, a slow side, or another takeover: at the end one process serves, with the
//! state, on sockets that are there.
//!
//! A signal to the old process used to call the takeover off while the new one went on without it: the
//! old one then unlinked the unix sockets of the new one, or kept the state until the new one had given
//! up. A new process that was slow after it had been let serve was taken for gone: both served, with two
//! controllers. A state that was not back yet was given away. And hooks that were being told were killed.

use std::path::Path;
use std::time::Duration;

use cyan::app::takeover::message::{Line, LineError, Message};
use tokio::net::{UnixListener, UnixStream};

use crate::support::client::Client;
use crate::support::crowd::Choir;
use crate::support::served::{Served, call, write_config};
use crate::support::{eventually, in_time};

const LIMIT: Duration = Duration::from_secs(10);
const TCP: &str = "http = \"127.0.0.1:0\"";

fn tcp_and_unix(directory: &Path) -> String {
    format!("http = [\"127.0.0.1:0\", \"unix:{}\"]", directory.join("public.sock").display())
}

/// A directory with a config, in which `from` reads `to`.
async fn stage(from: &str, to: impl Fn(&Path) -> String) -> (tempfile::TempDir, Choir) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let choir = Choir::start().await;
    write_config(directory.path(), choir.upstream.address, choir.upstream.address);
    let file = directory.path().join("cyan.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen(from, &to(directory.path()), 1)).unwrap();
    (directory, choir)
}

/// A process that takes over, played by the test, which has said hello and that it is prepared.
async fn prepared(directory: &Path) -> Line {
    let path = directory.join("state/takeover.sock");
    let mut line = Line::new(UnixStream::connect(path).await.unwrap());
    let hello = Message::Hello { protocol: 1, version: "0.1.0".to_owned() };
    line.say(&hello, LIMIT).await.unwrap();
    let Message::Welcome { sockets, .. } = line.hear(LIMIT).await.unwrap() else {
        panic!("not welcome")
    };
    for lent in sockets {
        line.borrow(lent.count, LIMIT).await.unwrap();
    }
    line.say(&Message::Prepared, LIMIT).await.unwrap();
    line
}

async fn switch(cyan: &Served, to: &str) -> u16 {
    let body = format!(r#"{{"to":"{to}"}}"#);
    let path = "/v1/services/chat/switch";
    in_time(call(&mut Client::connect(cyan.admin).await, "POST", path, &body)).await.0
}

#[tokio::test]
async fn a_signal_on_the_way_lets_the_takeover_finish_and_leaves_the_sockets() {
    let (directory, _choir) = stage(TCP, tcp_and_unix).await;
    let cyan = Served::start(directory.path()).await;
    let mut line = prepared(directory.path()).await;
    line.expect(&Message::StateIsFree, LIMIT).await.unwrap();
    cyan.signal(libc::SIGTERM);
    eventually("the signal has come", || cyan.log().contains("draining; a second")).await;
    line.say(&Message::Ready, LIMIT).await.unwrap();
    line.expect(&Message::LetGo, LIMIT).await.unwrap();
    line.say(&Message::Serving, LIMIT).await.unwrap();
    assert_eq!(cyan.ended().await, Some(0));
    assert!(directory.path().join("public.sock").exists(), "it is the new one's");
}

#[tokio::test]
async fn a_signal_and_no_heir_end_the_process_and_leave_what_was_lent() {
    let (directory, _choir) = stage(TCP, tcp_and_unix).await;
    let cyan = Served::start(directory.path()).await;
    let mut line = prepared(directory.path()).await;
    line.expect(&Message::StateIsFree, LIMIT).await.unwrap();
    cyan.signal(libc::SIGTERM);
    eventually("the signal has come", || cyan.log().contains("draining; a second")).await;
    drop(line);
    assert_eq!(cyan.ended().await, Some(0));
    assert!(directory.path().join("public.sock").exists(), "somebody may serve it");
    let next = Served::start(directory.path()).await;
    assert_eq!(switch(&next, "green").await, 200);
}

/// A process that is killed gives its lock back after its connections; one that is ending, after its drain.
#[tokio::test]
async fn an_old_process_that_has_gone_leaves_its_state_in_the_end() {
    let (directory, _choir) = stage("", |_| String::new()).await;
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let lock = std::fs::File::create(state.join("lock")).unwrap();
    lock.try_lock().unwrap();
    let waiting = UnixListener::bind(state.join("takeover.sock")).unwrap();
    let goes = async move {
        let mut line = Line::new(waiting.accept().await.unwrap().0);
        line.hear(LIMIT).await.unwrap();
        let welcome = Message::Welcome { version: "0.0.9".to_owned(), sockets: vec![] };
        line.say(&welcome, LIMIT).await.unwrap();
        line.expect(&Message::Prepared, LIMIT).await.unwrap();
        drop((line, waiting));
        // It has no more to say, and takes its time: longer than one that was killed.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        drop(lock);
    };
    let ((), next) = tokio::join!(goes, Served::take_over(directory.path()));
    assert_eq!(switch(&next.expect("it goes on alone"), "green").await, 200);
}

#[tokio::test]
async fn a_new_process_that_was_let_serve_is_waited_for_however_slow() {
    let (directory, _choir) = stage("", |_| String::new()).await;
    let cyan = Served::start(directory.path()).await;
    let mut line = prepared(directory.path()).await;
    line.expect(&Message::StateIsFree, LIMIT).await.unwrap();
    line.say(&Message::Ready, LIMIT).await.unwrap();
    line.expect(&Message::LetGo, LIMIT).await.unwrap();
    eventually("its silence is told", || cyan.log().contains("let serve and says nothing")).await;
    assert!(!cyan.log().contains("nobody has taken over"), "{}", cyan.log());
    line.say(&Message::Serving, LIMIT).await.unwrap();
    assert_eq!(cyan.ended().await, Some(0));
}

#[tokio::test]
async fn a_state_that_is_not_back_yet_is_not_given_away() {
    let (directory, _choir) = stage("", |_| String::new()).await;
    let cyan = Served::start(directory.path()).await;
    let mut first = prepared(directory.path()).await;
    first.expect(&Message::StateIsFree, LIMIT).await.unwrap();
    let lock = std::fs::File::open(directory.path().join("state/lock")).unwrap();
    lock.try_lock().unwrap();
    drop(first); // it is gone, and something of it has the lock still
    let mut second = prepared(directory.path()).await;
    let refused = second.hear(LIMIT).await.unwrap_err();
    assert!(matches!(refused, LineError::Refused(_)), "{refused}");
    drop(lock);
    let back = async {
        while switch(&cyan, "green").await != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    in_time(back).await;
    let next = Served::take_over(directory.path()).await.expect("it takes over");
    assert_eq!(cyan.ended().await, Some(0));
    assert_eq!(switch(&next, "blue").await, 200);
}

#[tokio::test]
async fn hooks_that_are_being_told_are_told() {
    let hook = |directory: &Path| {
        let here = directory.display();
        let script = format!(
            "touch {here}/began; while [ ! -e {here}/go ]; do sleep 0.05; done; touch {here}/done"
        );
        format!(
            "[hooks.slow]\non = ['switched']\nexec = ['/bin/sh', '-c', '''{script}''']\n[service.chat]\n"
        )
    };
    let (directory, _choir) = stage("[service.chat]\n", hook).await;
    let cyan = Served::start(directory.path()).await;
    assert_eq!(switch(&cyan, "green").await, 200);
    let exists = |name: &str| directory.path().join(name).exists();
    eventually("the hook is being told", || exists("began")).await;
    let _next = Served::take_over(directory.path()).await.expect("it takes over");
    eventually("it is known", || cyan.log().contains("taken over; draining")).await;
    std::fs::write(directory.path().join("go"), "").unwrap();
    assert_eq!(cyan.ended().await, Some(0));
    assert!(exists("done"), "the program has come to its end");
}
