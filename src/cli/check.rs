//! `cyan check`: whether a config file can be used, with every error at once.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::check_diff;
use super::exit_code;
use super::failure::Failure;
use super::session::Globals;
use super::terminal::Terminal;
use crate::config::{self, Config, ConfigErrors};

/// `cyan check FILE [--diff]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file
    #[arg(value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// Also show what a reload would change of the Cyan that runs
    #[arg(long)]
    diff: bool,
}

/// Runs the verb.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let path = args.file.as_ref().or(globals.config.as_ref());
    let path = path.ok_or_else(|| Failure::usage("no config file was named"))?;
    let terminal = Terminal::detect(globals.ascii);
    let read = load(path);
    if let Ok(config) = read.as_ref()
        && args.diff
    {
        return check_diff::run(path, config, globals).map(|()| ExitCode::from(exit_code::DONE));
    }
    match &read {
        _ if globals.json => terminal.json(&json(&read))?,
        Ok(config) => terminal.line(&verdict(path, config))?,
        Err(errors) => show_errors(errors),
    }
    let code = if read.is_ok() { exit_code::DONE } else { exit_code::CONFIG_INVALID };
    Ok(ExitCode::from(code))
}

/// The config at `path`, with the variables of this process.
pub(super) fn load(path: &Path) -> Result<Config, ConfigErrors> {
    config::load(path, &|name| std::env::var(name).ok())
}

/// As a compiler shows errors on a terminal; else one line each, as scripts and logs want them.
pub(super) fn show_errors(errors: &ConfigErrors) {
    if std::io::stderr().is_terminal() {
        eprintln!("{}", errors.render_excerpts());
    } else {
        eprintln!("{errors}");
    }
}

fn json(read: &Result<Config, ConfigErrors>) -> serde_json::Value {
    let errors = read.as_ref().err().map(ConfigErrors::findings).unwrap_or_default();
    serde_json::json!({ "schema": 1, "valid": errors.is_empty(), "errors": errors })
}

/// `cyan.toml: valid: 1 listener, 1 service with 2 environments`
pub(super) fn verdict(path: &Path, config: &Config) -> String {
    format!("{}: valid: {}", path.display(), summary(config))
}

/// `1 listener, 2 services with 5 environments`
fn summary(config: &Config) -> String {
    let counted = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    };
    let environments = config.services.iter().map(|service| service.environments.len()).sum();
    format!(
        "{}, {} with {}",
        counted(config.listeners.len(), "listener"),
        counted(config.services.len(), "service"),
        counted(environments, "environment")
    )
}
