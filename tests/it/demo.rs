//! `cyan demo`: the whole story, told by the real program.

use std::time::Duration;

use crate::support::program::{Run, command};

/// The story at speed 4 takes 40 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

async fn demo(port: u16, more: &[&str]) -> Run {
    let ports = [format!("--port={port}"), format!("--admin-port={}", port + 100)];
    let fixed = ["demo", "--speed=4", "--rate=60", &ports[0], &ports[1]];
    let output = command(&[&fixed, more].concat()).output();
    let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Whether these stand in the text, in this order.
fn stand_in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[tokio::test]
async fn a_healthy_version_gets_all_users_and_nothing_is_lost() {
    let run = demo(24_080, &[]).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let parts = ["deploy", "ready", "smoke: 3 of 3 passed", "quality: ", "ramp", "switch", "done"];
    assert!(stand_in_order(&run.stdout, &parts), "{}", run.stdout);
    assert!(run.stdout.contains(" requests, 0 lost. Next: cyan demo --fault in-band"));
}

#[tokio::test]
async fn a_version_with_errors_inside_its_answers_is_rolled_back() {
    let run = demo(24_280, &["--fault", "in-band"]).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let parts = ["ramp", "fault", "breach", "rollback", "all users are on blue, "];
    assert!(stand_in_order(&run.stdout, &parts), "{}", run.stdout);
    assert!(run.stdout.contains("0 requests were lost by the rollback itself"), "{}", run.stdout);
}
