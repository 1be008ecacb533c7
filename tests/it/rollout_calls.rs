//! What people ask of a rollout: every call twice, all of them at once, and what the command line makes
//! of it.

use std::process::Stdio;

use cyan::control_plane::command::{Command, Request};
use cyan::model::weight::Weight;
use cyan::rollout::event::{Event, Operator};
use cyan::rollout::value::Rollout;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::program::command;
use crate::support::proxy::{Proxy, name};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

const ROLLOUT: &str = "/v1/services/chat/rollout";

/// A rollout by these flags that has taken its first step.
async fn ramping(flags: &[&str]) -> (Proxy, Upstream) {
    let upstream = Upstream::replying(200, "ok").await;
    let proxy = Proxy::between(&upstream, &upstream);
    let run = proxy.cyan(&[&["rollout", "start", "green", "--yes"], flags].concat()).await;
    assert_eq!(run.code, 0, "{run:?}");
    eventually("the first step", || !rollout(&proxy).planned_share().is_zero()).await;
    (proxy, upstream)
}

fn rollout(proxy: &Proxy) -> Rollout {
    *proxy.app().controller().release("chat").unwrap().release.rollout.unwrap()
}

fn generation(proxy: &Proxy) -> u64 {
    proxy.app().controller().service("chat").unwrap().generation
}

/// A call twice: whether each has changed something, and what the generation is then.
async fn twice(proxy: &Proxy, method: &str, path: &str, body: &str) -> (bool, bool) {
    let once = async || {
        let (code, applied) = proxy.admin(method, path, body).await;
        assert_eq!(code, 200, "{path} {body}: {applied}");
        applied["changed"].as_bool().unwrap()
    };
    let first = once().await;
    let before = generation(proxy);
    let second = once().await;
    assert_eq!(generation(proxy), before, "{path} {body}");
    (first, second)
}

#[tokio::test]
async fn every_call_may_be_repeated() {
    let (proxy, _upstream) = ramping(&["--steps", "1%,25%,100%"]).await;
    let freeze = "/v1/services/chat/freeze";
    for (method, path, body) in [
        ("POST", "/v1/services/chat/rollout/pause", r#"{"reason":"lunch"}"#),
        ("POST", "/v1/services/chat/rollout/resume", "{}"),
        ("PUT", freeze, r#"{"reason":"weekend"}"#),
        ("DELETE", freeze, "{}"),
        ("POST", "/v1/services/chat/rollout/promote", r#"{"to_percent":25}"#),
        ("POST", "/v1/services/chat/rollout/rollback", r#"{"reason":"enough"}"#),
    ] {
        assert_eq!(twice(&proxy, method, path, body).await, (true, false), "{path}");
    }
    assert_eq!(rollout(&proxy).stage.code(), "rolled_back");
}

/// The look beforehand said nothing of it, and the change paused the rollout.
#[tokio::test]
async fn a_dry_run_tells_what_becomes_of_the_rollout() {
    let (proxy, _upstream) = ramping(&["--steps", "1%,25%,100%"]).await;
    let before = generation(&proxy);
    let weights = "/v1/services/chat/weights?dry_run=true";
    let body = r#"{"weights":{"blue":90,"green":10}}"#;
    let (code, preview) = proxy.admin("PUT", weights, body).await;
    let pauses = "this pauses the rollout under way; go on: cyan rollout resume";
    assert_eq!((code, &preview["note"]), (200, &json!(pauses)), "{preview}");
    let run = proxy.cyan(&["switch", "blue", "--dry-run"]).await;
    assert!(run.stderr.contains(pauses), "{run:?}");
    let (code, preview) = proxy.admin("POST", "/v1/services/chat/switch?dry_run=true", "{}").await;
    let note = preview["note"].as_str().unwrap_or_default();
    assert!(code == 200 && note.contains("green"), "{preview}");
    assert_eq!(generation(&proxy), before);
}

#[tokio::test]
async fn a_promotion_takes_the_step_that_is_meant_and_no_other() {
    let (proxy, _upstream) = ramping(&["--steps", "1%,25%,50%,100%"]).await;
    let before = generation(&proxy);
    let promote = format!("{ROLLOUT}/promote");
    for (body, status, detail) in [
        (
            r#"{"to_percent":50}"#,
            409,
            "the next step is 25 %, not 50 %; look at it again: cyan rollout status",
        ),
        (
            r#"{"to_percent":100,"full":true}"#,
            422,
            "`full` and `to_percent` 100 at once; send one of them",
        ),
    ] {
        let (code, problem) = proxy.admin("POST", &promote, body).await;
        assert_eq!((code, &problem["detail"]), (status, &json!(detail)));
    }
    assert_eq!(generation(&proxy), before);
    let run = proxy.cyan(&["rollout", "promote", "--yes"]).await;
    let change = "chat: green goes from 1 % to 25 % now, whatever it waits for\n";
    assert_eq!((run.code, run.stderr.as_str()), (0, change));
    assert_eq!(rollout(&proxy).planned_share(), Weight::from_percent(25.0).unwrap());
}

#[tokio::test]
async fn whatever_else_is_asked_at_once_the_way_back_wins() {
    for _ in 0..20 {
        let (proxy, _upstream) = ramping(&["--again", "--steps", "1%,5%,25%,50%,100%"]).await;
        let controller = proxy.app().controller().clone();
        let ask = |operator: Operator| {
            let event = Box::new(Event::Asked(operator));
            let command = Command::Rollout {
                service: name("chat"),
                event,
                rollout: None,
                if_generation: None,
            };
            let request = Request { actor: "test".into(), reason: None, command };
            let controller = controller.clone();
            tokio::spawn(async move { controller.submit(request).await })
        };
        let mut asked = vec![];
        for index in 0..24 {
            asked.push(ask(match index % 4 {
                _ if index == 9 => Operator::RollBack { reason: None, instant: false },
                0 => Operator::Promote { full: false },
                1 => Operator::Pause { reason: None },
                2 => Operator::Resume,
                _ => Operator::Promote { full: index > 20 },
            }));
        }
        for (index, answer) in asked.into_iter().enumerate() {
            let answer = in_time(answer).await.unwrap();
            assert!(index != 9 || answer.is_ok(), "the way back is open: {answer:?}");
        }
        assert_eq!(rollout(&proxy).stage.code(), "rolled_back");
        let view = controller.service("chat").unwrap();
        let weight = view.environments.iter().map(|e| e.weight.percent()).collect::<Vec<_>>();
        assert_eq!((view.assignment.active.as_str(), weight), ("blue", vec![100.0, 0.0]));
    }
}

#[tokio::test]
async fn following_a_rollout_ends_with_what_became_of_it() {
    // Held for somebody: the step never gets its requests.
    let starving = ["--steps", "5% 1ms 1000000,100%", "--wait-max", "50ms"];
    let (proxy, _upstream) = ramping(&starving).await;
    let follow = ["rollout", "status", "--wait"];
    let held = proxy.cyan(&follow).await;
    assert_eq!(held.code, 11, "{held:?}");
    assert!(held.stderr.contains("error: green is held: "), "{held:?}");
    let status = proxy.cyan(&["status"]).await.stdout;
    assert!(status.starts_with("chat   ! HELD  Held at 5 % since "), "{status}");
    assert!(status.contains(" UTC: green had 0 of 1000000 requests after "), "{status}");
    assert!(
        status.contains("you can  cyan rollback chat, cyan rollout resume|mute|promote chat"),
        "{status}"
    );

    // Rolled back.
    assert_eq!(proxy.cyan(&["rollback"]).await.code, 0);
    let back = proxy.cyan(&follow).await;
    assert!(back.code == 10 && back.stderr.contains("error: green was rolled back: "), "{back:?}");
    let status = proxy.cyan(&["status"]).await.stdout;
    assert!(status.starts_with("chat   ↩ ROLLED BACK  Rolled back at "), "{status}");
    assert!(status.contains(" UTC: cli:ana asked for it"), "{status}");

    // Switched, which is where following ends well.
    let run = proxy.cyan(&["rollout", "start", "green", "--yes", "--again"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let running = proxy.cyan(&["rollout", "status", "--wait", "--timeout", "1ms"]).await;
    assert_eq!(running.code, 12, "{running:?}");
    let promoted = proxy.cyan(&["rollout", "promote", "--full", "--yes"]).await;
    assert_eq!(promoted.code, 0, "{promoted:?}");
    let switched = proxy.cyan(&follow).await;
    assert_eq!((switched.code, switched.stderr.as_str()), (0, ""), "{switched:?}");
    let status = proxy.cyan(&["status"]).await.stdout;
    assert!(status.starts_with("chat   ✓ DONE  Green is active since "), "{status}");
    assert!(status.lines().next().unwrap().ends_with(" UTC. Blue stays ready."), "{status}");
    assert!(status.contains("you can  cyan rollback chat, cyan rollout release chat"), "{status}");
    let unasked = proxy.cyan(&["rollout", "release"]).await;
    assert_eq!(unasked.code, 2, "nothing undoes it, so it asks: {unasked:?}");
    assert_eq!(proxy.cyan(&["rollout", "release", "--yes"]).await.code, 0);
    assert_eq!(proxy.cyan(&follow).await.code, 0);
}

#[tokio::test]
async fn a_pipe_gets_a_line_for_each_change() {
    let (proxy, _upstream) = ramping(&["--steps", "1%,25%,100%"]).await;
    let url = format!("http://{}", proxy.admin_address());
    let mut watching = command(&["rollout", "status", "--wait", "--admin", &url])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(watching.stderr.take().expect("it is piped")).lines();
    for (begins, says, ask) in [
        ("green 1 %, step 1 of 3", "waits for ", "pause"),
        ("green 1 %, step 1 of 3", "waits for api to resume it (paused)", "resume"),
        ("green 1 %, step 1 of 3", "waits for ", "promote"),
        ("green 25 %, step 2 of 3", "waits for ", "rollback"),
        ("error: green was rolled back: ", "api asked for it", ""),
    ] {
        let line = in_time(lines.next_line()).await.unwrap().unwrap();
        assert!(line.starts_with(begins) && line.contains(says), "{begins}: {line}");
        if !ask.is_empty() {
            let path = format!("{ROLLOUT}/{ask}");
            assert_eq!(proxy.admin("POST", &path, "{}").await.0, 200, "{ask}");
        }
    }
    assert_eq!(in_time(watching.wait()).await.unwrap().code(), Some(10));
}

#[tokio::test]
async fn a_freeze_is_shown_wherever_a_rollout_waits() {
    let (proxy, _upstream) = ramping(&["--steps", "1%,100%"]).await;
    let without = proxy.cyan(&["freeze"]).await;
    assert_eq!(without.code, 2, "{without:?}");
    let freeze = ["freeze", "chat", "--reason", "weekend", "--until", "2999-11-23T08:00:00Z"];
    assert_eq!(proxy.cyan(&freeze).await.code, 0);
    let why = "weekend (cli:ana, until 2999-11-23T08:00:00.000Z)";
    let status = proxy.cyan(&["status"]).await.stdout;
    assert!(
        status.starts_with(
            "chat   → RAMPING  Green is at 1 %: none of its requests has ended yet.\n"
        ),
        "{status}"
    );
    assert!(status.contains(&format!("       frozen   {why}\n")), "{status}");
    let shown = proxy.cyan(&["rollout", "status"]).await.stdout;
    assert!(shown.contains(&format!("waits for the freeze to end: {why}\n")), "{shown}");
    let asked = proxy.cyan(&["unfreeze"]).await;
    assert_eq!(asked.code, 2, "{asked:?}");
    let lifted = proxy.cyan(&["unfreeze", "--yes"]).await;
    let change = format!("chat: automatic steps may be taken again ({why})\n");
    assert_eq!((lifted.code, lifted.stderr), (0, change));
    assert!(!proxy.cyan(&["status"]).await.stdout.contains("frozen"));
}
