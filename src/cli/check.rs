//! `cyan check`: whether a config file can be used, with every error at once.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use super::check_diff;
use super::exit_code;
use super::failure::Failure;
use super::session::Globals;
use super::terminal::{Terminal, say};
use crate::config::{self, Config, ConfigErrors};
use crate::tls::certificate::Certificate;

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
        Ok(config) => {
            terminal.line(&verdict(path, config))?;
            show_warnings(config);
        }
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
        say(&errors.render_excerpts());
    } else {
        say(&errors.to_string());
    }
}

fn json(read: &Result<Config, ConfigErrors>) -> serde_json::Value {
    let errors = read.as_ref().err().map(ConfigErrors::findings).unwrap_or_default();
    let warnings = read.as_ref().map(warnings).unwrap_or_default();
    let valid = errors.is_empty();
    serde_json::json!({ "schema": 1, "valid": valid, "errors": errors, "warnings": warnings })
}

/// Beside what was asked for, so that scripts need not tell them apart.
pub(super) fn show_warnings(config: &Config) {
    warnings(config).iter().for_each(|warning| say(&format!("note: {warning}")));
}

/// What somebody should know of a config that can be used: certificates that clients will not take. What else
/// is wrong with a certificate is an error of the config.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let tls = config.listeners.iter().find_map(|listener| listener.tls.as_ref());
    let Some(tls) = tls else { return Vec::new() };
    let read = tls.certificates().filter_map(|files| Certificate::read(files).ok());
    read.filter_map(|certificate| certificate.warning(now.as_secs())).collect()
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
