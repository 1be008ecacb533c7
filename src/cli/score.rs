//! `cyan score`: sends a quality score, or the result of an evaluation.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use http::Method;

use super::client::ANSWER_LIMIT;
use super::exit_code;
use super::failure::Failure;
use super::session::Session;
use crate::admin::api::scores::{NewScore, ScoresCounted};
use crate::model::name::Name;
use crate::model::plan::quality::ResultFormat;
use crate::model::score::{Score, quality};
use crate::rollout::evaluation::{self, BYTES_MAX, Evaluation};

/// `cyan score --from FILE --environment NAME`, `cyan score --value 0.9 --exchange ID`
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["from", "value"])))]
#[command(group(clap::ArgGroup::new("whose").required(true).args(["environment", "exchange"])))]
pub struct Args {
    /// The result of an evaluation: `{"score": 0.87}`, pytest's JSON report or `JUnit` XML; `-` for
    /// standard input
    #[arg(long, value_name = "FILE", conflicts_with = "exchange")]
    from: Option<PathBuf>,
    /// What the result is: auto, json, pytest or junit
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = format, requires = "from")]
    format: ResultFormat,
    /// A single score, 0 to 1, higher is better
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    value: Option<f64>,
    /// The environment that it is about
    #[arg(long, value_name = "ENVIRONMENT", value_parser = Name::new)]
    environment: Option<Name>,
    /// The environment's service, unless there is only one
    #[arg(long, value_name = "SERVICE", value_parser = Name::new, conflicts_with = "exchange")]
    service: Option<Name>,
    /// The answer that it is about: its `X-Cyan-Exchange`
    #[arg(long, value_name = "ID")]
    exchange: Option<String>,
    /// What was judged
    #[arg(long, value_name = "NAME", value_parser = Name::new, default_value = "quality")]
    name: Name,
    /// The user's sticky key, so that one user does not count as many
    #[arg(long, value_name = "TEXT", requires = "value")]
    key: Option<String>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (scores, found) = match (&args.from, args.value) {
        (Some(path), _) => {
            let read = read_beside(path.clone(), args.format).await?;
            (of_evaluation(args, &read), found(&read))
        }
        (None, value) => {
            let value = value.unwrap_or_default();
            let score = Score::new(value).map_err(|error| Failure::usage(error.to_string()))?;
            (vec![args.score(value)], score.to_string())
        }
    };
    let whose = args.environment.as_ref().map_or("that answer", Name::as_str);
    let what = if args.name == quality() { String::new() } else { format!(" as {}", args.name) };
    if session.globals.dry_run {
        return session.terminal.line(&format!("{whose}: {found} would be counted{what}"));
    }
    let client = &session.client;
    let counted: ScoresCounted = match scores.as_slice() {
        // By itself, so that an error does not speak of a list that nobody wrote.
        [score] => client.change(Method::POST, "/v1/scores", score, ANSWER_LIMIT).await?,
        list => client.change(Method::POST, "/v1/scores", &list, ANSWER_LIMIT).await?,
    };
    if session.globals.json {
        return session.terminal.json(&counted);
    }
    session.terminal.line(&format!("{whose}: {found} was counted{what}"))
}

impl Args {
    /// A score of this value, about what the command line names.
    fn score(&self, value: f64) -> NewScore {
        NewScore {
            exchange: self.exchange.clone(),
            service: self.service.clone(),
            environment: self.environment.clone(),
            name: Some(self.name.clone()),
            value,
            key: self.key.clone(),
            ..NewScore::default()
        }
    }
}

/// The scores of an evaluation: where it is known how many cases passed, these and the others, so that
/// mean and variance are right; else its score as that of every case.
fn of_evaluation(args: &Args, read: &Evaluation) -> Vec<NewScore> {
    let of_tests = read.format != ResultFormat::Json;
    let parts = match read.passed.filter(|_| of_tests) {
        Some(passed) => vec![(1.0, passed), (0.0, read.cases - passed)],
        None => vec![(read.score.value(), read.cases)],
    };
    let score = |(value, count)| NewScore { count, evaluation: true, ..args.score(value) };
    parts.into_iter().filter(|(_, count)| *count > 0).map(score).collect()
}

/// `0.87 over 40 cases`
fn found(read: &Evaluation) -> String {
    let cases = if read.cases == 1 { "case" } else { "cases" };
    format!("{} over {} {cases}", read.score, read.cases)
}

/// Reads where Ctrl-C does not wait for it: nobody may be writing to standard input.
async fn read_beside(path: PathBuf, format: ResultFormat) -> Result<Evaluation, Failure> {
    let reading = tokio::task::spawn_blocking(move || read(&path, format));
    reading.await.map_err(|error| Failure::unexpected(format!("cannot read: {error}")))?
}

fn read(path: &Path, format: ResultFormat) -> Result<Evaluation, Failure> {
    let mut bytes = Vec::new();
    let limit = BYTES_MAX as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    let path = path.display();
    read.map_err(|error| Failure::usage(format!("cannot read {path}: {error}")))?;
    let invalid = |problem: String| Failure {
        exit_code: exit_code::CONFIG_INVALID,
        message: format!("{path}: {problem}"),
        hint: None,
    };
    if bytes.len() > BYTES_MAX {
        return Err(invalid(format!("the result is longer than {} MiB", BYTES_MAX >> 20)));
    }
    evaluation::read(&bytes, format).map_err(|error| invalid(error.to_string()))
}

fn format(text: &str) -> Result<ResultFormat, String> {
    let known = ResultFormat::ALL;
    known.into_iter().find(|format| format.name() == text).ok_or_else(|| {
        format!("`{text}` is not known; write {}", known.map(ResultFormat::name).join(" or "))
    })
}
