//! What every verb really prints, each against a Cyan of its own where it asks one. A verb that is added
//! without an entry here fails the last test.

use std::collections::BTreeSet;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::admin::TestAdmin;
use crate::support::in_time;
use crate::support::program::{Run, command, cyan, cyan_at};

/// What a verb prints. In expected text `…` stands for anything within a line.
struct Entry {
    /// The verb as in `cyan --help`.
    verb: &'static str,
    /// What is done before, each with `--yes`.
    before: &'static [&'static str],
    /// What follows `cyan`.
    line: &'static str,
    code: i32,
    stdout: &'static str,
    stderr: &'static str,
    kind: Kind,
}

/// What else must hold for a verb.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// With `--json`, data is JSON.
    Answers,
    /// And with `--dry-run` nothing changes.
    Changes,
    /// It prints something for another program.
    Prints,
}

use Kind::{Answers, Changes, Prints};

const APPLIED: &str = "applied on all cores in … ms, generation …\n";

/// A short way to write an entry.
const fn entry(verb: &'static str, line: &'static str, stdout: &'static str, kind: Kind) -> Entry {
    Entry { verb, before: &[], line, code: 0, stdout, stderr: "", kind }
}

impl Entry {
    const fn after(self, before: &'static [&'static str]) -> Self {
        Self { before, ..self }
    }

    const fn says(self, stderr: &'static str) -> Self {
        Self { stderr, ..self }
    }

    const fn exits(self, code: i32) -> Self {
        Self { code, ..self }
    }
}

const SPLIT: &[&str] = &["weights blue=95 green=5"];
const SWITCHED: &[&str] = &["switch green"];
const STARTED: &[&str] = &["rollout start green"];

const ENTRIES: &[Entry] = &[
    entry(
        "status",
        "status",
        "chat   – SPLIT  95 % goes to blue and 5 % to green, the candidate.\n\
        …● blue      95 %  active     0 in flight  1/1 usable\n\
        …▲ green      5 %  candidate  0 in flight  1/1 usable\n\
        …you can  cyan rollback chat, cyan switch chat green\n\
        cyan …, …, up … s, 1 cores, 0 connections, 0 requests\n",
        Answers,
    )
    .after(SPLIT),
    entry(
        "stats",
        "stats",
        "chat  …\n\
        …requests  req/s  failed     p50     p99 TTFT p50     p99 gap p99  tok/s\n\
        ● blue          0   0.00       –       –       –        –       –       –      –\n\
        ▲ green         0   0.00       –       –       –        –       –       –      –\n",
        Answers,
    ),
    entry(
        "compare",
        "compare",
        "▲ green against ● blue, …, 95 % intervals\n\
        …blue  green  difference  rule…\n\
        p99…\n\
        error rate…\n\
        safe: not enough data. …\n",
        Answers,
    )
    .exits(11),
    entry("weights", "weights blue=95 green=5 --yes", APPLIED, Changes)
        .says("chat: blue 100 % -> 95 %, green 0 % -> 5 %\n"),
    entry("switch", "switch green --yes", APPLIED, Changes)
        .says("chat: blue 100 % -> 0 %, green 0 % -> 100 %\nchat: active blue -> green\n"),
    entry("rollback", "rollback", APPLIED, Changes).after(SWITCHED),
    entry(
        "rollout start",
        "rollout start green --yes",
        "applied on all cores in … ms, generation 2\n\
        note: blue had no requests lately: how long steps take is unknown\n\
        note: green has no version label: attempts are not counted\n\
        note: blue has no scores: quality is not judged; send some, or set its limit\n",
        Changes,
    )
        .says("chat: green is released by plan default\n"),
    entry(
        "rollout status",
        "rollout status",
        "chat  rollout 1: green waiting to be ready\n  steps     1% 5m 50, …\n  next      1 %\n  waits for …\n",
        Answers,
    )
    .after(STARTED),
    entry("rollout list", "rollout list", "id  candidate  …\n1   green …\n", Answers).after(STARTED),
    entry("rollout pause", "rollout pause", APPLIED, Changes).after(STARTED),
    entry("rollout resume", "rollout resume", APPLIED, Changes)
        .after(&["rollout start green", "rollout pause"]),
    entry("rollout mute", "rollout mute", "", Changes)
        .after(STARTED)
        .says("error: green is not held; to stop its steps: cyan rollout pause\n")
        .exits(5),
    entry("rollout promote", "rollout promote --full --yes", APPLIED, Changes)
        .after(STARTED)
        .says("chat: green goes from 0 % to 100 % now, whatever it waits for\n"),
    entry("rollout rollback", "rollout rollback", APPLIED, Changes)
        .after(&["rollout start green", "rollout promote --full"]),
    entry("rollout release", "rollout release --yes", "", Changes)
        .says(
            "chat: the environment before is drained; a rollback is possible no more\n\
            error: …\n",
        )
        .after(STARTED)
        .exits(5),
    entry("freeze", "freeze --reason weekend", APPLIED, Changes),
    entry("unfreeze", "unfreeze --yes", APPLIED, Changes)
        .after(&["freeze --reason weekend"])
        .says("chat: automatic steps may be taken again (weekend…)\n"),
    entry("drain", "drain green --yes", "green is drained: nothing is in flight\n", Changes)
        .says("chat: green is drained: 0 in flight have 30s, then they are ended\n"),
    entry("smoke", "smoke green", "smoke: no checks are configured\n", Answers)
        .says("hint: write [service.chat.rollout.smoke.NAME]; see docs/reference/smoke-tests.md\n"),
    entry("deploy", "deploy green --version v2 --yes", APPLIED, Changes)
        .says("green: version none -> v2\n"),
    entry(
        "environment put",
        "environment put red --upstream http://127.0.0.1:3 --yes",
        APPLIED,
        Changes,
    )
    .says("red: new environment, 0 % of the traffic\nred: upstreams none -> http://127.0.0.1:3\n"),
    entry("environment remove", "environment remove red --yes", APPLIED, Changes)
        .after(&["environment put red --upstream http://127.0.0.1:3"])
        .says("chat: environment red is removed\n"),
    entry(
        "environment show",
        "environment show blue",
        "● blue     100 %  active     0 in flight  1/1 usable\n  http://127.0.0.1:1  0 in flight  …\n",
        Answers,
    ),
    entry("evaluate", "evaluate green", "", Answers).says("error: …\n").exits(5),
    entry("score", "score --environment green --value 0.9", "green: 0.90 was counted\n", Changes),
    entry("events", "events --since 0 --limit 1", "…Z  …\n", Answers).after(SPLIT),
    entry("journal", "journal", "…Z  chat: green 0 % -> 5 %, blue 100 % -> 95 % (cli:ana)\n", Answers).after(SPLIT),
    entry("config reset", "config reset green --field version --yes", APPLIED, Changes)
        .after(&["environment put green --version v2"])
        .says("chat: version of green -> as in the file\n"),
    entry("reload", "reload --yes", "", Changes)
        .says(
            "the config file is read anew; live weights and roles stay\n\
            error: this Cyan runs without a config file; there is nothing to read anew\n",
        )
        .exits(5),
    entry("healthcheck", "healthcheck", "ready\n", Answers),
    entry("completions", "completions bash", "_cyan() {\n…", Prints),
    entry("man", "man", "….TH cyan 1…", Prints),
];

/// Verbs whose output is compared elsewhere, because they are programs of their own or need files.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("serve", "support/serving.rs", "\"serve\""),
    ("check", "cli_files.rs", "\"check\""),
    ("init", "cli_files.rs", "\"init\""),
    ("pin", "cli_errors.rs", "\"pin\""),
    ("replay", "replay.rs", "\"replay\""),
    ("state recover", "state_files.rs", "\"recover\""),
    ("mock-llm", "cli_verbs.rs", "&[\"mock-llm\""),
    ("demo", "demo.rs", "\"demo\""),
    ("top", "cli_terminal.rs", "\"top "),
    ("log-level", "log_level.rs", "log-level"),
];

#[tokio::test]
async fn every_verb_prints_what_it_says() {
    let mut wrong = String::new();
    for entry in ENTRIES {
        let admin = prepared(entry).await;
        let run = cyan_at(&admin, entry.line).await;
        if run.code != entry.code {
            wrong += &format!("{}: exit code {}, expected {}\n", entry.line, run.code, entry.code);
        }
        for (expected, found) in [(entry.stdout, &run.stdout), (entry.stderr, &run.stderr)] {
            if !is_like(found, expected) {
                wrong += &format!("{}\nexpected:\n{expected}\nfound:\n{found}\n", entry.line);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn every_answer_has_its_form_as_json() {
    for entry in ENTRIES.iter().filter(|entry| entry.kind != Prints) {
        let admin = prepared(entry).await;
        let run = cyan_at(&admin, &format!("{} --json", entry.line)).await;
        assert_eq!(run.code, entry.code, "{}: {run:?}", entry.line);
        let refused = matches!(entry.code, 5);
        assert_eq!(run.stdout.is_empty(), refused, "{}: {run:?}", entry.line);
        for line in run.stdout.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            assert!(value.is_object(), "{}: {line}", entry.line);
        }
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    for entry in ENTRIES.iter().filter(|entry| entry.kind == Changes) {
        let admin = prepared(entry).await;
        let state = async || -> (serde_json::Value, usize) {
            let journal = admin.get("/v1/journal").await.json();
            let service = admin.get("/v1/services/chat").await.json()["generation"].clone();
            (service, journal["entries"].as_array().unwrap().len())
        };
        let before = state().await;
        let run = cyan_at(&admin, &format!("{} --dry-run", entry.line)).await;
        // What would be refused may be refused now.
        let is_refused = run.code == 5 && entry.code == 5 && run.stderr.starts_with("error: ");
        assert!(run.code == 0 || is_refused, "{}: {run:?}", entry.line);
        let said = is_refused
            || run.stderr.ends_with("dry run: nothing was changed\n")
            || run.stdout.contains("would be ");
        assert!(said, "{}: {run:?}", entry.line);
        assert_eq!(state().await, before, "{}", entry.line);
    }
}

#[tokio::test]
async fn an_emulated_server_says_where_it_is() {
    let mut server = command(&["mock-llm", "--listen", "127.0.0.1:0", "--name", "green"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let line = in_time(lines.next_line()).await.unwrap().unwrap();
    assert!(is_like(&line, "green mock-1.0 listens on http://127.0.0.1:…"), "{line}");
}

#[tokio::test]
async fn slips_in_verbs_and_flags_are_recognised() {
    for (line, meant) in
        [("staus", "'status'"), ("rollout strat", "'start'"), ("status --jsno", "'--json'")]
    {
        let arguments: Vec<_> = line.split(' ').collect();
        let run = cyan(&arguments).await;
        assert!(run.code == 2 && run.stderr.contains(meant), "{line}: {run:?}");
    }
}

#[test]
fn no_verb_is_left_out() {
    let mut verbs = BTreeSet::new();
    leaves(&cyan::cli::command(), "", &mut verbs);
    let tested = ENTRIES.iter().map(|entry| entry.verb.to_owned());
    let tested: BTreeSet<_> =
        tested.chain(ELSEWHERE.iter().map(|(verb, ..)| (*verb).to_owned())).collect();
    let left_out: Vec<_> = verbs.symmetric_difference(&tested).collect();
    assert!(left_out.is_empty(), "{left_out:?}: give each an entry, or take it out");
    for (verb, file, needle) in ELSEWHERE {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(needle), "{file} does not run `{verb}`");
    }
}

/// A Cyan in which everything has happened that comes before.
async fn prepared(entry: &Entry) -> TestAdmin {
    let admin = TestAdmin::start().await;
    for line in entry.before {
        let Run { code, stderr, .. } = cyan_at(&admin, &format!("{line} --yes")).await;
        assert_eq!(code, 0, "{line}: {stderr}");
    }
    admin
}

/// The verbs that do something, by their words.
fn leaves(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
    for verb in command.get_subcommands() {
        let path = format!("{path} {}", verb.get_name()).trim_start().to_owned();
        if verb.has_subcommands() {
            leaves(verb, &path, found);
        } else {
            found.insert(path);
        }
    }
}

/// Whether a text is as expected, where `…` stands for anything within a line; at the end of all, for
/// everything that follows.
fn is_like(found: &str, expected: &str) -> bool {
    let Some((begin, mut rest)) = expected.split_once('…') else { return found == expected };
    let Some(mut found) = found.strip_prefix(begin) else { return false };
    loop {
        let (piece, next) = match rest.split_once('…') {
            Some((piece, next)) => (piece, Some(next)),
            None => (rest, None),
        };
        match next {
            None if piece.is_empty() => return true,
            None => return found.ends_with(piece),
            Some(next) => {
                let Some(at) = found.find(piece) else { return false };
                found = &found[at + piece.len()..];
                rest = next;
            }
        }
    }
}
