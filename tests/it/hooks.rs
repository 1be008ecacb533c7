//! Hooks as programs and web servers see them, and what is left of those that misbehave: nothing.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use cyan::control_plane::event::Event;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::broadcast;

use crate::support::admin::TestAdmin;
use crate::support::client::Client;
use crate::support::served::{Served, call, write_config};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

const SECRET: &str = "a-secret-of-enough-letters";

/// A service `chat` with blue (active) and green, and these hooks.
fn chat(hooks: &str) -> String {
    format!(
        "{hooks}\n[service.chat.environment.blue]\nupstreams = 'http://127.0.0.1:1'\nweight = 100\n\
         [service.chat.environment.green]\nupstreams = 'http://127.0.0.1:2'\nweight = 0\n\
         version = 'v42'\n"
    )
}

/// The next event about a delivery of a hook.
async fn told(events: &mut broadcast::Receiver<Arc<Event>>, hook: &str) -> Arc<Event> {
    let waiting = async {
        loop {
            let event = events.recv().await.expect("a test reads faster than events are lost");
            if event.kind.starts_with("hook_") && event.details["hook"] == json!(hook) {
                return event;
            }
        }
    };
    in_time(waiting).await
}

async fn switch(admin: &TestAdmin, to: &str) {
    let body = json!({ "to": to }).to_string();
    let answer = in_time(admin.post("/v1/services/chat/switch", &body)).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_program_is_told_of_a_release_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("cat > {}/$CYAN_OCCASION; echo $CYAN_ENVIRONMENT", dir.path().display());
    let admin = TestAdmin::configured(&chat(&format!(
        "[hooks.scale]\non = ['switched', 'rolled_back', 'drained']\n\
         exec = ['/bin/sh', '-c', '''{script}''']"
    )))
    .await;
    let mut events = admin.controller.events();
    switch(&admin, "green").await;
    let event = told(&mut events, "scale").await;
    assert_eq!((event.kind, &event.details["output"]), ("hook_delivered", &json!("green")));
    assert_eq!(event.text, "hook scale: /bin/sh was told of switched: exit code 0");
    let notice = read(&dir.path().join("switched"));
    assert_eq!((&notice["service"], &notice["version"]), (&json!("chat"), &json!("v42")));
    assert_eq!(notice["details"]["after"], json!({ "blue": 0.0, "green": 100.0 }));

    admin.post("/v1/services/chat/rollback", "").await;
    let event = told(&mut events, "scale").await;
    assert_eq!(event.details["output"], json!("green"));
    let notice = read(&dir.path().join("rolled_back"));
    assert_eq!((&notice["id"], &notice["rollout"]), (&event.details["id"], &Value::Null));

    admin.post("/v1/services/chat/environments/green/drain", r#"{"deadline":"1s"}"#).await;
    let event = told(&mut events, "scale").await;
    assert_eq!(event.details["occasion"], json!("drained"));
}

#[tokio::test]
async fn a_web_address_gets_a_notice_whose_signature_the_documented_lines_verify() {
    let receiver = Upstream::replying(204, "").await;
    let admin = TestAdmin::configured(&chat(&format!(
        "[hooks.page]\non = 'switched'\nurl = '{}/cyan/key?a=b'\nsecret = '{SECRET}'",
        receiver.url()
    )))
    .await;
    let mut events = admin.controller.events();
    switch(&admin, "green").await;
    let event = told(&mut events, "page").await;
    assert_eq!(event.kind, "hook_delivered");
    let url = receiver.url();
    assert_eq!(event.text, format!("hook page: {url} was told of switched: 204"));
    let (head, body) = (receiver.heads().remove(0), receiver.bodies().remove(0));
    assert!(head.starts_with("POST /cyan/key?a=b HTTP/1.1\r\n"), "{head}");
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        line.and_then(|line| line.split_once(": ")).unwrap().1.to_owned()
    };
    let (timestamp, signature) = (field("x-cyan-timestamp"), field("x-cyan-signature"));
    assert_eq!(json!(field("x-cyan-delivery")), event.details["id"]);
    assert!(verifies(SECRET, &timestamp, &signature, &body).await);
    let other_time = (timestamp.parse::<u64>().unwrap() - 1).to_string();
    assert!(!verifies(SECRET, &other_time, &signature, &body).await, "another time");
    assert!(!verifies("another-secret-of-letters", &timestamp, &signature, &body).await);
    assert!(!verifies(SECRET, &timestamp, &signature, b"{}").await, "another body");
}

/// What the lines in `docs/reference/hooks.md` say of a request.
async fn verifies(secret: &str, timestamp: &str, signature: &str, body: &[u8]) -> bool {
    let page = include_str!("../../docs/reference/hooks.md");
    let lines = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let script = format!(
        "{lines}\nimport sys\nbody = sys.stdin.buffer.read()\n\
         print(is_genuine(sys.argv[1].encode(), sys.argv[2], sys.argv[3], body))"
    );
    let mut python = tokio::process::Command::new("python3")
        .args(["-c", &script, secret, timestamp, signature])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there, as for the tests of SDKs");
    python.stdin.take().unwrap().write_all(body).await.unwrap();
    let output = in_time(python.wait_with_output()).await.unwrap();
    match output.stdout.as_slice() {
        b"True\n" => true,
        b"False\n" => false,
        other => panic!("{}", String::from_utf8_lossy(other)),
    }
}

#[tokio::test]
async fn a_channel_gets_one_sentence() {
    let channel = Upstream::replying(200, "ok").await;
    let admin = TestAdmin::configured(&chat(&format!(
        "[hooks.channel]\non = 'rolled_back'\nurl = '{}/services/T0/key'\nformat = 'slack'",
        channel.url()
    )))
    .await;
    let mut events = admin.controller.events();
    switch(&admin, "green").await;
    admin.post("/v1/services/chat/rollback", "").await;
    let event = told(&mut events, "channel").await;
    assert!(!format!("{event:?}").contains("T0"), "{event:?}");
    let body: Value = serde_json::from_slice(&channel.bodies()[0]).unwrap();
    let text = "chat: rolled back: blue 0 % -&gt; 100 %, green 100 % -&gt; 0 %";
    assert_eq!(body, json!({ "text": text }));
}

#[tokio::test]
async fn what_may_go_better_is_tried_again_and_what_cannot_is_not() {
    let busy = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        let first = visit.seen_heads() == 1;
        let status = if first { "503 Busy" } else { "200 Yes" };
        visit.send(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
    })
    .await;
    let wrong = Upstream::replying(404, "no such channel").await;
    let admin = TestAdmin::configured(&chat(&format!(
        "[hooks.busy]\non = 'switched'\nurl = '{}'\n[hooks.wrong]\non = 'switched'\nurl = '{}'",
        busy.url(),
        wrong.url()
    )))
    .await;
    let mut events = admin.controller.events();
    switch(&admin, "green").await;
    let refused = told(&mut events, "wrong").await;
    assert_eq!((refused.kind, &refused.details["attempts"]), ("hook_failed", &json!(1)));
    assert_eq!(refused.details["saw"], json!("404 \"no such channel\""));
    let delivered = told(&mut events, "busy").await;
    assert_eq!((delivered.kind, &delivered.details["attempts"]), ("hook_delivered", &json!(2)));
    assert_eq!(busy.bodies()[0], busy.bodies()[1], "the same notice, the same id");
}

#[tokio::test]
async fn receivers_that_misbehave_are_told_of_and_delay_nobody() {
    let garbage = Upstream::sending("\u{1}\u{2}garbage\r\n\r\n").await;
    let silent = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.until_closed().await;
    })
    .await;
    let good = Upstream::replying(200, "").await;
    let hook = |name: &str, receiver: &str| {
        let is_slow = ["silent", "hanging"].contains(&name);
        let timeout = if is_slow { "300ms" } else { "10s" };
        format!("[hooks.{name}]\non = 'switched'\nretries = 0\ntimeout = '{timeout}'\n{receiver}\n")
    };
    let web = |upstream: &Upstream| format!("url = '{}'", upstream.url());
    let hooks = [
        hook("dead", "url = 'http://127.0.0.1:1/x'"),
        hook("silent", &web(&silent)),
        hook("garbage", &web(&garbage)),
        hook("hanging", "exec = ['/bin/sh', '-c', 'echo before; exec sleep 600']"),
        hook("absent", "exec = '/no/such/program'"),
        hook(
            "loud",
            "exec = ['/bin/sh', '-c', 'head -c 1000000 /dev/zero | tr \"\\\\0\" x; exit 3']",
        ),
        hook("good", &web(&good)),
    ];
    let admin = TestAdmin::configured(&chat(&hooks.concat())).await;
    for (name, kind, saw) in [
        ("good", "hook_delivered", "200"),
        ("dead", "hook_failed", "connection refused"),
        ("silent", "hook_failed", "no answer within 300ms"),
        ("garbage", "hook_failed", "broken answer: "),
        ("hanging", "hook_failed", "`/bin/sh` was killed after 0.3 s"),
        ("absent", "hook_failed", "`/no/such/program` cannot be started: No such file"),
        ("loud", "hook_failed", "exit code 3"),
    ] {
        let mut events = admin.controller.events();
        let to = admin.controller.service("chat").unwrap();
        let to = if to.assignment.active == *"blue" { "green" } else { "blue" };
        switch(&admin, to).await;
        let event = told(&mut events, name).await;
        let said = event.details["saw"].as_str().unwrap();
        assert!(event.kind == kind && said.starts_with(saw), "{name}: {event:?}");
        let output = event.details["output"].as_str().unwrap_or_default();
        assert!(output.len() <= 4096, "{name} has {} bytes of output", output.len());
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_an_alert() {
    let receiver = Upstream::replying(200, "").await;
    let admin = TestAdmin::configured(&chat(&format!(
        "[hooks.page]\non = 'alert'\nservices = 'chat'\nurl = '{}'",
        receiver.url()
    )))
    .await;
    let mut events = admin.controller.events();
    let holder = rusqlite::Connection::open(admin.state_file()).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let refused = admin.post("/v1/services/chat/switch", r#"{"to":"green"}"#).await;
    assert_eq!(refused.status.as_u16(), 503);
    assert_eq!(told(&mut events, "page").await.kind, "hook_delivered");
    let notice: Value = serde_json::from_slice(&receiver.bodies()[0]).unwrap();
    assert_eq!((&notice["occasion"], &notice["service"]), (&json!("alert"), &Value::Null));
    drop(holder);
}

#[tokio::test]
async fn hooks_that_hang_leave_no_process_and_no_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let (blue, green) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    write_config(dir.path(), blue, green);
    let silent = Upstream::scripted(|mut visit| async move {
        visit.request().await;
        visit.until_closed().await;
    })
    .await;
    let hooks = format!(
        "\n[hooks.bad]\non = ['switched']\nretries = 0\ntimeout = '200ms'\nurl = '{}'\n\
         exec = ['/bin/sh', '-c', 'sleep 600 & sleep 600']\n",
        silent.url()
    );
    let path = dir.path().join("cyan.toml");
    let text = std::fs::read_to_string(&path).unwrap() + &hooks;
    std::fs::write(&path, text).unwrap();
    let cyan = Served::start(dir.path()).await;
    let mut client = Client::connect(cyan.admin).await;
    // The first round makes what a process makes once: a pipe for signals, threads for blocking work.
    let mut before = None;
    for round in 1..=4 {
        for to in ["green", "blue"] {
            let body = json!({ "to": to }).to_string();
            let (status, _) = call(&mut client, "POST", "/v1/services/chat/switch", &body).await;
            assert_eq!(status, 200);
        }
        eventually("every request has been given up", || silent.closed() == 2 * round).await;
        eventually("every program has ended", || children(cyan.pid()) == 0).await;
        let before = *before.get_or_insert_with(|| descriptors(cyan.pid()));
        eventually("descriptors are closed", || descriptors(cyan.pid()) <= before).await;
    }
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Children of a process, those included that wait to be reaped.
fn children(pid: u32) -> usize {
    let stats = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let parent = |stat: &String| {
        let fields = stat.rsplit_once(')')?.1;
        fields.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    stats.filter(|stat| parent(stat) == Some(pid)).count()
}
