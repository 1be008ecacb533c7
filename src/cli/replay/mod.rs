//! `cyan replay`: judges a recorded rollout again, with its own rules or with others.
//!
//! Reads record by record, so a rollout of any length takes the same memory. Where records come from is
//! an iterator and nothing more: a file, or the state of Cyan (`source`).

mod lines;
mod moments;
mod overrides;
mod source;

use std::process::ExitCode;

use super::exit_code;
use super::failure::Failure;
use super::session::Globals;
use super::terminal::Terminal;
use crate::judge::decision::Decision;
use crate::judge::record::{Record, Start};
use crate::judge::replay::{End, Replay};
use crate::judge::tick::Tick;
use lines::{Line, Lines};
use overrides::Overrides;
use source::{Opened, Source};

/// `cyan replay FILE`, `cyan replay --rollout ID`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the verb.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let Opened { name, reader } = args.source.open(globals)?;
    let terminal = Terminal::detect(globals.ascii);
    let mut show = |text: String| terminal.print(&text);
    let recording = Recording { name: &name, is_kept: args.source.is_kept() };
    let lines = Lines::new(reader);
    let end = replay(lines, &recording, &args.overrides, globals.json, &mut show)?;
    Ok(ExitCode::from(code(&end)))
}

/// What the records are called, and whether Cyan itself kept them.
struct Recording<'a> {
    name: &'a str,
    is_kept: bool,
}

/// Judges the records and shows each new decision, then what there is to say at the end.
fn replay(
    lines: impl Iterator<Item = Line>,
    recording: &Recording<'_>,
    overrides: &Overrides,
    json: bool,
    show: &mut impl FnMut(String) -> Result<(), Failure>,
) -> Result<End, Failure> {
    let mut lines = lines.peekable();
    let mut start = overrides.apply(recorded_start(lines.peek()))?;
    let mut replay = Replay::new(&start);
    let name = recording.name;
    for line in lines {
        let invalid = |problem: String| invalid(name, line.number, &problem);
        let record = line.record.map_err(&invalid)?;
        if let Record::Start(anew) = &record
            && recording.is_kept
            && replay.end().records > 0
        {
            show(moments::shown_anew(json))?;
            start = overrides.apply(anew.as_ref().clone())?;
            replay = Replay::new(&start);
        }
        let moment = replay.hear(&record).map_err(|error| invalid(error.to_string()))?;
        if let Some(moment) = moment {
            show(moments::shown(&moment, &start, json))?;
        }
    }
    let end = replay.end();
    if end.now == Tick(0) {
        let message = format!("{name}: nothing to judge, it has no `tick`");
        return Err(Failure::config(message).hint(HINT));
    }
    show(moments::shown_end(&end, json))?;
    Ok(end)
}

/// The rules that the record begins with, if it does.
fn recorded_start(first: Option<&Line>) -> Start {
    match first.map(|line| &line.record) {
        Some(Ok(Record::Start(start))) => start.as_ref().clone(),
        _ => Start::default(),
    }
}

const HINT: &str = "docs/reference/replay.md describes every record and field";

fn invalid(name: &str, number: u64, problem: &str) -> Failure {
    Failure::config(format!("{name}:{number}: {problem}")).hint(HINT)
}

/// Rolled back at any time, else held at the end, else done.
fn code(end: &End) -> u8 {
    match end.decision {
        _ if end.rolled_back_at.is_some() => exit_code::ROLLED_BACK,
        Some(Decision::Hold(_)) => exit_code::HELD,
        _ => exit_code::DONE,
    }
}
