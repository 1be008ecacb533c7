//! Verbs that wait: while Cyan is started anew they wait on. One look that failed ended them, so that a CI
//! job was red while its rollout went on; a smoke test was ended with it.

use std::process::Stdio;

use cyan::demo::mock_llm::{MockLlm, MockOptions};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr};
use tokio::sync::watch;

use crate::support::admin::TestAdmin;
use crate::support::gate::Gate;
use crate::support::program::command;
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// A verb at work behind a gate.
struct Waiting {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Waiting {
    fn start(line: &str, gate: &Gate) -> Self {
        let mut arguments: Vec<_> = line.split_whitespace().collect();
        let url = gate.url();
        arguments.extend(["--admin", &url]);
        let mut command = command(&arguments);
        let mut child =
            command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, said }
    }

    async fn says(&mut self, words: &str) {
        in_time(async {
            loop {
                let line = self.said.next_line().await.expect("text");
                let line = line.unwrap_or_else(|| panic!("it ended without: {words}"));
                if line.contains(words) {
                    return;
                }
            }
        })
        .await;
    }

    /// Its exit code and what it printed.
    async fn ended(mut self) -> (Option<i32>, String) {
        let mut printed = String::new();
        let mut stdout = self.child.stdout.take().expect("it is piped");
        in_time(stdout.read_to_string(&mut printed)).await.expect("text");
        (in_time(self.child.wait()).await.expect("it is our child").code(), printed)
    }
}

#[tokio::test]
async fn a_version_that_is_waited_for_may_outlast_a_restart() {
    let admin = TestAdmin::start().await;
    let gate = Gate::before(admin.address).await;
    let mut deploy = Waiting::start("deploy chat green --wait", &gate);
    deploy.says("green is not ready: ").await;
    gate.shut();
    deploy.says("; asking again for 1 min").await;
    let green = MockLlm::start(MockOptions::named("green").instant()).unwrap();
    let body = format!(r#"{{"upstreams": ["{}"]}}"#, green.url());
    let put = admin.put("/v1/services/chat/environments/green", &body).await;
    assert_eq!(put.status, 200, "{put:?}");
    gate.open();
    let (code, printed) = deploy.ended().await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.trim_end().ends_with("next: cyan rollout start chat green"), "{printed}");
}

#[tokio::test]
async fn a_rollout_is_followed_past_a_restart() {
    let admin = TestAdmin::start().await;
    let rollout = "/v1/services/chat/rollout";
    let started = admin.post(rollout, r#"{"candidate": "green"}"#).await;
    assert_eq!(started.status, 200, "{started:?}");
    let gate = Gate::before(admin.address).await;
    let mut follow = Waiting::start("rollout status --wait", &gate);
    follow.says("green waiting to be ready").await;
    gate.shut();
    follow.says("; asking again for 1 min").await;
    let back = admin.post(&format!("{rollout}/rollback"), "{}").await;
    assert_eq!(back.status, 200, "{back:?}");
    gate.open();
    assert_eq!(follow.ended().await.0, Some(10));
}

#[tokio::test]
async fn smoke_tests_go_on_while_nobody_can_see_how_far_they_are() {
    let (release, released) = watch::channel(false);
    let (tell, mut asked) = watch::channel(false);
    let green = Upstream::scripted(move |mut visit| {
        let (mut released, tell) = (released.clone(), tell.clone());
        async move {
            visit.request().await;
            tell.send_replace(true);
            if released.wait_for(|is_released| *is_released).await.is_ok() {
                visit.send("HTTP/1.1 200 Yes\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let address = green.address;
    let admin = TestAdmin::configured(&format!(
        "[service.chat.environment.blue]\nupstreams = 'http://127.0.0.1:1'\nweight = 100\n\
         [service.chat.environment.green]\nupstreams = 'http://{address}'\n\
         [service.chat.rollout.smoke.health]\npath = '/health'\ntimeout = '10s'\n"
    ))
    .await;
    let gate = Gate::before(admin.address).await;
    let smoke = Waiting::start("smoke green", &gate);
    in_time(asked.wait_for(|is_asked| *is_asked)).await.unwrap();
    gate.shut();
    eventually("two looks have failed", || gate.refused() >= 2).await;
    release.send_replace(true);
    let (code, printed) = smoke.ended().await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.starts_with("pass  health"), "{printed}");
}
