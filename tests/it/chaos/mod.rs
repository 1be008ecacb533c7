//! Chaos: the whole program under everything at once, for a bounded time, with every byte checked.
//!
//! Clients over HTTP/1.1 and HTTP/2, plain and over TLS, ask for documents, streams, uploads and tunnels.
//! Upstreams fail as each request tells them, and worse is done to them: killed, reset, stalled. Meanwhile
//! weights change, environments are switched, drained and replaced, the config and certificates are read anew, the
//! log is moved away, and new processes take over. Everything is drawn by one seed: the sequence of requests
//! and deeds repeats, their moments do not.
//!
//! What must hold (`ledger.rs` judges it): no wrong byte; each request has one verdict, and the right one; a
//! broken answer never ends as a whole one; every failure is explained by a fault that was injected into this very
//! request or into the upstream that served it; and at the end nothing is left in flight, open or in memory.
//!
//! `chaos/run` plays it for a minute or an hour. The last third passes in one process, where leaks would grow.

mod caller;
mod conductor;
mod http1;
mod http2;
mod ledger;
mod line;
mod process;
mod script;
mod stage;
mod told;
mod upstream;
mod upstream_http2;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use self::caller::Caller;
use self::conductor::Conductor;
use self::ledger::{Findings, Ledger};
use self::stage::{Stage, sum};
use crate::support::client::Client;
use crate::support::{DEADLINE, eventually};

const SECONDS_VARIABLE: &str = "CYAN_CHAOS_SECONDS";
const SEED_VARIABLE: &str = "CYAN_CHAOS_SEED";
/// Where nothing else is said: two decks of deeds take longer than that.
const SECONDS: u64 = 3;
const SEED: u64 = 6;
const CALLERS: u32 = 16;
/// What a process may have open at the end beyond what it had before the first request: files of the state
/// that come and go, and connections that are looked at just now.
const DESCRIPTORS_MORE: usize = 16;
/// What a process may grow in the last third. It has served all kinds before; what goes on growing slowly are
/// windows of time, which are bounded, and what the allocator keeps.
const BYTES_MORE: usize = 24 << 20;
/// Requests by which the counters are checked at the end.
const COUNTED: u32 = 50;

/// A run, and what it found.
struct Run {
    findings: Findings,
    deeds: usize,
    takeovers: usize,
    grown_bytes: usize,
}

/// How a run is played.
#[derive(Clone, Copy)]
struct Plan {
    seed: u64,
    time: Duration,
    /// Upstreams send a wrong byte now and then.
    lies: bool,
}

#[tokio::test]
async fn nothing_is_lost_doubled_wrong_or_unexplained() {
    let (seed, seconds) = (number(SEED_VARIABLE, SEED), number(SECONDS_VARIABLE, SECONDS));
    println!("again with: {SEED_VARIABLE}={seed} {SECONDS_VARIABLE}={seconds} chaos/run short");
    let plan = Plan { seed, time: Duration::from_secs(seconds), lies: false };
    let run = play(plan).await;
    let Run { findings, deeds, takeovers, grown_bytes } = &run;
    let Findings { requests, well, replayed, handed_over, .. } = findings;
    println!(
        "{requests} requests, {well} answered well, {replayed} replayed, {handed_over} handed over; {deeds} \
         deeds, {takeovers} takeovers; {} KiB more at the end",
        grown_bytes >> 10
    );
    let mut verdicts: Vec<_> = findings.verdicts.iter().collect();
    verdicts.sort();
    println!("verdicts: {verdicts:?}");
    assert!(*takeovers > 0 && *well > 0, "it did not come to chaos");
    assert!(findings.unexplained.is_empty(), "{}", told(findings));
}

#[tokio::test]
async fn a_single_wrong_byte_is_found() {
    let plan = Plan { seed: 1, time: Duration::ZERO, lies: true };
    let run = play(plan).await;
    let wrong = run.findings.unexplained.iter().filter(|text| text.starts_with("wrong bytes"));
    assert!(wrong.count() > 0, "{} requests", run.findings.requests);
}

/// The first findings, and how many there are.
fn told(findings: &Findings) -> String {
    let all = &findings.unexplained;
    format!("{} findings:\n{}", all.len(), all[..all.len().min(20)].join("\n"))
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().expect("a whole number"))
}

async fn play(plan: Plan) -> Run {
    let ledger = Arc::new(Ledger::default());
    let mut stage = Stage::start(&ledger, plan.lies).await;
    let descriptors = process::descriptors(stage.pid());
    let is_over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    let doors = stage.doors();
    for number in 0..CALLERS {
        let caller = Caller::new(plan.seed, number, doors.clone(), Arc::clone(&ledger));
        callers.spawn(caller.call(Arc::clone(&is_over)));
    }
    let third = plan.time / 3;
    let wild = Conductor::new(plan.seed, &mut stage, Arc::clone(&ledger));
    let mut deeds = wild.conduct(third * 2, true).await;
    let memory = process::memory(stage.pid());
    let wild = Conductor::new(plan.seed ^ 1, &mut stage, Arc::clone(&ledger));
    deeds += wild.conduct(third, false).await;
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.expect("a client does not panic");
    }
    let grown_bytes = close(&mut stage, &ledger, descriptors, memory).await;
    let takeovers = stage.takeovers();
    let findings = ledger.judge(&whole_log(&stage).await);
    Run { findings, deeds, takeovers, grown_bytes }
}

/// Sees that nothing is left over, and that the counters are right.
async fn close(stage: &mut Stage, ledger: &Ledger, descriptors: usize, memory: usize) -> usize {
    stage.bury_all().await;
    if !comes_true(|| !ledger.is_at_work()).await {
        ledger.complain_of_work();
    }
    if let Err(left) = stage.comes_to_rest().await {
        ledger.complain(format!("in flight at the end: {left}"));
    }
    stage.complain_of_errors();
    count(stage, ledger).await;
    // Connections of HTTP/2 rest for minutes; these go with their upstream.
    stage.teal = None;
    let pid = stage.pid();
    let most = descriptors + DESCRIPTORS_MORE;
    let is_empty = || process::connections(pid) == 0 && process::descriptors(pid) <= most;
    if !comes_true(is_empty).await {
        let (connections, descriptors) = (process::connections(pid), process::descriptors(pid));
        ledger.complain(format!(
            "left open: {connections} connections, {descriptors} of {most} descriptors"
        ));
    }
    let grown = process::memory(pid).saturating_sub(memory);
    if grown > BYTES_MORE {
        ledger.complain(format!("{} KiB more memory at the end", grown >> 10));
    }
    grown
}

/// Whether this holds before long.
async fn comes_true(mut holds: impl FnMut() -> bool) -> bool {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.is_ok()
}

/// Sends some requests at rest: each is counted once, by one verdict, and so was everything before.
async fn count(stage: &Stage, ledger: &Ledger) {
    let address = stage.doors().plain;
    for _ in 0..COUNTED {
        let answer = Client::connect(address).await.get("/counted", "x-request-id: 0\r\n").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let counted = |page: &str| sum(page, "cyan_requests_total", "service=\"counted\"");
    let published = async {
        while counted(&stage.metrics().await) < f64::from(COUNTED) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // Where they never come, the numbers below say so.
    let _ = tokio::time::timeout(DEADLINE, published).await;
    let page = stage.metrics().await;
    let all = |name| sum(&page, name, "");
    let verdicts = all("cyan_requests_total") + all("cyan_refused_total");
    for (what, value, right) in [
        ("requests at rest", counted(&page), f64::from(COUNTED)),
        ("verdicts", verdicts, all("cyan_requests_received_total")),
        ("panics", all("cyan_panics_total"), 0.0),
        ("lines lost", all("cyan_log_lines_lost_total"), 0.0),
        ("reports lost", all("cyan_reports_lost_total"), 0.0),
    ] {
        if (value - right).abs() > 0.5 {
            ledger.complain(format!("{what}: {value} are counted, it should be {right}"));
        }
    }
}

/// The access log, when its writer has written the last line; without those of [`count`].
async fn whole_log(stage: &Stage) -> String {
    let is_counted = |line: &&str| line.contains("\"request_id\":\"0\"");
    eventually("the last line is written", || {
        let log = stage.access_log();
        log.lines().filter(is_counted).count() == COUNTED as usize
    })
    .await;
    let log = stage.access_log();
    log.lines().filter(|line| !is_counted(line)).flat_map(|line| [line, "\n"]).collect()
}
