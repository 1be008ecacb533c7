//! `cyan serve`: runs the proxy until a signal ends it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::exit_code;
use super::failure::Failure;
use super::session::Globals;
use crate::admin::ReadConfig;
use crate::app::{self, App, Ended};
use crate::config::{self, Config};

/// Runs the proxy: with `--config FILE`, or without a file with `--blue` and `--green`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file; `--config FILE` says the same
    #[arg(value_name = "FILE", conflicts_with_all = ["blue", "config"])]
    file: Option<PathBuf>,
    /// Without a file: the upstream of the active environment
    #[arg(long, value_name = "URL")]
    blue: Option<String>,
    /// Without a file: the upstream of the candidate
    #[arg(long, value_name = "URL", requires = "blue")]
    green: Option<String>,
    /// Without a file: where clients connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", requires = "blue")]
    listen: String,
}

/// Runs the verb.
pub fn run(args: &Args, globals: &Globals) -> Result<(), Failure> {
    start_log();
    let file = args.file.as_deref().or(globals.config.as_deref());
    let (config, read_config, changes) = match (file, &args.blue) {
        (Some(file), None) => {
            let (config, changes) = watched(file)?;
            (config, Some(reader(file)), changes)
        }
        (None, Some(blue)) => {
            let config = config::without_a_file(blue, args.green.as_deref(), &args.listen);
            let config = config.map_err(|errors| Failure::config(errors.to_string()))?;
            (config, None, mpsc::channel(1).1)
        }
        (Some(_), Some(_)) => {
            return Err(Failure::usage("`--blue` and a config file exclude each other"));
        }
        (None, None) => {
            return Err(Failure::usage("no config file and no upstream").hint(
                "cyan serve --config cyan.toml, or cyan serve --blue http://127.0.0.1:8001",
            ));
        }
    };
    match app::serve(&config, read_config, changes, announce) {
        Ok(Ended::Drained) => Ok(()),
        Ok(Ended::Interrupted) => Err(Failure {
            exit_code: exit_code::INTERRUPTED,
            message: "ended at once by a second signal; what was in flight is cut".to_owned(),
            hint: None,
        }),
        Err(error) => Err(Failure::unexpected(error.to_string())),
    }
}

/// The config, and word of every later change of its file.
fn watched(file: &Path) -> Result<(Config, mpsc::Receiver<()>), Failure> {
    let config = read(file).map_err(Failure::config)?;
    Ok((config, mpsc::channel(1).1))
}

fn reader(file: &Path) -> ReadConfig {
    let file = file.to_owned();
    Arc::new(move || read(&file))
}

fn read(file: &Path) -> Result<Config, String> {
    config::load(file, &|name| std::env::var(name).ok()).map_err(|errors| errors.to_string())
}

/// Tells where everything is, once it is there.
fn announce(app: &App) {
    for address in app.public_addresses() {
        tracing::info!("serving on {address}");
    }
    tracing::info!("admin API on {}", app.admin_address());
}

/// Cyan's own log: for people on a terminal, JSON lines otherwise. `RUST_LOG` sets the level.
fn start_log() {
    use std::io::IsTerminal;
    use tracing_subscriber::EnvFilter;
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(level);
    // An error says that a log exists already, as in tests.
    let _ = if std::io::stderr().is_terminal() {
        log.with_target(false).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
}
