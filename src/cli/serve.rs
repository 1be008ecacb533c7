//! `cyan serve`: runs the proxy until a signal ends it, with a config file or with addresses alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::announced::Announced;
use super::check::{load, show_errors};
use super::exit_code;
use super::failure::Failure;
use super::session::Globals;
use crate::admin::ReadConfig;
use crate::app::serve::{self, Ended, Order};
use crate::app::{App, takeover};
use crate::config::watch::{Fingerprint, NamedFiles, watch};
use crate::config::{Arguments, Config, ConfigErrors, without_a_file};
use crate::log;
use crate::model::listener::ListenAddress;

/// `cyan serve FILE`, or `cyan serve --blue URL [--green URL] [--listen ADDRESS] [--admin ADDRESS]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file; `--config FILE` says the same
    #[arg(value_name = "FILE", conflicts_with_all = ["blue", "config"])]
    file: Option<PathBuf>,
    /// Without a file: the upstream of blue, which gets everything at first
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    blue: Option<String>,
    /// Without a file: the upstream of green, the candidate
    #[arg(long, value_name = "URL", requires = "blue")]
    green: Option<String>,
    /// Without a file: where clients connect
    #[arg(long, value_name = "ADDRESS", requires = "blue", default_value = "127.0.0.1:8080")]
    listen: String,
    /// What the log holds, e.g. `debug` or `info,cyan::control_plane=debug`; `RUST_LOG` when left out, else
    /// `info`. `cyan log-level` changes it later
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Without a file: where the state is kept, so that weights survive a restart [default: ./cyan-state]
    #[arg(long, value_name = "DIRECTORY", requires = "blue")]
    state_dir: Option<String>,
    /// Take over from the running Cyan: its listening sockets and its state, without a moment in which nobody
    /// serves. PATH is its socket [default: `takeover.sock` in the state directory]
    #[expect(clippy::option_option, reason = "what clap calls a flag that may have a value")]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    takeover: Option<Option<PathBuf>>,
}

/// What is served, and how it may change.
struct Plan {
    config: Config,
    /// Where it was read.
    file: Option<PathBuf>,
    read_config: Option<ReadConfig>,
    changes: mpsc::Receiver<()>,
}

/// Runs the verb.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    log::start(args.log_level.as_deref()).map_err(|error| Failure::usage(error.to_string()))?;
    let file = args.file.as_deref().or(globals.config.as_deref());
    let plan = match (file, &args.blue) {
        (Some(file), _) => from_file(file),
        (None, Some(blue)) => from_addresses(blue, args, globals),
        (None, None) => {
            return Err(Failure::usage("no config file and no upstream").hint(
                "cyan serve cyan.toml, or cyan serve --blue http://127.0.0.1:8001 --green \
                 http://127.0.0.1:8002; cyan init writes a file, cyan demo needs neither",
            ));
        }
    };
    match plan {
        Ok(plan) => serve(plan, args),
        Err(errors) => {
            show_errors(&errors);
            Ok(ExitCode::from(exit_code::CONFIG_INVALID))
        }
    }
}

fn serve(plan: Plan, args: &Args) -> Result<ExitCode, Failure> {
    let state_dir = plan.config.state_dir.clone();
    let mut announced = None;
    let Plan { config, file, read_config, changes } = plan;
    let announce = |app: &App| announced = announce(app, &state_dir, file.as_deref());
    let in_state_dir = || takeover::socket_path(&state_dir);
    let takeover = args.takeover.as_ref().map(|path| path.clone().unwrap_or_else(in_state_dir));
    let order = Order { config: &config, read_config, changes, takeover: takeover.as_deref() };
    let ended = serve::serve(order, announce);
    drop(announced);
    match ended {
        Ok(Ended::Drained) => Ok(ExitCode::SUCCESS),
        Ok(Ended::Interrupted) => Err(Failure {
            exit_code: exit_code::INTERRUPTED,
            message: "ended at once by a second signal; what was in flight is cut".to_owned(),
            hint: None,
        }),
        Ok(Ended::Broken) => Err(Failure {
            exit_code: exit_code::UNEXPECTED,
            message: "ended by a bug; start it again, the state is as it was".to_owned(),
            hint: None,
        }),
        // An address in use, or a state that another process holds: nothing was started.
        Err(error) => {
            Err(Failure { exit_code: exit_code::REFUSED, message: error.to_string(), hint: None })
        }
    }
}

fn from_file(file: &Path) -> Result<Plan, ConfigErrors> {
    let loaded = Fingerprint::of(file); // before the file is read, so that no change is missed
    let config = load(file)?;
    let named = NamedFiles::default();
    named.set(&config.files);
    let changes = watch(file, loaded, &named).unwrap_or_else(|error| {
        tracing::warn!(%error, "the config file is not watched; reload with `cyan reload` or SIGHUP");
        mpsc::channel(1).1
    });
    let (file, path) = (file.to_owned(), file.to_owned());
    let read: ReadConfig = Arc::new(move || match load(&path) {
        Ok(config) => {
            named.set(&config.files);
            Ok(config)
        }
        Err(errors) => {
            named.add(errors.files());
            Err(errors.to_string())
        }
    });
    Ok(Plan { config, file: Some(file), read_config: Some(read), changes })
}

fn from_addresses(blue: &str, args: &Args, globals: &Globals) -> Result<Plan, ConfigErrors> {
    let config = without_a_file(&Arguments {
        blue,
        green: args.green.as_deref(),
        listen: &args.listen,
        admin: globals.admin.as_deref(),
        state_dir: args.state_dir.as_deref(),
    })?;
    Ok(Plan { config, file: None, read_config: None, changes: mpsc::channel(1).1 })
}

/// Tells where everything is, once it is there; verbs that name the config file as well.
fn announce(app: &App, state_dir: &Path, file: Option<&Path>) -> Option<Announced> {
    let announced = file.and_then(|file| {
        let written = Announced::write(state_dir, file, app.admin_address());
        let problem = |error| {
            tracing::warn!(%error, "verbs with --config look for the admin API where the file says");
        };
        written.map_err(problem).ok()
    });
    for address in app.public_addresses() {
        tracing::info!("serving on {address}");
    }
    tracing::info!("admin API on {}", app.admin_address());
    if let ListenAddress::Tcp(address) = app.admin_address() {
        tracing::info!("dashboard http://{address}/");
    }
    tracing::info!("state in {}", state_dir.display());
    announced
}
