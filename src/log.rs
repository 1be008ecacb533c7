//! The program's own log, on standard error: for people on a terminal, JSON lines otherwise. What it holds
//! may be changed while the program runs.
//!
//! There is one log per process, as there is one standard error, so its level is a value of the process.
//! Requests are not logged here; they have the access log.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// What is logged when nobody says otherwise.
const DEFAULT: &str = "info";

/// How the log takes another level.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), tracing_subscriber::reload::Error> + Send + Sync>;

/// The log of this process, once it is started.
static STARTED: OnceLock<Started> = OnceLock::new();

struct Started {
    reload: Reload,
    // Held while the level changes, so that what is told is what holds.
    level: Mutex<String>,
}

/// Why the log is not as it was asked for. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A text that is no level.
    #[error(
        "`{0}` is no log level; write off, error, warn, info, debug or trace, or for a part of the program info,cyan::control_plane=debug"
    )]
    NoLevel(String),
    /// `RUST_LOG` cannot be read.
    #[error("RUST_LOG: `{wanted}`: {problem}; write for example info")]
    Variable {
        /// What it says.
        wanted: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something else logs for this process.
    #[error("the log of this process was not started by Cyan; set its level where it was started")]
    NotOurs,
}

/// Starts the log with this level; without one, `RUST_LOG` chooses what it holds.
///
/// # Errors
/// When the level is none, or there is a log already.
pub fn start(level: Option<&str>) -> Result<(), LogError> {
    let (level, filter) = match (level, std::env::var("RUST_LOG")) {
        (Some(level), _) => (level.to_owned(), filter(level)?),
        (None, Ok(wanted)) => {
            let filter = EnvFilter::try_new(&wanted).map_err(|error| LogError::Variable {
                wanted: wanted.clone(),
                problem: error.to_string(),
            })?;
            (wanted, filter)
        }
        (None, Err(_)) => (DEFAULT.to_owned(), EnvFilter::new(DEFAULT)),
    };
    let reload = install(filter)?;
    let started = Started { reload, level: Mutex::new(level) };
    STARTED.set(started).map_err(|_| LogError::NotOurs)?;
    std::panic::set_hook(Box::new(tell_panic));
    Ok(())
}

/// A panic is a bug. What it ends is one task; what that means for the process, others say.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    tracing::error!(thread, place, "a bug has ended a task: {text}; please report this line");
}

/// What the log holds now.
///
/// # Errors
/// When it was not started here.
pub fn level() -> Result<String, LogError> {
    let started = STARTED.get().ok_or(LogError::NotOurs)?;
    Ok(started.level.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Sets what the log holds from now on; returns what it held.
///
/// # Errors
/// When the text is no level, or the log was not started here.
pub fn set_level(wanted: &str) -> Result<String, LogError> {
    let filter = filter(wanted)?;
    let started = STARTED.get().ok_or(LogError::NotOurs)?;
    let mut level = started.level.lock().unwrap_or_else(PoisonError::into_inner);
    (started.reload)(filter).map_err(|_| LogError::NotOurs)?;
    Ok(std::mem::replace(&mut level, wanted.to_owned()))
}

fn install(filter: EnvFilter) -> Result<Reload, LogError> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    if std::io::stderr().is_terminal() {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let log = log.with_target(false).with_ansi(colour).with_filter_reloading();
        let handle = log.reload_handle();
        log.try_init().map_err(|_| LogError::NotOurs)?;
        return Ok(Box::new(move |filter| handle.reload(filter)));
    }
    let log = log.json().flatten_event(true).with_filter_reloading();
    let handle = log.reload_handle();
    log.try_init().map_err(|_| LogError::NotOurs)?;
    Ok(Box::new(move |filter| handle.reload(filter)))
}

/// Levels, with commas in between, each for the whole program or a part of it. A filter of `tracing` takes
/// any word for a part, so that `verbose` would log nothing but a part of that name.
fn filter(wanted: &str) -> Result<EnvFilter, LogError> {
    let is_level = |text: &str| !text.is_empty() && text.parse::<LevelFilter>().is_ok();
    let is_known = |directive: &str| match directive.split_once('=') {
        Some((part, level)) => !part.trim().is_empty() && is_level(level),
        None => is_level(directive),
    };
    let no_level = || LogError::NoLevel(wanted.to_owned());
    if !wanted.split(',').all(is_known) {
        return Err(no_level());
    }
    EnvFilter::try_new(wanted).map_err(|_| no_level())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "off", "DEBUG", "warn,cyan::control_plane=trace", "cyan=debug"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["", "verbose", "info,", "cyan=", "=debug", "cyan=loud", "info, debug,x"] {
            assert_eq!(filter(bad).err(), Some(LogError::NoLevel(bad.to_owned())), "{bad}");
        }
    }
}
