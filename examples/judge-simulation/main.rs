//! Simulates the judge: healthy candidates that must not be rolled back, and faults that must be found.
//!
//! `cargo run --release --example judge-simulation` prints a table; `--write docs/judge.md` puts it between
//! the two marks in that file. The same seed gives the same table.

mod recorder;
mod request;
mod requirement;
mod rows;
mod run;
mod scores;
mod summary;
mod tape;
mod world;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use clap::Parser;

use crate::rows::Row;
use crate::run::Outcome;
use crate::summary::Summary;

const HEAD: &str = "| row | runs | asked | rolled back (95 %) | held | in time, or requests to detection \
                    (p90) | window judge |\n|---|---|---|---|---|---|---|";
const BEGIN: &str = "<!-- results: written by the simulation -->";
const END: &str = "<!-- end of results -->";

/// Simulates the judge of rollouts.
#[derive(Parser)]
struct Arguments {
    /// Only rows whose name contains one of these texts, or `scores`
    #[arg(long, value_delimiter = ';')]
    rows: Vec<String>,
    /// Runs per row, instead of each row's own number
    #[arg(long)]
    runs: Option<u32>,
    /// First seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A tenth of the runs
    #[arg(long)]
    quick: bool,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// Writes the run of one row with this seed to a file for `cyan replay`, and simulates nothing else
    #[arg(long, requires = "rows")]
    record: Option<PathBuf>,
    /// Date to be written beside the table
    #[arg(long, default_value = "undated")]
    date: String,
    /// Puts the table between the marks of this file
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.record {
        return record(&arguments, path);
    }
    let mut report = Report::default();
    report.line(&format!("Seed {}, {}.\n\n{HEAD}", arguments.seed, arguments.date));
    let rows = rows::all();
    let rows = || rows.iter().filter(|row| arguments.asks_for(row));
    for row in rows() {
        let summary = simulate(row, arguments.runs_of(row), arguments.seed, arguments.threads);
        report.line(&summary.line(row));
        let complaints = row.asks.complaints(&summary).into_iter();
        report.complaints.extend(complaints.map(|text| format!("{}: {text}", row.name)));
    }
    report.line("");
    if arguments.asks_for_scores() {
        report.scores(&arguments);
    }
    if let Some(path) = &arguments.write {
        write(path, &report.text);
    }
    report.complaints.iter().for_each(|complaint| eprintln!("not as it must be: {complaint}"));
    std::process::exit(i32::from(!report.complaints.is_empty()));
}

/// Writes one run of the first row that is asked for, and tells what was decided in it.
fn record(arguments: &Arguments, path: &Path) {
    let rows = rows::all();
    let row = rows.iter().find(|row| arguments.asks_for(row)).expect("--rows names a row");
    let mut file = BufWriter::new(File::create(path).expect("the file can be made"));
    let said = tape::write(&row.world, arguments.seed, &mut file);
    let said = said.and_then(|said| file.flush().map(|()| said)).expect("the file can be written");
    for (at, decision) in said {
        println!("{} s: {} {}", at.observed().as_secs_f64(), decision.verb(), decision.reason());
    }
}

/// What is printed as it becomes known, kept for a file, and what is wrong with it.
#[derive(Default)]
struct Report {
    text: String,
    complaints: Vec<String>,
}

impl Report {
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.text += &format!("{line}\n");
    }

    fn scores(&mut self, arguments: &Arguments) {
        let runs = arguments.runs.unwrap_or(if arguments.quick { 20 } else { 200 });
        self.line(&format!("\n{}", scores::HEAD.trim_end()));
        for row in scores::all() {
            let summary = row.simulate(runs, arguments.seed);
            self.line(&row.line(&summary));
            self.complaints.extend(row.complaints(&summary));
        }
    }
}

impl Arguments {
    fn asks_for(&self, row: &Row) -> bool {
        let is_named = self.rows.iter().any(|part| row.name.contains(part.as_str()));
        self.rows.is_empty() || is_named
    }

    fn asks_for_scores(&self) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|part| part == "scores")
    }

    fn runs_of(&self, row: &Row) -> u32 {
        let own = if self.quick { row.runs / 10 } else { row.runs };
        self.runs.unwrap_or(own).max(1)
    }
}

/// Many runs of a row, with seeds that follow each other.
fn simulate(row: &Row, runs: u32, seed: u64, threads: u32) -> Summary {
    let next = AtomicU32::new(0);
    let work = || {
        let mut outcomes = vec![];
        loop {
            // Relaxed: only the number matters, nothing is published with it.
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return outcomes;
            }
            outcomes.push((number, run::run(&row.world, seed.wrapping_add(u64::from(number)))));
        }
    };
    let mut outcomes: Vec<(u32, Outcome)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a run does not panic"))
            .collect()
    });
    outcomes.sort_by_key(|(number, _)| *number);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    Summary::of(&outcomes)
}

fn write(path: &Path, table: &str) {
    let text = std::fs::read_to_string(path).expect("the file to write into can be read");
    let (before, rest) = text.split_once(BEGIN).expect("it has the mark of the beginning");
    let (_, after) = rest.split_once(END).expect("it has the mark of the end");
    let text = format!("{before}{BEGIN}\n{table}{END}{after}");
    std::fs::write(path, text).expect("the file can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few runs with fixed seeds of rows that take little time: the table in small.
    #[test]
    fn healthy_candidates_stay_and_faults_are_found() {
        for (name, runs) in [
            ("a/a, 10 req/s, answers of 20 s", 3),
            ("0 -> 100 % errors, 50 req/s, step start", 10),
            ("0 -> 100 % errors, 5 req/s, step start", 10),
            ("1 -> 5 % errors, independent", 5),
            ("20 % errors, step start", 5),
            ("TTFT x 2, independent, 50 req/s, step start", 5),
            ("404 to everybody, 10 req/s", 5),
            ("switched, 100 % errors", 10),
        ] {
            let rows = rows::all();
            let row = rows.iter().find(|row| row.name == name).expect("a row of this name");
            let summary = simulate(row, runs, 1, 1);
            let complaints = row.asks.complaints(&summary);
            assert!(complaints.is_empty(), "{complaints:?}: {}", summary.line(row));
        }
    }
}
