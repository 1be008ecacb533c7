//! `cyan init`: writes a commented config from two upstream addresses, after asking both what they are.

mod ask;
mod file;
mod finding;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit_code;
use super::failure::Failure;
use super::session::Globals;
use super::terminal::{Terminal, say};
use super::wait;
use crate::config::{self, HAS_OTLP, Surroundings, listener_in_full, read_file, upstream_in_full};
use crate::model::upstream::UpstreamSpec;
use file::Side;

/// `cyan init --blue URL --green URL`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The upstream that serves users now: `http://HOST:PORT`, `https://HOST` or `unix:/path`
    #[arg(long, value_name = "URL")]
    blue: String,
    /// The upstream of the next version
    #[arg(long, value_name = "URL")]
    green: String,
    /// Where clients shall connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The file to write; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "cyan.toml")]
    output: PathBuf,
    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
}

/// Asks, writes, and says what was found.
pub fn run(args: &Args, globals: &Globals) -> Result<(), Failure> {
    let terminal = Terminal::detect(globals.ascii);
    let (blue, green) = (upstream(&args.blue)?, upstream(&args.green)?);
    let (in_blue, in_green) =
        wait(async { Ok(tokio::join!(finding::find(&blue), finding::find(&green))) })?;
    let blue = Side { upstream: blue, finding: in_blue };
    let green = Side { upstream: green, finding: in_green };
    let name = args.output.display().to_string();
    let text = file::text(&blue, &green, &listener_in_full(&args.listen), &name);
    verify(&text, &name)?;
    let is_printed = globals.dry_run || args.output == Path::new("-");
    if is_printed {
        terminal.print(&text)?;
    } else {
        write(&args.output, &text, args.force)?;
    }
    if globals.json && !is_printed {
        return terminal.json(&json!({
            "schema": 1, "file": name, "blue": described(&blue), "green": described(&green),
        }));
    }
    if !globals.quiet {
        for (name, side) in [("blue", &blue), ("green", &green)] {
            say(&format!("{name:5}  {}  {}", side.upstream, side.finding.sentence()));
        }
    }
    if is_printed {
        return Ok(());
    }
    terminal.line(&format!("wrote {name}; next: cyan serve {name}"))
}

/// Base URLs of SDKs end in `/v1`; Cyan passes paths on, so that it is clients who write it.
fn upstream(text: &str) -> Result<UpstreamSpec, Failure> {
    let text = upstream_in_full(text);
    let text = text.strip_suffix('/').unwrap_or(&text);
    let text = text.strip_suffix("/v1").unwrap_or(text);
    text.parse().map_err(|error| Failure::usage(format!("{error}")))
}

/// What is written can be used, whatever addresses were given.
fn verify(text: &str, name: &str) -> Result<(), Failure> {
    let surroundings = Surroundings { variable: &|_| None, file: &read_file, has_otlp: HAS_OTLP };
    let read = config::from_text(text, name, &surroundings);
    read.map(drop).map_err(|errors| Failure::config(errors.to_string()))
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    let name = path.display();
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure {
            exit_code: exit_code::REFUSED,
            message: format!("{name} exists, and was left as it is"),
            hint: Some("name another file with -o, or overwrite it with --force".to_owned()),
        },
        _ => Failure::usage(format!("cannot write {name}: {error}")),
    })
}

fn described(side: &Side) -> serde_json::Value {
    let finding = &side.finding;
    let apis: Vec<_> = finding.apis.iter().map(|api| api.name()).collect();
    json!({
        "upstream": side.upstream.to_string(), "server": finding.server, "apis": apis,
        "models": finding.models, "health_path": finding.health, "needs_key": finding.needs_key,
        "problem": finding.problem,
    })
}
