//! Simulates the judge: healthy candidates that must not be rolled back, and faults that must be found.
//!
//! `cargo run --release --example judge-simulation` prints a table; `--write docs/judge.md` puts it between
//! the two marks in that file. The same seed gives the same table.

mod recorder;
mod request;
mod rows;
mod run;
mod scores;
mod summary;
mod world;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use clap::Parser;

use crate::rows::Row;
use crate::run::Outcome;
use crate::summary::Summary;

const HEAD: &str = "| row | runs | asked | rolled back (95 %) | held | in time, or requests to detection \
                    (p90) | window judge |\n|---|---|---|---|---|---|---|";
const SCORES: &str = "Quality scores (Beta, standard deviation about 0.1), the coin on quality alone, limit 0.70, \
                      20 000 scores at most:";
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
    /// A tenth of the runs, and only rows that take minutes of simulated time
    #[arg(long)]
    quick: bool,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// Date to be written beside the table
    #[arg(long, default_value = "undated")]
    date: String,
    /// Puts the table between the marks of this file
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() {
    let arguments = Arguments::parse();
    let mut table = format!("Seed {}, {}.\n\n{HEAD}\n", arguments.seed, arguments.date);
    println!("{table}");
    let mut complaints = vec![];
    for row in rows::all().iter().filter(|row| arguments.asks_for(row)) {
        let summary = simulate(row, arguments.runs_of(row), arguments.seed, arguments.threads);
        let line = summary.line(row);
        println!("{line}");
        table += &format!("{line}\n");
        complaints.extend(summary.complaint(row));
    }
    if arguments.rows.is_empty() || arguments.rows.iter().any(|part| part == "scores") {
        let runs = arguments.runs.unwrap_or(if arguments.quick { 10 } else { 200 });
        let scores = format!("{SCORES}\n\n{}", scores::table(runs, arguments.seed));
        println!("\n{scores}");
        table += &format!("\n{scores}");
    }
    if let Some(path) = &arguments.write {
        write(path, &table);
    }
    complaints.iter().for_each(|complaint| eprintln!("not as it must be: {complaint}"));
    std::process::exit(i32::from(!complaints.is_empty()));
}

impl Arguments {
    fn asks_for(&self, row: &Row) -> bool {
        let is_long = row.world.planned_seconds() > 2 * 3_600;
        let is_named = self.rows.iter().any(|part| row.name.contains(part.as_str()));
        (self.rows.is_empty() || is_named) && !(self.quick && is_long)
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

fn write(path: &PathBuf, table: &str) {
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
            let unexpected = match row.asks {
                rows::Asks::Healthy => summary.evidence.rolled_back,
                rows::Asks::Found { .. } => runs - summary.evidence.rolled_back,
            };
            assert_eq!(unexpected, 0, "{}", summary.line(row));
        }
    }
}
