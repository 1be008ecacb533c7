//! The config and the certificate are read anew, again and again, while clients come all the time: nobody
//! fails, nothing is cut, and what is new is there.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::crowd::{Choir, Crowd, OpenStream, OpenTunnel, all_end_whole};
use crate::support::served::{Served, write_config};
use crate::support::tls::{Certificate, shake};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// How often the long test does it; a few times where nothing else is said.
const TIMES_VARIABLE: &str = "CYAN_RELOADS";
const TIMES: u32 = 3;

#[tokio::test]
async fn nothing_fails_and_nothing_is_cut_however_often() {
    let times = std::env::var(TIMES_VARIABLE).ok().and_then(|times| times.parse().ok());
    let directory = tempfile::tempdir().expect("a temporary folder");
    let (choir, certificate) = (Choir::start().await, Certificate::of("a.test"));
    write(directory.path(), &choir, &certificate, 0);
    let cyan = Served::start(directory.path()).await;
    let (plain, secured) = (cyan.address, secured(&cyan).await);
    let crowd = Crowd::at(plain);
    let (mut streams, mut tunnels, mut kept) = (vec![], vec![], vec![]);
    for turn in 1..=times.unwrap_or(TIMES) {
        streams.push(OpenStream::open(plain).await);
        tunnels.push(OpenTunnel::open(plain).await);
        let mut client = Client::over(certificate.connect(secured, &[]).await);
        assert_eq!(client.get("/", "").await.text(), "ok");
        kept.push(client);
        crowd.goes_on(50).await;
        certificate.renew();
        write(directory.path(), &choir, &certificate, turn);
        cyan.signal(libc::SIGHUP);
        in_time(is_read(&cyan, turn)).await;
        in_time(is_shown(&certificate, secured)).await;
        for client in &mut kept {
            assert_eq!(client.get("/", "").await.text(), "ok", "with its own certificate");
        }
        crowd.goes_on(50).await;
    }
    choir.is_enough();
    all_end_whole(streams, tunnels).await;
    let (answered, failed) = crowd.leave().await;
    println!("{answered} requests answered, {failed} failed");
    assert_eq!(failed, 0, "of {answered}");
}

/// Who sends a signal reads no answer.
#[tokio::test]
async fn what_a_signal_leaves_for_a_restart_is_told_and_shown() {
    let (directory, file, written) = folder().await;
    let cyan = Served::start(directory.path()).await;
    std::fs::write(&file, written + "[access_log]\nsample = 0.5\n").expect("it takes files");
    cyan.signal(libc::SIGHUP);
    let sentence = "`access_log` has changed; it needs a restart";
    eventually("the log says it", || cyan.log().contains(sentence)).await;
    let status = cyan.ask("/v1/status").await;
    assert!(
        status["warnings"][0].as_str().is_some_and(|told| told.starts_with(sentence)),
        "{status}"
    );
}

/// A token that was taken out of the file went on to open the admin API until a restart.
#[tokio::test]
async fn a_reload_lets_others_call_the_admin_api() {
    let (directory, file, plain) = folder().await;
    let cyan = Served::start(directory.path()).await;
    let by = |tokens: &str| {
        // At once: a file that is being written is read, too.
        let next = directory.path().join("next");
        std::fs::write(&next, format!("{plain}\n{tokens}")).expect("it takes files");
        std::fs::rename(&next, &file).expect("it is beside it");
        cyan.signal(libc::SIGHUP);
    };
    let may = async |token: &str| {
        let mut client = Client::connect(cyan.admin).await;
        let head = format!(
            "POST /v1/reload HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\
             content-length: 0\r\n\r\n"
        );
        client.send(head).await;
        client.answer().await.status
    };
    let becomes = async |token: &str, expected: u16| {
        in_time(async {
            while may(token).await != expected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    };
    assert_eq!(may("nobodys").await, 200, "this machine may");

    by("[admin.tokens.ana]\ntoken = 'anas-secret'\nrole = 'operate'");
    becomes("nobodys", 401).await;
    assert_eq!(may("anas-secret").await, 200);

    let mut follower = Client::connect(cyan.admin).await;
    let head = "GET /v1/events?since=0 HTTP/1.1\r\nhost: cyan\r\nauthorization: Bearer anas-secret\r\n\r\n";
    follower.send(head).await;
    follower.read_until(b"admin_tokens_changed").await;
    by("[admin.tokens.bo]\ntoken = 'bos-secret'");
    let _ = follower.rest().await; // it comes to an end, whichever
    becomes("anas-secret", 401).await;

    by(
        "[admin.tokens.ana]\ntoken = 'anas-secret'\n[admin.tokens.bo]\ntoken = 'bos-secret'\nrole = 'operate'",
    );
    becomes("anas-secret", 403).await;
    assert_eq!(may("bos-secret").await, 200);

    by("");
    becomes("nobodys", 200).await;
    let told = async || {
        let journal = cyan.ask("/v1/journal").await;
        let entries = journal["entries"].as_array().expect("entries").clone();
        let told = entries.iter().filter(|entry| entry["kind"] == "admin_tokens_changed");
        let text = |entry: &Value| entry["text"].as_str().expect("a text").to_owned();
        told.map(text).collect::<Vec<_>>()
    };
    in_time(async {
        while told().await.len() < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(
        told().await,
        [
            "the admin API asks for no token any more",
            "the tokens of the admin API have changed; these open it now: ana, bo",
            "the tokens of the admin API have changed; these open it now: bo",
            "the tokens of the admin API have changed; these open it now: ana",
        ]
    );
}

/// Who renews a secret changes the file that it stands in, and says nothing to anybody.
#[tokio::test]
async fn a_secret_is_read_anew_when_its_file_changes() {
    let (directory, file, written) = folder().await;
    let secret = directory.path().join("secret");
    let named = format!("[admin]\ntoken_file = '{}'\n", secret.display());
    std::fs::write(&file, written.replace("[admin]\n", &named)).expect("it takes files");
    std::fs::write(&secret, "the-first-one").expect("it takes files");
    let cyan = Served::start(directory.path()).await;
    let status = async |token: &str| {
        let header = format!("authorization: Bearer {token}\r\n");
        Client::connect(cyan.admin).await.get("/v1/status", &header).await.status
    };
    assert_eq!([status("the-first-one").await, status("the-second-one").await], [200, 401]);
    std::fs::write(&secret, "the-second-one").expect("it takes files");
    in_time(async {
        while status("the-second-one").await != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(status("the-first-one").await, 401);
}

/// A folder with a config, the file, and what is in it. Its upstream is asked by nobody.
async fn folder() -> (TempDir, PathBuf, String) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let upstream = Upstream::replying(200, "ok").await;
    write_config(directory.path(), upstream.address, upstream.address);
    let file = directory.path().join("cyan.toml");
    let written = std::fs::read_to_string(&file).expect("it was written");
    (directory, file, written)
}

/// A config that says which turn it is: environments are replaced by ones with another version and limit.
fn write(directory: &Path, choir: &Choir, certificate: &Certificate, turn: u32) {
    write_config(directory, choir.upstream.address, choir.upstream.address);
    let file = directory.join("cyan.toml");
    let plain = std::fs::read_to_string(&file).expect("it was written");
    let files = certificate.files();
    let (certificate, key) = (files.certificate_file.display(), files.key_file.display());
    let tls = format!(
        "[listen]\nhttps = '127.0.0.1:0'\ncertificate_file = '{certificate}'\nkey_file = '{key}'\n"
    );
    let more = format!("version = 'v{turn}'\ntimeouts.total = '{}s'\n", 600 + turn);
    std::fs::write(file, plain.replace("[listen]\n", &tls) + &more).expect("it takes files");
}

/// Where it speaks TLS: the second address that it names.
async fn secured(cyan: &Served) -> SocketAddr {
    let addresses = || {
        let log = cyan.log();
        let named: Vec<_> = log.lines().filter_map(|line| line.split_once("serving on ")).collect();
        named
            .iter()
            .filter_map(|(_, rest)| rest.split('"').next()?.parse().ok())
            .collect::<Vec<_>>()
    };
    eventually("both are named", || addresses().len() == 2).await;
    addresses()[1]
}

/// Waits until the config of this turn is in force.
async fn is_read(cyan: &Served, turn: u32) {
    let version = format!("v{turn}");
    while cyan.ask("/v1/services/chat").await["environments"][1]["version"] != *version {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until new clients, who trust nothing but this certificate, are shown it.
async fn is_shown(certificate: &Certificate, secured: SocketAddr) {
    while shake(certificate.client(None, &[]), secured, "a.test").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A pipe that nobody writes into is a disk that does not answer.
#[tokio::test]
async fn a_config_that_cannot_be_read_to_its_end_keeps_nobody() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let upstream = Upstream::replying(200, "ok").await;
    write_config(directory.path(), upstream.address, upstream.address);
    let cyan = Served::start(directory.path()).await;
    let file = directory.path().join("cyan.toml");
    std::fs::remove_file(&file).expect("it was written");
    let made = std::process::Command::new("mkfifo").arg(&file).status().expect("it is there");
    assert!(made.success());
    cyan.signal(libc::SIGHUP);
    let pipe = std::cell::OnceCell::new();
    eventually("it is read", || {
        let mut opening = std::fs::OpenOptions::new();
        let opened = opening.write(true).custom_flags(libc::O_NONBLOCK).open(&file);
        opened.is_ok_and(|opened| pipe.set(opened).is_ok())
    })
    .await;
    cyan.signal(libc::SIGHUP);
    assert_eq!(Client::connect(cyan.address).await.get("/", "").await.text(), "ok");
    cyan.signal(libc::SIGTERM);
    assert_eq!(cyan.ended().await, Some(0));
}
